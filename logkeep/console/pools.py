"""Threads of the console: its own and few, so that readers of pages never hold up callers of the API."""

from __future__ import annotations

from enum import Enum

from logkeep.http.pools import Pool, Rule


class WaitsFor(Enum):
    """What a page waits for."""

    STRANGERS = Rule(threads=2, each=2, waiting=512, waiting_each=256, seconds=15, overdue=2)  # finding sessions
    # The same of a connection that is known already: strangers at the same address do not hold it up.
    CALLERS = Rule(threads=2, each=2, waiting=512, waiting_each=256, seconds=15, overdue=2)
    SIGN_IN = Rule(threads=2, each=2, waiting=64, waiting_each=16, seconds=10, overdue=2)
    READS = Rule(threads=3, each=3, waiting=512, waiting_each=256, seconds=30, overdue=4)
    WRITES = Rule(threads=2, each=2, waiting=64, waiting_each=32, seconds=40, overdue=4)
    NODES = Rule(threads=4, each=2, waiting=64, waiting_each=16, seconds=45, overdue=8)
    BUCKETS = Rule(threads=6, each=3, waiting=64, waiting_each=16, seconds=90, overdue=12)


class Pools:
    """Those of one console, made when its loop runs."""

    def __init__(self) -> None:
        self._pools = {one: Pool(f"console-{one.name.lower()}", one.value, "the console") for one in WaitsFor}

    def __getitem__(self, waits_for: WaitsFor) -> Pool:
        return self._pools[waits_for]

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
