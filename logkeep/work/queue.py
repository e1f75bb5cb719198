"""Queue of backups, on DBOS, shared by all processes of an installation: one workflow for each job.

At most one job of a cluster is RUNNING, so no order within a cluster is needed, and no cluster gets two turns before
another has one. Jobs are served oldest first; one started by a user counts as an hour older. A job whose turn is over
gives up its slot and queues again as a new one.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from dbos import DBOS, DBOSClient, EnqueueOptions, Serializer, WorkflowStatus
from sqlalchemy import Connection, Engine

from logkeep.database.connection import naming_failures
from logkeep.domain.worker import QUEUE_VERSION

APP = "logkeep"
QUEUE = "backups"
WORKFLOW = "back_up"
_UNDER_WAY = "PENDING"
_WAITING = ["ENQUEUED", "DELAYED"]
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_HEAD_START = 3600  # seconds by which a job started by a user counts as older
_BEGINNING = 1_700_000_000  # Unix seconds of priority 0
_BATCH, _BATCHES = 500, 20  # workflows of one transaction, and transactions of one call that deletes
_log = structlog.get_logger("logkeep.work")
logging.getLogger("dbos").setLevel(logging.ERROR)  # it warns of each attempt while the database is away


class Json(Serializer):
    """Serializer of DBOS's values: readable, and unlike pickle executes nothing when it is read."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "logkeep_json"


def prepare_database(url: str) -> None:
    """Create or upgrade the queue's own tables; safe in two processes at the same time."""
    DBOS.migrate(url)


class Queue:
    """Enqueues jobs, and requeues those that no worker carries out."""

    def __init__(self, database: Engine) -> None:
        self._client = DBOSClient(system_database_engine=database, application_name=APP, serializer=Json(), lazy=True)
        self._lost: set[str] = set()  # workflows found lost by the last `take_over`

    def enqueue(self, connection: Connection, job_id: str, by_hand: bool) -> None:
        """Enqueue a job in the caller's transaction, so that an accepted call is never lost."""
        self._client.enqueue_in_transaction(connection, _options(job_id, _priority(time.time(), by_hand)), job_id)

    @naming_failures()
    def enqueue_stranded(self, running: Iterable[str], served: Collection[str]) -> None:
        """Enqueue each RUNNING job whose workflow has ended; safe to call at any time.

        A job that waits for workers of a queue version that is not in `served` is enqueued again too. Nothing is stored
        twice.
        """
        active = self._list([_UNDER_WAY, *_WAITING])
        if served:
            left = [one.workflow_id for one in active if one.app_version not in served and one.status in _WAITING]
            self._client.cancel_workflows(left)
            active = [one for one in active if one.workflow_id not in left]
        known = {workflow.workflow_id.partition("-")[0] for workflow in active}
        for job_id in running:
            if job_id not in known:
                self._enqueue_again(job_id)

    @naming_failures()
    def enqueue_behind(self, job_id: str, idle_seconds: float = 0.0) -> None:
        """Enqueue a job whose turn is over behind all that wait now.

        One that has nothing to do for `idle_seconds` is taken out after them, like one that a user starts then.
        """
        self._enqueue_again(job_id, idle_seconds)

    def _enqueue_again(self, job_id: str, idle_seconds: float = 0.0) -> None:
        """Enqueue under a workflow id that the job has not had.

        Old workflows are deleted, the newest last, so a number above the remaining ones is new.
        """
        earlier = self._client.list_workflows(workflow_id_prefix=job_id, load_input=False, load_output=False)
        number = max((int(one.workflow_id.partition("-")[2] or 0) for one in earlier), default=0) + 1
        priority = _priority(time.time() + idle_seconds, by_hand=bool(idle_seconds))
        options = _options(job_id, priority, f"{job_id}-{number}")
        if idle_seconds:
            options["delay_seconds"] = idle_seconds
        self._client.enqueue(options, job_id)

    @naming_failures()
    def others_wait(self) -> bool:
        """Return whether any job waits for a slot."""
        waiting = self._client.list_workflows(
            status="ENQUEUED", queue_name=QUEUE, limit=1, load_input=False, load_output=False
        )
        return bool(waiting)

    @naming_failures()
    def take_over(self, worker_id: str, running: Collection[str], alive: Collection[str]) -> None:
        """Requeue workflows of workers that are not `alive` (ids), and those that this worker has lost.

        A workflow is lost if it is assigned to this worker and no thread carries it out (`running`, workflow ids):
        the database failed it, and could not record its end either. It is requeued when two calls in a row find it
        lost, as at the first it may just be beginning or ending.
        """
        lost: set[str] = set()
        for workflow in self._list([_UNDER_WAY]):
            if workflow.executor_id == worker_id:
                if workflow.workflow_id not in running:
                    lost.add(workflow.workflow_id)
            elif workflow.executor_id not in alive:
                self._give_back(workflow.workflow_id, workflow.executor_id, "its worker is not alive")
        for workflow_id in lost & self._lost:
            self._give_back(workflow_id, worker_id, "the database had failed it")
        self._lost = lost

    @naming_failures()
    def hand_over(self, worker_id: str) -> None:
        """Requeue all workflows of this worker, which is stopping."""
        for workflow in self._list([_UNDER_WAY]):
            if workflow.executor_id == worker_id:
                self._give_back(workflow.workflow_id, worker_id, "its worker is ending")

    def _give_back(self, workflow_id: str, worker_id: str | None, reason: str) -> None:
        # Not a public call of DBOS. It changes the row only while it is still assigned to this worker, so any number
        # of processes may call it at the same time. Results that the worker records afterwards are refused.
        system = self._client._sys_db  # pyright: ignore[reportPrivateUsage]
        given = worker_id and system.reenqueue_for_recovery(workflow_id, [worker_id], QUEUE)
        if given:
            job_id = workflow_id.partition("-")[0]
            _log.warning("backup taken over", job_id=job_id, worker=worker_id, reason=reason)

    @naming_failures()
    def forget_ended(self, kept: timedelta) -> None:
        """Delete workflows that ended longer ago, oldest first, some at each call. The records of their jobs stay."""
        before = (datetime.now(UTC) - kept).isoformat()
        for _ in range(_BATCHES):
            ended = self._client.list_workflows(
                name=WORKFLOW,
                status=_ENDED,
                completed_before=before,
                limit=_BATCH,
                load_input=False,
                load_output=False,
            )
            if ended:
                self._client.delete_workflows([workflow.workflow_id for workflow in ended])
            if len(ended) < _BATCH:
                return

    def _list(self, status: list[str]) -> list[WorkflowStatus]:
        return self._client.list_workflows(status=status, queue_name=QUEUE, load_input=False, load_output=False)

    def close(self) -> None:
        self._client.destroy()


def _priority(now: float, by_hand: bool) -> int:
    """Return the priority, lower first. It goes by time, so no job waits for ever behind those that users start."""
    return max(1, int(now) - _BEGINNING - (_HEAD_START if by_hand else 0))


def _options(job_id: str, priority: int, workflow_id: str = "") -> EnqueueOptions:
    return {
        "queue_name": QUEUE,
        "workflow_name": WORKFLOW,
        "workflow_id": workflow_id or job_id,
        "priority": priority,
        "app_version": QUEUE_VERSION,
        "application_name": APP,
    }
