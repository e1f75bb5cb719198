"""Heartbeat of a worker in the database, which also shows whether the database can be written."""

from __future__ import annotations

from logkeep.domain.worker import BEAT_SECONDS, Worker
from logkeep.service import workers
from logkeep.service.context import Context
from logkeep.work.periodic import PeriodicThread


class Heartbeat(PeriodicThread):
    """Thread that writes the heartbeat; `problem` says why the last one failed."""

    def __init__(self, context: Context, worker: Worker) -> None:
        self._context = context
        self._worker = worker
        super().__init__("heartbeat", self._beat, BEAT_SECONDS, failed="no heartbeat", after=BEAT_SECONDS)

    def start(self) -> None:
        """Start, after a first heartbeat: a worker that takes a job is known to be alive. Raises `CatalogueError`."""
        self._beat()
        super().start()

    def _beat(self) -> None:
        workers.beat(self._context, self._worker)
