"""Clock of the service: starts due backups, requeues jobs that lost their workflow, deletes old entries."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from logkeep.service import audit, backups, users, workers
from logkeep.service.context import Context
from logkeep.work.periodic import PeriodicThread

_TICK_SECONDS = 1.0
_SOON = 2  # ticks
_SELDOM = 60
_log = structlog.get_logger("logkeep.work")


class Maintenance(PeriodicThread):
    """Thread that runs periodic tasks. Nothing is lost if one fails or is late."""

    def __init__(
        self,
        context: Context,
        pick_up: Callable[[], None],
        clean_up: Callable[[], None],
        audit_keep_days: int,
    ) -> None:
        """Requeue abandoned jobs by `pick_up` every few seconds; delete old entries by `clean_up`, rarely."""
        self._context = context
        self._pick_up = pick_up
        self._clean_up = clean_up
        self._audit_keep_days = audit_keep_days
        self._ticks = 0
        super().__init__("policies", self._look, _TICK_SECONDS, failed="policies were not looked at")

    def _look(self) -> None:
        ticks, self._ticks = self._ticks, self._ticks + 1  # also if it fails
        for job in backups.start_due_backups(self._context):
            _log.info("automatic backup started", cluster_id=job.cluster_id, job_id=job.job_id)
        if ticks % _SOON == 0:
            self._pick_up()
        if ticks % _SELDOM == 0:
            users.remove_expired_tokens(self._context)
            audit.remove_old_entries(self._context, self._audit_keep_days)
            workers.forget_dead(self._context)
            self._clean_up()
