"""Who gets a thread, who waits, and who is refused."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from logkeep.api import css, iam, native
from logkeep.api.pools import RULES
from logkeep.contract.operation import WaitsFor
from logkeep.errors import Overloaded
from logkeep.http.pools import Pool, Rule

RULE = Rule(threads=4, each=2, waiting=6, waiting_each=3, seconds=0.5, overdue=2)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def test_a_tenant_that_hangs_holds_up_no_other() -> None:
    async def main() -> None:
        pool, hanging = Pool("test", RULE, "tests"), threading.Event()
        stuck = [pool.run("a", hanging.wait, 10) for _ in range(5)]
        began = time.monotonic()
        assert await pool.run("b", lambda: 7) == 7
        assert time.monotonic() - began < 0.3
        results = await asyncio.gather(*stuck, return_exceptions=True)
        assert all(isinstance(result, Overloaded) for result in results)
        hanging.set()
        pool.close()

    run(main())


def test_calls_beyond_what_may_wait_are_refused_at_once() -> None:
    async def main() -> None:
        pool, hanging = Pool("test", RULE, "tests"), threading.Event()
        waiting = [pool.run("a", hanging.wait, 10) for _ in range(5)]
        with pytest.raises(Overloaded, match="Too many calls wait for tests just now"):
            await pool.run("a", lambda: None)
        goes_on = pool.run("a", lambda: 8, goes_on=True)
        hanging.set()
        assert await goes_on == 8
        assert await asyncio.gather(*waiting) == [True] * 5
        pool.close()

    run(main())


def test_the_slot_of_who_is_overdue_goes_to_others_and_only_so_many_may_hang() -> None:
    async def main() -> None:
        rule = Rule(threads=2, each=4, waiting=8, waiting_each=8, seconds=0.2, overdue=2)
        pool, hanging = Pool("test", rule, "tests"), threading.Event()
        for _ in range(2):  # two hang on beside the two that are counted
            results = await asyncio.gather(*(pool.run("a", hanging.wait, 10) for _ in range(2)), return_exceptions=True)
            assert [str(result) for result in results] == [
                "No answer came in time from tests. It may still be carried out."
            ] * 2
        with pytest.raises(Overloaded, match=r"No answer came in time from tests\.$"):
            await pool.run("b", lambda: None)
        hanging.set()
        assert await pool.run("b", lambda: 1) == 1
        pool.close()

    run(main())


def test_a_result_for_which_nobody_waits_any_more_is_discarded() -> None:
    async def main() -> None:
        pool, hanging, discarded = Pool("test", RULE, "tests"), threading.Event(), threading.Event()
        late = pool.run("a", hanging.wait, 10, discard=lambda _: discarded.set(), seconds=0.1)
        with pytest.raises(Overloaded):
            await late
        hanging.set()
        assert await asyncio.to_thread(discarded.wait, 5)
        pool.close()

    run(main())


@pytest.mark.parametrize("seed", range(20))
def test_counts_come_back_to_nothing_whatever_happened(seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        pool = Pool("test", RULE, "tests")
        most, busy, lock = [0], [0], threading.Lock()

        def work(seconds: float, fails: bool) -> None:
            with lock:
                busy[0] += 1
                most[0] = max(most[0], busy[0])
            time.sleep(seconds)
            with lock:
                busy[0] -= 1
            if fails:
                raise ValueError

        calls: list[asyncio.Future[None]] = []
        for _ in range(60):
            seconds = chance.choice([0, 0, 0.01, 0.05])
            calls.append(
                pool.run(chance.choice("abc"), work, seconds, chance.random() < 0.3, seconds=chance.choice([0.02, 1]))
            )
            if chance.random() < 0.2:
                chance.choice(calls).cancel()
            await asyncio.sleep(chance.choice([0, 0, 0.01]))
        await asyncio.gather(*calls, return_exceptions=True)
        while busy[0] or pool._running or pool._overdue:
            await asyncio.sleep(0.01)
        assert most[0] <= RULE.most_threads
        assert (pool._waiting, dict(pool._queues), dict(pool._held)) == (0, {}, {})
        assert await pool.run("a", lambda: 1) == 1
        pool.close()

    run(main())


def test_nothing_that_writes_waits_among_those_that_only_read() -> None:
    for operation, _ in [*css.HANDLERS, *iam.HANDLERS, *native.HANDLERS]:
        assert (operation.waits_for is WaitsFor.READS) <= (not operation.mutating), operation.id
    assert set(RULES) == set(WaitsFor)
    for rule in RULES.values():
        assert rule.each * 2 <= rule.threads, "one tenant never has more than half"
        assert rule.each <= rule.overdue, "nor can one alone take all that may hang"
