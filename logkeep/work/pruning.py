"""Deletes rows that are of no use any more, some of each table at a time, so that no other writer waits for long."""

from __future__ import annotations

from collections.abc import Callable

from logkeep.domain.keep_times import KeepTimes
from logkeep.errors import CatalogueError
from logkeep.service import (
    archive_usage,
    audit,
    console_sessions,
    job_details,
    notices,
    tasks,
    temporary_keys,
    users,
    workers,
)
from logkeep.service.runtime import Runtime
from logkeep.work.periodic import PeriodicThread

_TICK_SECONDS = 60.0  # for at most 10,000 rows of each table
_STEPS = 20  # through the findings, of 500 rows each


class Pruning(PeriodicThread):
    """Thread that goes through all such tables. What it leaves is deleted the next time."""

    def __init__(
        self,
        runtime: Runtime,
        keep: KeepTimes,
        forget_ended: Callable[[], None],
        *,
        tick_seconds: float = _TICK_SECONDS,
    ) -> None:
        """Delete rows of the queue by `forget_ended`."""
        self._runtime = runtime
        self._keep = keep
        self._forget_ended = forget_ended
        self._findings_after = 0  # id of the last row that was looked at
        super().__init__("pruning", self.prune, tick_seconds, failed="not all was pruned", outage=runtime.outage)

    def prune(self) -> None:
        """Go through all tables once. One that fails does not keep the others from it; its error is raised then."""
        failed: Exception | None = None
        for action in self._actions():
            try:
                action()
            except CatalogueError:
                raise  # of the whole database
            except Exception as error:
                failed = failed or error
        if failed:
            raise failed

    def _actions(self) -> tuple[Callable[[], None], ...]:
        runtime, keep = self._runtime, self._keep
        return (
            self._forget_ended,
            lambda: users.remove_expired_tokens(runtime),
            lambda: temporary_keys.remove_expired(runtime),
            lambda: console_sessions.remove_ended(runtime, keep.session_minutes),
            lambda: audit.remove_old_entries(runtime, keep.audit_days),
            lambda: tasks.remove_old_missed(runtime, keep.missed_days),
            self._prune_findings,
            lambda: notices.remove_old(runtime),
            lambda: archive_usage.record_days(runtime, keep.usage_days),
            lambda: workers.forget_dead(runtime),
        )

    def _prune_findings(self) -> None:
        for _ in range(_STEPS):
            self._findings_after = job_details.remove_told_findings(
                self._runtime, self._keep.forecast_days, self._findings_after
            )
            if not self._findings_after:
                return
