"""Tells the others, by the database, that this process lives, and this process whether the database takes writes."""

from __future__ import annotations

import threading

import structlog

from logkeep.domain.worker import BEAT_SECONDS, Worker
from logkeep.service import workers
from logkeep.service.context import Context

_log = structlog.get_logger("logkeep.work")


class Heartbeat:
    def __init__(self, context: Context, worker: Worker) -> None:
        self._context = context
        self._worker = worker
        self.problem = ""  # why the last beat failed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """The first beat is done on return: whoever takes a job is alive. Raises `CatalogueError`."""
        workers.beat(self._context, self._worker)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            try:
                workers.beat(self._context, self._worker)
                self.problem = ""
            except Exception as error:
                if self.problem != str(error):  # a full disk is not to be filled by what is said of it
                    _log.exception("no heartbeat")
                self.problem = str(error)
