"""Calling functions in threads from the event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from logkeep.http.threads import Threads


def run(size: int, calls: int, seconds: float = 0.0) -> list[str]:
    async def main() -> list[str]:
        threads = Threads(size, "test")
        try:
            return await asyncio.gather(*(threads.run(_name_of_thread, seconds) for _ in range(calls)))
        finally:
            threads.close()

    return asyncio.run(main())


def _name_of_thread(seconds: float) -> str:
    time.sleep(seconds)
    return threading.current_thread().name


def test_calls_that_take_long_run_side_by_side_in_at_most_so_many_threads() -> None:
    names = run(4, 40, 0.05)
    assert len(names) == 40
    assert set(names) == {"test-1", "test-2", "test-3", "test-4"}


def test_short_calls_share_few_threads() -> None:
    assert set(run(8, 500)) <= {"test-1", "test-2"}


def test_one_call_needs_one_thread() -> None:
    assert run(8, 1) == ["test-1"]


def test_short_call_does_not_wait_for_long_ones() -> None:
    async def main() -> float:
        threads = Threads(8, "test")
        long = [threads.run(time.sleep, 1.5) for _ in range(6)]
        began = time.monotonic()
        await threads.run(lambda: None)
        waited = time.monotonic() - began
        await asyncio.gather(*long)
        threads.close()
        return waited

    assert asyncio.run(main()) < 1


def test_result_does_not_wait_for_the_calls_behind_it() -> None:
    async def main() -> float:
        threads = Threads(1, "test", few=1)
        began = time.monotonic()
        first = threads.run(lambda: None)
        behind = [threads.run(time.sleep, 0.5) for _ in range(2)]
        await first
        waited = time.monotonic() - began
        await asyncio.gather(*behind)
        threads.close()
        return waited

    assert asyncio.run(main()) < 0.4


def test_every_result_reaches_its_caller() -> None:
    async def main() -> list[int]:
        threads = Threads(4, "test")
        results = await asyncio.gather(*(threads.run(lambda number: number * 2, n) for n in range(2000)))
        threads.close()
        return results

    assert asyncio.run(main()) == [n * 2 for n in range(2000)]


def test_exception_reaches_its_caller() -> None:
    async def main() -> None:
        threads = Threads(1, "test")
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)
        assert await threads.run(lambda: "still at work") == "still at work"
        threads.close()

    asyncio.run(main())


def test_result_of_a_cancelled_call_is_dropped() -> None:
    async def main() -> str:
        threads = Threads(1, "test")
        cancelled = threads.run(time.sleep, 0.01)
        cancelled.cancel()
        result = await threads.run(lambda: "next")
        threads.close()
        return result

    assert asyncio.run(main()) == "next"


def test_threads_end_when_closed_and_when_the_loop_is_gone() -> None:
    run(3, 3)

    async def leave() -> None:
        Threads(1, "left").run(time.sleep, 0.05)

    asyncio.run(leave())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(t.name.startswith(("test-", "left-")) for t in threading.enumerate()):
        time.sleep(0.01)
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("test-", "left-"))]


def test_calls_go_on_without_the_threads_that_could_not_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        threads = Threads(4, "test")
        try:
            monkeypatch.setattr(threading.Thread, "start", refuse)
            for _ in range(5):  # none is counted as working
                with pytest.raises(MemoryError):
                    await threads.run(time.sleep, 0)
            monkeypatch.setattr(threading.Thread, "start", start)
            first = threads.run(time.sleep, 0.05)
            monkeypatch.setattr(threading.Thread, "start", refuse)
            await asyncio.wait_for(asyncio.gather(first, *(threads.run(time.sleep, 0) for _ in range(5))), 5)
        finally:
            threads.close()

    asyncio.run(main())
