"""The durable queue: one workflow per job, one job per cluster at a time, on DBOS.

The only folder that knows DBOS. A workflow is thin: it calls `service.backups` step by step, and DBOS goes on at the
first step that was not finished when a process died.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import structlog
from dbos import DBOS, DBOSClient, EnqueueOptions, Serializer
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from logkeep.errors import CatalogueError, JobError, JobInternal, JobSuperseded
from logkeep.service import backups
from logkeep.service.context import Context

_APP = "logkeep"
_APP_VERSION = "1"  # raise it when the order of the steps in `_back_up` changes
_QUEUE = "backups"
_WORKFLOW = "back_up"
_ACTIVE = ["PENDING", "ENQUEUED", "DELAYED"]
_SUPERSEDED = "superseded"
_log = structlog.get_logger("logkeep.work")


class _Json(Serializer):
    """What DBOS keeps is readable and never executes anything when it is read."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "logkeep_json"


class Enqueuer:
    """Puts jobs into the queue inside a caller's transaction, so that an accepted call is never lost."""

    def __init__(self, database: Engine) -> None:
        self._client = DBOSClient(system_database_engine=database, application_name=_APP, serializer=_Json(), lazy=True)

    def __call__(self, connection: Connection, job_id: str, cluster_id: str) -> None:
        self._client.enqueue_in_transaction(connection, _options(job_id, cluster_id), job_id)

    def enqueue_stranded(self, running: Iterable[tuple[str, str]]) -> None:
        """Give each RUNNING job (job id, cluster id) whose workflow has ended a new one; safe to call at any time."""
        for job_id, cluster_id in running:
            workflows = self._client.list_workflows(workflow_id_prefix=job_id, load_input=False, load_output=False)
            if not any(workflow.status in _ACTIVE for workflow in workflows):
                options = _options(job_id, cluster_id, f"{job_id}-{len(workflows)}")
                self._client.enqueue(options, job_id)

    def close(self) -> None:
        self._client.destroy()


def _options(job_id: str, cluster_id: str, workflow_id: str = "") -> EnqueueOptions:
    return {
        "queue_name": _QUEUE,
        "workflow_name": _WORKFLOW,
        "workflow_id": workflow_id or job_id,
        "queue_partition_key": cluster_id,
        "app_version": _APP_VERSION,
        "application_name": _APP,
    }


class Worker:
    """Runs the queue in this process. DBOS is one per process, and so is this."""

    def __init__(
        self, context: Context, database_url: str, *, jobs_at_once: int, visible_ms: int, poll_seconds: float
    ) -> None:
        """`visible_ms`: how long a record is seen RUNNING; `poll_seconds`: how often the queue is looked at."""
        self._context = context
        self._visible_ms = visible_ms
        DBOS(
            config={
                "name": _APP,
                "system_database_url": database_url,
                "application_version": _APP_VERSION,
                "executor_id": "local",
                "serializer": _Json(),
                "log_level": "ERROR",
                "use_listen_notify": False,
                "notification_listener_polling_interval_sec": poll_seconds,
            }
        )

        def back_up(job_id: str) -> str:
            return self._back_up(job_id)

        DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)(back_up)
        DBOS.listen_queues([_QUEUE])
        self._limits: dict[str, Any] = {
            "worker_concurrency": jobs_at_once,
            "partition_concurrency": 1,
            "polling_interval_sec": poll_seconds,
            "on_conflict": "always_update",
        }

    def start(self) -> None:
        """Go on with what was under way when the last process ended, then take from the queue."""
        DBOS.launch()
        DBOS.register_queue(_QUEUE, **self._limits)

    def stop(self) -> None:
        """Take nothing more; what is under way goes on at the next start."""
        DBOS.destroy(destroy_registry=True)

    def _back_up(self, job_id: str) -> str:
        # Not a step: each time the workflow is taken up, it is a new attempt, which ends the right of the one before.
        begun = backups.begin_job(self._context, job_id)
        if begun is None:
            return "ended"
        attempt, nodes = begun
        problem = self._step("check_bucket", job_id)
        for node in nodes:
            problem = problem or self._step("back_up_node", job_id, attempt, node)
        if problem != _SUPERSEDED:
            # At least a moment: DBOS does not record a sleep of nothing, and a step that one run recorded and the run
            # after a restart leaves out ends the workflow in an error.
            DBOS.sleep(max(1, backups.remaining_ms(self._context, job_id, self._visible_ms)) / 1000)
            problem = self._step("finish_job", job_id, attempt, problem)
        if problem and problem != _SUPERSEDED:  # the manifest could not be written: the bucket failed just now
            problem = self._step("finish_job", job_id, attempt, problem)
        return problem or "finished"

    def _step(self, action: str, *arguments: Any) -> str:
        return DBOS.run_step({"name": action}, self._guarded, action, *arguments)

    def _guarded(self, action: str, *arguments: Any) -> str:
        """Run one action of `service.backups`; '' or what failed, with its code."""
        try:
            getattr(backups, action)(self._context, *arguments)
        except JobSuperseded:
            return _SUPERSEDED
        except JobError as error:
            return str(error)
        except OperationalError as error:
            _log.exception("database failed", action=action, job_id=arguments[0])
            return str(CatalogueError(f"the database failed: {error.orig}; check its disk and that it runs"))
        except Exception:
            _log.exception("job step failed", action=action, job_id=arguments[0])
            return str(JobInternal("unexpected error; the service's log tells more under this job id"))
        return ""
