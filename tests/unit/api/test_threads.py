"""Calling functions in threads from the event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from logkeep.api.threads import Threads


def run(size: int, calls: int) -> list[str]:
    async def main() -> list[str]:
        threads = Threads(size, "test")
        try:
            return await asyncio.gather(*(threads.run(_name_of_thread) for _ in range(calls)))
        finally:
            threads.close()

    return asyncio.run(main())


def _name_of_thread() -> str:
    time.sleep(0.005)
    return threading.current_thread().name


def test_calls_run_side_by_side_in_at_most_so_many_threads() -> None:
    names = run(3, 30)
    assert len(names) == 30
    assert set(names) == {"test-1", "test-2", "test-3"}


def test_no_more_threads_are_started_than_calls_wait() -> None:
    assert run(8, 1) == ["test-1"]


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
