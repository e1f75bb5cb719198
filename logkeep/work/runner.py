"""Worker: runs jobs from the queue in this process.

A workflow is one call of `service.backup_run`, which resumes from the catalogue. DBOS knows which jobs wait and which
worker has each job, and nothing of their steps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any

from dbos import DBOS

from logkeep.domain.worker import QUEUE_VERSION
from logkeep.errors import CatalogueError, JobHandedOver, JobSuperseded, TurnOver
from logkeep.service.backup_run import run_job
from logkeep.service.runtime import Runtime
from logkeep.work.queue import APP, QUEUE, WORKFLOW, Json

_FINISH_SECONDS = 10.0  # time for segments being uploaded when the worker stops
_PAUSE = 0.02
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between attempts while the database fails


class Runner:
    """Runs queued jobs. There is one per process, as there is one DBOS per process."""

    def __init__(
        self,
        runtime: Runtime,
        worker_id: str,
        database_url: str,
        enqueue_behind: Callable[[str, float], None],
        *,
        jobs_at_once: int,
        jobs_in_all: int,
        visible_ms: int,
        poll_seconds: float,
    ) -> None:
        """Configure DBOS; `start` begins the work.

        `visible_ms` is how long a record is RUNNING at least, `poll_seconds` the interval between queries of the queue.
        `enqueue_behind` queues a job for its next turn. `jobs_in_all` limits all workers together, 0 for no limit.
        """
        self._runtime = runtime
        self._enqueue_behind = enqueue_behind
        self._visible_ms = visible_ms
        self.running: set[str] = set()  # ids of workflows that a thread is running
        self._parked: set[str] = set()  # those of them whose thread waits until the workflow is handed over
        self._ended = threading.Event()
        DBOS(
            config={
                "name": APP,
                "system_database_url": database_url,
                "application_version": QUEUE_VERSION,
                "executor_id": worker_id,
                "serializer": Json(),
                "log_level": "ERROR",
                "use_listen_notify": False,
                "notification_listener_polling_interval_sec": poll_seconds,
            }
        )

        def back_up(job_id: str) -> str:
            workflow_id = str(DBOS.workflow_id)
            self.running.add(workflow_id)
            try:
                return self._back_up(job_id)
            finally:
                self.running.discard(workflow_id)

        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)(back_up)
        DBOS.listen_queues([QUEUE])
        self._limits: dict[str, Any] = {
            "worker_concurrency": min(jobs_at_once, jobs_in_all or jobs_at_once),
            "global_concurrency": jobs_in_all or None,
            "polling_interval_sec": poll_seconds,
            "on_conflict": "always_update",
        }

    def start(self) -> None:
        """Begin to take jobs from the queue."""
        DBOS.launch()
        DBOS.register_queue(QUEUE, **self._limits)

    def stop(self) -> None:
        """Take no more jobs, and wait until running ones have stored their current segment.

        Then they can be handed over.
        """
        self._runtime.stopping.set()
        end = time.monotonic() + _FINISH_SECONDS
        while self.running - self._parked and time.monotonic() < end:
            time.sleep(_PAUSE)
        DBOS.destroy(destroy_registry=True)

    def release(self) -> None:
        """Release the threads whose workflows were handed over."""
        self._ended.set()

    def _back_up(self, job_id: str) -> str:
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        while not self._runtime.stopping.is_set():
            try:
                run_job(self._runtime, job_id, self._visible_ms)
                return "ended"
            except JobSuperseded:
                return "superseded"
            except TurnOver as turn:
                if self._put_behind(job_id, turn.idle_seconds):
                    return "turn over"
                continue
            except JobHandedOver:
                break
            except CatalogueError as error:
                self._runtime.outage.failed(error)  # the job waits for it
            self._runtime.stopping.wait(next(pauses))
        self._park()
        return "handed over"

    def _put_behind(self, job_id: str, idle_seconds: float) -> bool:
        """Return whether the job waits for its next turn; if the database fails that, the job keeps its slot."""
        try:
            self._enqueue_behind(job_id, idle_seconds)
        except CatalogueError as error:
            self._runtime.outage.failed(error)
            return False
        return True

    def _park(self) -> None:
        """Keep the workflow from ending: its end would be recorded, though another worker is to resume it."""
        self._parked.add(str(DBOS.workflow_id))
        self._ended.wait()
