"""The clock of the service: starts due backups, picks up jobs that lost their workflow, removes what is too old."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from logkeep.service import audit, backups, users, workers
from logkeep.service.context import Context
from logkeep.work.repeated import Repeated

_TICK_SECONDS = 1.0
_SOON = 2  # ticks
_SELDOM = 60
_log = structlog.get_logger("logkeep.work")


class Ticker(Repeated):
    """A thread that looks, again and again, at what is due; nothing is lost when a look fails or is late."""

    def __init__(
        self,
        context: Context,
        pick_up: Callable[[], None],
        clean_up: Callable[[], None],
        audit_keep_days: int,
    ) -> None:
        """`pick_up` sees to what nobody works on, every few seconds, `clean_up` to what is too old, seldom."""
        self._context = context
        self._pick_up = pick_up
        self._clean_up = clean_up
        self._audit_keep_days = audit_keep_days
        self._ticks = 0
        super().__init__("policies", self._look, _TICK_SECONDS, failed="policies were not looked at")

    def _look(self) -> None:
        ticks, self._ticks = self._ticks, self._ticks + 1  # also where it fails
        for job in backups.start_due_backups(self._context):
            _log.info("automatic backup started", cluster_id=job.cluster_id, job_id=job.job_id)
        if ticks % _SOON == 0:
            self._pick_up()
        if ticks % _SELDOM == 0:
            users.remove_expired_tokens(self._context)
            audit.remove_old_entries(self._context, self._audit_keep_days)
            workers.forget_dead(self._context)
            self._clean_up()
