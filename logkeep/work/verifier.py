"""Scheduled verification: one cluster at a time, least recently verified first."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import closing

import structlog

from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import Finding, VerificationEvent
from logkeep.errors import CatalogueError, StoreError
from logkeep.service import verification
from logkeep.service.runtime import Runtime
from logkeep.work.periodic import QuietLog

_TICK_SECONDS = 10.0
_STOP_SECONDS = 1.0  # time for the object being read; an interrupted verification begins again after a restart
_LOGGED = 20  # findings logged per verification
_log = structlog.get_logger("logkeep.work")


class Verifier:
    """Thread that verifies due clusters; a failure is logged, and the verification tried again later."""

    def __init__(
        self, runtime: Runtime, every_hours: float, sample_percent: float, *, tick_seconds: float = _TICK_SECONDS
    ) -> None:
        """Verify each cluster every `every_hours` hours; 0 for never."""
        self._runtime = runtime
        self._every_ms = round(every_hours * 3_600_000)
        self._sample = sample_percent
        self._tick_seconds = tick_seconds
        self._quiet = QuietLog()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verifier", daemon=True)

    def start(self) -> None:
        if self._every_ms:
            self._thread.start()

    def stop(self) -> None:
        """Stop; wait at most `_STOP_SECONDS` for the object being read."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                if self._verify_next():
                    continue
            except CatalogueError as error:
                self._runtime.outage.failed(error)
            except Exception as error:
                self._quiet.log_exception("nothing was verified", error)
            self._stopped.wait(self._tick_seconds)

    def _verify_next(self) -> bool:
        """Verify the cluster that is most due; False if none is."""
        due = verification.verify_most_due(self._runtime, self._every_ms, self._sample)
        if due is None:
            return False
        cluster, told = due
        try:
            with closing(told):
                self._follow(cluster, told)
        except StoreError as error:
            _log.error("verification stopped", cluster_id=cluster.id, error=str(error))
        return True

    def _follow(self, cluster: Cluster, told: Iterable[VerificationEvent]) -> None:
        """Log the first `_LOGGED` findings one by one; `verify` reports all."""
        findings = 0
        for one in told:
            if self._stopped.is_set():
                return
            if isinstance(one, Finding):
                findings += 1
                if findings <= _LOGGED:
                    _log.error("verification found", cluster_id=cluster.id, object=one.object, problem=one.problem)
        if findings:
            _log.error("the archive is damaged", cluster=cluster.name, cluster_id=cluster.id, findings=findings)
