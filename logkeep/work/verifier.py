"""Scheduled verification: one cluster at a time, least recently verified first."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import structlog

from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import Finding, VerificationEvent
from logkeep.service import verification
from logkeep.service.runtime import Runtime
from logkeep.work.cluster_thread import ClusterThread

_TICK_SECONDS = 10.0
_STOP_SECONDS = 1.0  # time for the object being read; an interrupted verification begins again after a restart
_LOGGED = 20  # findings logged per verification
_log = structlog.get_logger("logkeep.work")


class Verifier(ClusterThread[VerificationEvent]):
    """Thread that verifies due clusters; a failure is logged, and the verification tried again later."""

    def __init__(
        self, runtime: Runtime, every_hours: float, sample_percent: float, *, tick_seconds: float = _TICK_SECONDS
    ) -> None:
        """Verify each cluster every `every_hours` hours; 0 for never."""
        super().__init__(
            runtime,
            "verifier",
            tick_seconds=tick_seconds,
            stop_seconds=_STOP_SECONDS,
            nothing_done="nothing was verified",
            stopped_short="verification stopped",
        )
        self._every_ms = round(every_hours * 3_600_000)
        self._sample = sample_percent

    def start(self) -> None:
        if self._every_ms:
            super().start()

    def _claim(self) -> tuple[Cluster, Generator[VerificationEvent]] | None:
        return verification.verify_most_due(self._runtime, self._every_ms, self._sample)

    def _follow(self, cluster: Cluster, steps: Iterable[VerificationEvent]) -> None:
        """Log the first `_LOGGED` findings one by one; `verify` reports all."""
        findings = 0
        for one in steps:
            if self._stopped.is_set():
                return
            if isinstance(one, Finding):
                findings += 1
                if findings <= _LOGGED:
                    _log.error("verification found", cluster_id=cluster.id, object=one.object, problem=one.problem)
        if findings:
            _log.error("the archive is damaged", cluster=cluster.name, cluster_id=cluster.id, findings=findings)
