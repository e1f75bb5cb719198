"""Index objects made in the background: one cluster at a time, and little of the time while jobs run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import suppress

import structlog

from logkeep.domain.archive_search import IndexProgress
from logkeep.domain.cluster import Cluster
from logkeep.service import backups, indexing
from logkeep.service.runtime import Runtime
from logkeep.work.cluster_thread import ClusterThread

_TICK_SECONDS = 10.0
_STOP_SECONDS = 2.0  # time for the segment being read
_BESIDE_JOBS = 4  # how much longer than it works it pauses, while a job runs
_LONGEST_PAUSE = 10.0  # seconds
_NICE = 10
_log = structlog.get_logger("logkeep.work")


class IndexThread(ClusterThread[IndexProgress]):
    """Thread that indexes what is new; a failure is logged, and that cluster tried again later."""

    def __init__(self, runtime: Runtime, *, tick_seconds: float = _TICK_SECONDS) -> None:
        super().__init__(
            runtime,
            "indexer",
            tick_seconds=tick_seconds,
            stop_seconds=_STOP_SECONDS,
            nothing_done="nothing was indexed",
            stopped_short="indexing stopped",
            after=tick_seconds,
        )

    def _run(self) -> None:
        with suppress(AttributeError, OSError):  # threads have a priority of their own on Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        super()._run()

    def _claim(self) -> tuple[Cluster, Generator[IndexProgress]] | None:
        return indexing.index_next(self._runtime)

    def _follow(self, cluster: Cluster, steps: Iterable[IndexProgress]) -> None:
        begun = time.monotonic()
        for step in steps:
            if self._stopped.is_set():
                return
            if step.done:
                _log.info(
                    "indexed",
                    cluster_id=cluster.id,
                    segments=step.segments,
                    bytes=step.bytes,
                    unreadable=step.unreadable,
                )
            elif backups.list_running(self._runtime):
                self._stopped.wait(min(_LONGEST_PAUSE, _BESIDE_JOBS * (time.monotonic() - begun)))
            begun = time.monotonic()
