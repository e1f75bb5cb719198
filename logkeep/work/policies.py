"""Clock of the service: starts due backups, and requeues jobs that lost their workflow."""

from __future__ import annotations

from collections.abc import Callable

from logkeep.service import archive_usage, backups
from logkeep.service.runtime import Runtime
from logkeep.work.periodic import PeriodicThread

_TICK_SECONDS = 1.0
_SOON = 2  # ticks
_SELDOM = 60


class Maintenance(PeriodicThread):
    """Thread that runs periodic tasks. Nothing is lost if one fails or is late."""

    def __init__(self, runtime: Runtime, pick_up: Callable[[], None]) -> None:
        """Requeue abandoned jobs by `pick_up` every few seconds."""
        self._runtime = runtime
        self._pick_up = pick_up
        self._ticks = 0
        super().__init__(
            "policies", self._look, _TICK_SECONDS, failed="policies were not looked at", outage=runtime.outage
        )

    def _look(self) -> None:
        ticks, self._ticks = self._ticks, self._ticks + 1  # also if it fails
        backups.start_due_backups(self._runtime)
        if ticks % _SOON == 0:
            self._pick_up()
        if ticks % _SELDOM == 0:
            archive_usage.save_requests(self._runtime)
