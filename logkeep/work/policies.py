"""The clock of the service: starts due backups, picks up jobs that lost their workflow, removes what is too old."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from logkeep.service import audit, backups, users, workers
from logkeep.service.context import Context

_TICK_SECONDS = 1.0
_SOON = 2  # ticks
_SELDOM = 60
_log = structlog.get_logger("logkeep.work")


class Ticker:
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
        self.problem = ""  # why the last look failed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="policies", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        ticks = 0
        while not self._stopped.is_set():
            try:
                self._look(ticks)
                self.problem = ""
            except Exception as error:
                if self.problem != str(error):  # a full disk is not to be filled by what is said of it
                    _log.exception("policies were not looked at")
                self.problem = str(error)
            ticks += 1
            self._stopped.wait(_TICK_SECONDS)

    def _look(self, ticks: int) -> None:
        for job in backups.start_due_backups(self._context):
            _log.info("automatic backup started", cluster_id=job.cluster_id, job_id=job.job_id)
        if ticks % _SOON == 0:
            self._pick_up()
        if ticks % _SELDOM == 0:
            users.remove_expired_tokens(self._context)
            audit.remove_old_entries(self._context, self._audit_keep_days)
            workers.forget_dead(self._context)
            self._clean_up()
