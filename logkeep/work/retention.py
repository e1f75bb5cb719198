"""Rules of retention carried out by the clock, what earlier runs left over, and archives that are to be deleted."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import structlog

from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import RetentionProgress
from logkeep.service import archive_deletion, retention
from logkeep.service.runtime import Runtime
from logkeep.work.cluster_thread import ClusterThread

_TICK_SECONDS = 10.0
_STOP_SECONDS = 2.0  # time for the objects being removed; what is left over goes on after a restart
_log = structlog.get_logger("logkeep.work")


class RetentionThread(ClusterThread[RetentionProgress]):
    """Thread that carries out rules that are due; a failure is logged, and that cluster tried again later."""

    def __init__(self, runtime: Runtime, every_hours: float, *, tick_seconds: float = _TICK_SECONDS) -> None:
        """Carry out the rules of each cluster every `every_hours` hours; with 0 only what runs by hand left over."""
        super().__init__(
            runtime,
            "retention",
            tick_seconds=tick_seconds,
            stop_seconds=_STOP_SECONDS,
            nothing_done="no rule of retention was carried out",
            stopped_short="retention stopped",
            after=tick_seconds,
        )
        self._every_ms = round(every_hours * 3_600_000)

    def _claim(self) -> tuple[Cluster, Generator[RetentionProgress]] | None:
        return retention.retain_most_due(self._runtime, self._every_ms) or archive_deletion.delete_most_due(
            self._runtime
        )

    def _follow(self, cluster: Cluster, steps: Iterable[RetentionProgress]) -> None:
        for step in steps:
            if self._stopped.is_set():
                return
            if step.done and (step.objects or step.waiting):
                _log.info(
                    "retention",
                    cluster_id=cluster.id,
                    entries=step.entries,
                    removed=step.objects,
                    bytes=step.stored,
                    waiting=step.waiting,
                )
