"""Clock of the service: starts due backups, requeues jobs that lost their workflow, deletes old entries."""

from __future__ import annotations

from collections.abc import Callable

from logkeep.service import (
    archive_usage,
    audit,
    backups,
    console_sessions,
    notices,
    tasks,
    temporary_keys,
    users,
    workers,
)
from logkeep.service.runtime import Runtime
from logkeep.work.periodic import PeriodicThread

_TICK_SECONDS = 1.0
_SOON = 2  # ticks
_SELDOM = 60


class Maintenance(PeriodicThread):
    """Thread that runs periodic tasks. Nothing is lost if one fails or is late."""

    def __init__(
        self,
        runtime: Runtime,
        pick_up: Callable[[], None],
        clean_up: Callable[[], None],
        audit_keep_days: int,
        usage_keep_days: int,
    ) -> None:
        """Requeue abandoned jobs by `pick_up` every few seconds; delete old entries by `clean_up`, rarely."""
        self._runtime = runtime
        self._pick_up = pick_up
        self._clean_up = clean_up
        self._audit_keep_days = audit_keep_days
        self._usage_keep_days = usage_keep_days
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
            users.remove_expired_tokens(self._runtime)
            temporary_keys.remove_expired(self._runtime)
            console_sessions.remove_ended(self._runtime)
            audit.remove_old_entries(self._runtime, self._audit_keep_days)
            tasks.remove_old_missed(self._runtime)
            notices.remove_old(self._runtime)
            workers.forget_dead(self._runtime)
            archive_usage.save_requests(self._runtime)
            archive_usage.record_days(self._runtime, self._usage_keep_days)
            self._clean_up()
