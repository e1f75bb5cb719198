"""Carries jobs out in this process.

A workflow is thin: it calls `service.backups` step by step, and DBOS goes on at the first step that was not finished
when a process died.
"""

from __future__ import annotations

import threading
import time
from itertools import chain, repeat
from typing import Any

import structlog
from dbos import DBOS

from logkeep.domain.worker import QUEUE_VERSION
from logkeep.errors import CatalogueError, JobError, JobHandedOver, JobInternal, JobSuperseded
from logkeep.service import backups
from logkeep.service.context import Context
from logkeep.work.queue import APP, QUEUE, WORKFLOW, Json

_SUPERSEDED = "superseded"
_FINISH_SECONDS = 10.0  # for the slices under way, once the end is asked for
_PAUSE = 0.02
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between tries of a step that the database failed
_log = structlog.get_logger("logkeep.work")


class Runner:
    """Takes from the queue. DBOS is one per process, and so is this."""

    def __init__(
        self,
        context: Context,
        worker_id: str,
        database_url: str,
        *,
        jobs_at_once: int,
        jobs_in_all: int,
        visible_ms: int,
        poll_seconds: float,
    ) -> None:
        """`visible_ms`: how long a record is seen RUNNING; `poll_seconds`: how often the queue is looked at.

        `jobs_in_all` is for all workers together, 0 for no limit.
        """
        self._context = context
        self._visible_ms = visible_ms
        self.carried_out: set[str] = set()  # ids of the workflows that a thread works on
        self._parked: set[str] = set()  # those of them that wait for their workflow to be handed over
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
            self.carried_out.add(workflow_id)
            try:
                return self._back_up(job_id)
            finally:
                self.carried_out.discard(workflow_id)

        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)(back_up)
        DBOS.listen_queues([QUEUE])
        self._limits: dict[str, Any] = {
            "worker_concurrency": jobs_at_once,
            "global_concurrency": max(jobs_in_all, jobs_at_once) if jobs_in_all else None,
            "polling_interval_sec": poll_seconds,
            "on_conflict": "always_update",
        }

    def start(self) -> None:
        """Take from the queue."""
        DBOS.launch()
        DBOS.register_queue(QUEUE, **self._limits)

    def stop(self) -> None:
        """Take nothing more, and let what is under way come to the end of its slice; then it can be handed over."""
        self._context.stopping.set()
        end = time.monotonic() + _FINISH_SECONDS
        while self.carried_out - self._parked and time.monotonic() < end:
            time.sleep(_PAUSE)
        DBOS.destroy(destroy_registry=True)

    def release(self) -> None:
        """Let the threads go whose workflows were handed over."""
        self._ended.set()

    def _back_up(self, job_id: str) -> str:
        if self._context.stopping.is_set():
            self._park()
        # Not a step: each time the workflow is taken up, it is a new attempt, which ends the right of the one before.
        attempt = backups.begin_job(self._context, job_id)
        if attempt is None:
            return "ended"
        problem = self._step("check_bucket", job_id) or self._step("back_up_nodes", job_id, attempt)
        if problem != _SUPERSEDED:
            self._step("stay_visible", job_id, self._visible_ms)
            problem = self._step("finish_job", job_id, attempt, problem)
        if problem and problem != _SUPERSEDED:  # the manifest could not be written: the bucket failed just now
            problem = self._step("finish_job", job_id, attempt, problem)
        return problem or "finished"

    def _step(self, action: str, *arguments: Any) -> str:
        return DBOS.run_step({"name": action}, self._guarded, action, *arguments)

    def _guarded(self, action: str, *arguments: Any) -> str:
        """Run one action of `service.backups`; '' or what failed, with its code.

        Where the database fails, the step waits for it: that a job has failed could not be kept either.
        """
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        while True:
            try:
                return self._carry_out(action, *arguments)
            except CatalogueError as error:
                _log.warning("the database failed a step, which is tried again", action=action, error=str(error))
            if self._context.stopping.wait(next(pauses)):
                self._park()
                return _SUPERSEDED

    def _carry_out(self, action: str, *arguments: Any) -> str:
        try:
            getattr(backups, action)(self._context, *arguments)
        except JobHandedOver:
            self._park()
            return _SUPERSEDED
        except JobSuperseded:
            return _SUPERSEDED
        except CatalogueError:
            raise
        except JobError as error:
            return str(error)
        except Exception:
            _log.exception("job step failed", action=action, job_id=arguments[0])
            return str(JobInternal("unexpected error; the service's log tells more under this job id"))
        return ""

    def _park(self) -> None:
        """Record nothing more of the workflow: it is another worker's as soon as it is handed over."""
        self._parked.add(str(DBOS.workflow_id))
        self._ended.wait()
