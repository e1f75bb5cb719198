"""The durable queue: one workflow per job, one job per cluster at a time, on DBOS.

The only folder that knows DBOS. A workflow is thin: it calls `service.backups` step by step, and DBOS goes on at the
first step that was not finished when a process died.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

import structlog
from dbos import DBOS, DBOSClient, EnqueueOptions, Serializer
from sqlalchemy import Connection, Engine

from logkeep.database.connection import naming_failures
from logkeep.errors import JobError, JobInternal, JobSuperseded
from logkeep.service import backups
from logkeep.service.context import Context

_APP = "logkeep"
_APP_VERSION = "1"  # raise it when the order of the steps in `_back_up` changes
_QUEUE = "backups"
_WORKFLOW = "back_up"
_UNDER_WAY = "PENDING"
_ACTIVE = [_UNDER_WAY, "ENQUEUED", "DELAYED"]
_SUPERSEDED = "superseded"
# The name of `stay_visible`, as earlier versions recorded it. Not a sleep of DBOS: one that is taken up again waits for
# a time of day, which is far off where the clock was set back.
_STAY_VISIBLE = "DBOS.sleep"
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
        self._lost: set[str] = set()  # at the last look

    def __call__(self, connection: Connection, job_id: str, cluster_id: str) -> None:
        self._client.enqueue_in_transaction(connection, _options(job_id, cluster_id), job_id)

    @naming_failures()
    def enqueue_stranded(self, running: Iterable[tuple[str, str]]) -> None:
        """Give each RUNNING job (job id, cluster id) whose workflow has ended a new one; safe to call at any time."""
        active = {workflow_id.partition("-")[0] for workflow_id in self._list(_ACTIVE)}
        for job_id, cluster_id in running:
            if job_id not in active:
                earlier = self._client.list_workflows(workflow_id_prefix=job_id, load_input=False, load_output=False)
                self._client.enqueue(_options(job_id, cluster_id, f"{job_id}-{len(earlier)}"), job_id)

    @naming_failures()
    def resume_lost(self, carried_out: Collection[str]) -> None:
        """Take up again what counts as under way, though no thread of this process carries it out (workflow ids).

        So it is when the database failed a workflow, and could not keep its end either. One that is lost only at this
        call may just be beginning or ending; call it again.
        """
        lost = {workflow_id for workflow_id in self._list([_UNDER_WAY]) if workflow_id not in carried_out}
        if again := lost & self._lost:
            self._client.resume_workflows(list(again), queue_name=_QUEUE)
            _log.warning("backups are taken up again", workflows=sorted(again))
        self._lost = lost - again

    def _list(self, status: list[str]) -> list[str]:
        found = self._client.list_workflows(status=status, queue_name=_QUEUE, load_input=False, load_output=False)
        return [workflow.workflow_id for workflow in found]

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
        self.carried_out: set[str] = set()  # ids of the workflows that a thread works on
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
            workflow_id = str(DBOS.workflow_id)
            self.carried_out.add(workflow_id)
            try:
                return self._back_up(job_id)
            finally:
                self.carried_out.discard(workflow_id)

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
            self._step("stay_visible", job_id, self._visible_ms, name=_STAY_VISIBLE)
            problem = self._step("finish_job", job_id, attempt, problem)
        if problem and problem != _SUPERSEDED:  # the manifest could not be written: the bucket failed just now
            problem = self._step("finish_job", job_id, attempt, problem)
        return problem or "finished"

    def _step(self, action: str, *arguments: Any, name: str = "") -> str:
        return DBOS.run_step({"name": name or action}, self._guarded, action, *arguments)

    def _guarded(self, action: str, *arguments: Any) -> str:
        """Run one action of `service.backups`; '' or what failed, with its code."""
        try:
            getattr(backups, action)(self._context, *arguments)
        except JobSuperseded:
            return _SUPERSEDED
        except JobError as error:
            return str(error)
        except Exception:
            _log.exception("job step failed", action=action, job_id=arguments[0])
            return str(JobInternal("unexpected error; the service's log tells more under this job id"))
        return ""
