"""Heartbeat of a worker in the database, which also shows whether the database can be written."""

from __future__ import annotations

from logkeep.domain.causes import Cause
from logkeep.domain.worker import BEAT_SECONDS, Worker
from logkeep.errors import CatalogueError
from logkeep.service import workers
from logkeep.service.runtime import Runtime
from logkeep.work.open_files import OpenFiles
from logkeep.work.periodic import PeriodicThread

_SILENT_SECONDS = 15.0  # then a database counts as failing whose connection stands, but that does not answer


class Heartbeat(PeriodicThread):
    """Thread that writes the heartbeat; `problem` says why the last one failed."""

    def __init__(self, runtime: Runtime, worker: Worker) -> None:
        self._runtime = runtime
        self._worker = worker
        super().__init__(
            "heartbeat", self._beat, BEAT_SECONDS, failed="no heartbeat", outage=runtime.outage, after=BEAT_SECONDS
        )
        self._open_files = OpenFiles()
        self._watch = PeriodicThread(
            "heartbeat-watch", self._look, BEAT_SECONDS, failed="no look at the heartbeat", outage=runtime.outage
        )

    def start(self) -> None:
        """Start, after a first heartbeat: a worker that takes a job is known to be alive. Raises `CatalogueError`."""
        self._beat()
        super().start()
        self._watch.start()

    def stop(self) -> None:
        self._watch.stop()
        super().stop()

    def _beat(self) -> None:
        workers.beat(self._runtime, self._worker)

    def _look(self) -> None:
        """Raise `CatalogueError` if the database hangs: the heartbeat's own thread cannot tell it then."""
        self._open_files.look()
        silent = self.running_seconds()
        if silent >= _SILENT_SECONDS:
            told = f"no answer for {_SILENT_SECONDS:.0f} seconds, and the connection stands"
            self.problem = Cause.DATABASE_UNREACHABLE.tell(said=told)
            raise CatalogueError(self.problem)
