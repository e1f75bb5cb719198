"""Index objects made in the background: one cluster at a time, and little of the time while jobs run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import closing, suppress

import structlog

from logkeep.domain.archive_search import IndexProgress
from logkeep.domain.cluster import Cluster
from logkeep.errors import CatalogueError, StoreError
from logkeep.service import backups, indexing
from logkeep.service.runtime import Runtime
from logkeep.work.periodic import QuietLog

_TICK_SECONDS = 10.0
_STOP_SECONDS = 2.0  # time for the segment being read
_BESIDE_JOBS = 4  # how much longer than it works it pauses, while a job runs
_LONGEST_PAUSE = 10.0  # seconds
_NICE = 10
_log = structlog.get_logger("logkeep.work")


class IndexThread:
    """Thread that indexes what is new; a failure is logged, and that cluster tried again later."""

    def __init__(self, runtime: Runtime, *, tick_seconds: float = _TICK_SECONDS) -> None:
        self._runtime = runtime
        self._tick_seconds = tick_seconds
        self._quiet = QuietLog()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop; wait at most `_STOP_SECONDS` for the segment being read."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        with suppress(AttributeError, OSError):  # threads have a priority of their own on Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._stopped.wait(self._tick_seconds):
            try:
                while not self._stopped.is_set() and self._index_next():
                    pass
            except CatalogueError as error:
                self._runtime.outage.failed(error)
            except Exception as error:
                self._quiet.log_exception("nothing was indexed", error)

    def _index_next(self) -> bool:
        """Index the next cluster; False if nothing is new."""
        due = indexing.index_next(self._runtime)
        if due is None:
            return False
        cluster, steps = due
        try:
            with closing(steps):
                self._follow(cluster, steps)
        except StoreError as error:
            _log.error("indexing stopped", cluster_id=cluster.id, error=str(error))
        return True

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
