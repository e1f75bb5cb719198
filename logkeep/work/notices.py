"""Threads of notices: what looks for changes, what delivers, and what tells that the database is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from logkeep.domain.notice_rules import LOOK_MS
from logkeep.service import notice_delivery, notice_outage, notices
from logkeep.service.outage import DatabaseOutage
from logkeep.service.runtime import Runtime
from logkeep.work.periodic import PeriodicThread

_TICK_SECONDS = 1.0
_LOOK_SECONDS = LOOK_MS / 1000
_REST = 19  # pause as a multiple of the last look; of 10,000 clusters one takes about a second
_COURIERS = 4  # deliveries at a time of this process; one target has one at most
_RESERVED = 1  # of them for the targets of logkeep.toml, which those of tenants never hold up
_OUTAGE_SECONDS = 5.0


class NoticeThreads:
    """All of them; a process has one set."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stopped = threading.Event()
        self._next_look = 0.0
        teller = notice_outage.OutageTeller(runtime)
        couriers = [self._thread(f"notices-{at}", partial(self._deliver, at < _RESERVED)) for at in range(_COURIERS)]
        # It has an outage of its own, as it goes on while the database is away.
        outage = PeriodicThread(
            "notices-outage", teller.look, _OUTAGE_SECONDS, failed="no look at the database", outage=DatabaseOutage()
        )
        self._threads = [self._thread("notices", self._look), *couriers, outage]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; what is being sent then is sent again by whoever takes over."""
        self._stopped.set()
        for thread in self._threads:
            thread.cancel()
        for thread in self._threads:
            thread.stop()

    def _thread(self, name: str, action: Callable[[], None]) -> PeriodicThread:
        return PeriodicThread(
            name, action, _TICK_SECONDS, failed="notices were not looked after", outage=self._runtime.outage
        )

    def _look(self) -> None:
        if time.monotonic() < self._next_look:
            return
        began = time.monotonic()
        try:
            notices.look(self._runtime)
        finally:
            ended = time.monotonic()
            self._next_look = ended + max(_LOOK_SECONDS, _REST * (ended - began))

    def _deliver(self, reserved: bool) -> None:
        while not self._stopped.is_set() and notice_delivery.deliver_next(self._runtime, configured=reserved):
            pass
