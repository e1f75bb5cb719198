"""Thread that works on one cluster after the other, whichever is due."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Generic, TypeVar

import structlog

from logkeep.domain.cluster import Cluster
from logkeep.errors import CatalogueError, StoreError
from logkeep.service.runtime import Runtime
from logkeep.work.periodic import QuietLog

_T = TypeVar("_T")
_log = structlog.get_logger("logkeep.work")


class ClusterThread(ABC, Generic[_T]):
    """Looks for a cluster that is due each `tick_seconds`, and at once behind one. A failure is logged."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        tick_seconds: float,
        stop_seconds: float,
        nothing_done: str,
        stopped_short: str,
        after: float = 0.0,
    ) -> None:
        """Look first `after` seconds after the start; the two texts are log messages of failures.

        `stopped_short` is that of a bucket that failed in one cluster, `nothing_done` that of any other failure.
        """
        self._runtime = runtime
        self._tick_seconds = tick_seconds
        self._stop_seconds = stop_seconds
        self._nothing_done = nothing_done
        self._stopped_short = stopped_short
        self._after = after
        self._quiet = QuietLog()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop; wait at most `stop_seconds` for the object being read."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(self._stop_seconds)

    @abstractmethod
    def _claim(self) -> tuple[Cluster, Generator[_T]] | None:
        """Return the cluster that is due, and its work, which is done by following its steps; None if none is."""

    @abstractmethod
    def _follow(self, cluster: Cluster, steps: Iterable[_T]) -> None:
        """Follow the steps, until this thread is to stop."""

    def _run(self) -> None:
        pause = self._after
        while not self._stopped.wait(pause):
            pause = self._tick_seconds
            try:
                if self._work_on_next():
                    pause = 0.0
            except CatalogueError as error:
                self._runtime.outage.failed(error)
            except Exception as error:
                self._quiet.log_exception(self._nothing_done, error)

    def _work_on_next(self) -> bool:
        """Work on the cluster that is due; False if none is."""
        due = self._claim()
        if due is None:
            return False
        cluster, steps = due
        try:
            with closing(steps):
                self._follow(cluster, steps)
        except StoreError as error:
            _log.error(self._stopped_short, cluster_id=cluster.id, error=str(error))
        return True
