"""Starting backups, listing their records, and running a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from shlex import quote
from threading import Event
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from sqlalchemy import Connection

from logkeep.database import archive, clusters, job_nodes, jobs, log_settings
from logkeep.database.connection import reading, writing
from logkeep.domain.backup_job import BackupJob, JobStatus, JobType, StatusFilter
from logkeep.domain.cluster import Cluster, Node
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.policy import missed_moment, next_start
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.engine.backup import NodeBackup
from logkeep.engine.bandwidth import Bandwidth
from logkeep.engine.forecast import forecast_margins
from logkeep.engine.node_state import Outcome, Target
from logkeep.engine.segment import SIZES
from logkeep.engine.stoppable import StoppableSource
from logkeep.errors import (
    BackupClosed,
    BackupRunning,
    CatalogueError,
    ClusterNotFound,
    InvalidField,
    JobCancelled,
    JobError,
    JobHandedOver,
    JobInternal,
    JobSuperseded,
    SourceError,
    SourceUnreachable,
)
from logkeep.service.catalogue import JobCatalogue
from logkeep.service.context import Context
from logkeep.service.forecasts import look_ahead
from logkeep.service.heads import take_up
from logkeep.service.manifests import record_manifest, withdraw_manifest, write_manifest
from logkeep.service.members import follow_members
from logkeep.service.meter import EndedJob
from logkeep.service.node_threads import run_some_at_once
from logkeep.service.sources import open_source
from logkeep.service.stores import job_store
from logkeep.service.turns import Turn
from logkeep.stores.layout import cluster_folder

_LONGEST_MESSAGE = 2000
# Started per call, so that a call stays short; the queue limits how many run.
_STARTS_AT_ONCE = 100
_SLICE_SECONDS = 5.0  # time for segments being uploaded when this process is stopping
_log = structlog.get_logger("logkeep.backups")


def start_backup(context: Context, cluster: Cluster, job_type: JobType = JobType.MANUAL) -> BackupJob:
    """Insert the record and enqueue the work in one transaction. Raises `BackupClosed`, `BackupRunning`."""
    with writing(context.database) as connection:
        setting = log_settings.lock_setting(connection, cluster.id)
        if setting is None or not setting.enabled:
            raise BackupClosed()
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
        return _start(context, connection, setting, job_type)


def start_due_backups(context: Context) -> list[BackupJob]:
    """Start the automatic backups that are due; a daily one missed while no process ran starts once, late."""
    return [*_start_daily(context), *_start_extra(context)]


def _start_daily(context: Context) -> list[BackupJob]:
    """Start daily backups. A clock set back neither repeats recent starts nor suppresses those of the next days."""
    started: list[BackupJob] = []
    now, rules = context.clock.now_ms(), context.policy
    with reading(context.database) as connection:
        too_far = log_settings.fetch_planned_after(connection, now + rules.farthest_ms, _STARTS_AT_ONCE)
        due = log_settings.fetch_due(connection, now, _STARTS_AT_ONCE)
    for setting, planned in too_far:
        with writing(context.database) as connection:
            log_settings.move_due(connection, setting.cluster_id, planned, _next_start(context, setting, now), None)
    for setting, due_at in due:
        following, missed = _next_start(context, setting, now), missed_moment(due_at, now)
        with _unchanged(context, setting) as connection:
            if connection and log_settings.move_due(connection, setting.cluster_id, due_at, following, missed):
                started.append(_start(context, connection, setting))
    return started


def _next_start(context: Context, setting: LogSetting, now: int) -> int:
    return next_start(setting.period or "", setting.cluster_id, now, context.policy.spread_ms)


def _start_extra(context: Context) -> list[BackupJob]:
    """Start extra backups, which run before a node deletes lines that are not backed up."""
    started: list[BackupJob] = []
    with reading(context.database) as connection:
        due = log_settings.fetch_extra_runs(connection, context.clock.now_ms(), _STARTS_AT_ONCE)
    for setting, moment in due:
        with _unchanged(context, setting) as connection:
            if connection and log_settings.claim_extra(connection, setting.cluster_id, moment):
                started.append(_start(context, connection, setting))
    return started


@contextmanager
def _unchanged(context: Context, setting: LogSetting) -> Generator[Connection | None]:
    """Open a transaction that locks the setting. Yields None if it has changed, or a job of its cluster is running.

    Nothing is lost then: a daily start stays due until the job has ended, and an extra one is planned again by the job.
    """
    with writing(context.database) as connection:
        same = log_settings.lock_setting(connection, setting.cluster_id) == setting
        yield connection if same and not jobs.fetch_running_job(connection, setting.cluster_id) else None


def _start(
    context: Context, connection: Connection, setting: LogSetting, job_type: JobType = JobType.AUTO
) -> BackupJob:
    job = _new_job(context, connection, setting, job_type)
    jobs.insert_job(connection, job, agency=setting.agency)
    context.enqueue(connection, job.job_id, job_type is JobType.MANUAL)
    return job


def _new_job(context: Context, connection: Connection, setting: LogSetting, job_type: JobType) -> BackupJob:
    # Later than the previous job even if the clock was set back: clients take the first of the list for the newest.
    created_at = max(context.clock.now_ms(), jobs.fetch_last_created(connection, setting.cluster_id) + 1)
    return BackupJob(
        id=str(uuid4()),
        job_id=uuid4().hex,
        cluster_id=setting.cluster_id,
        type=job_type,
        status=JobStatus.RUNNING,
        bucket=setting.bucket,
        base_path=setting.base_path,
        created_at=created_at,
    )


def list_jobs(
    context: Context,
    project_id: str,
    cluster_id: str,
    *,
    offset: int = 1,
    limit: int = 10,
    status: StatusFilter = StatusFilter.ALL,
    at_once: bool = False,
) -> tuple[list[BackupJob], int]:
    """Return one page, newest first and ties by id, and the number of all that pass the filter; `offset` counts from 1.

    Raises `ClusterNotFound` if the project has no such cluster. With `at_once`, raises `NotAtOnce` for a page that is
    too slow to be read on the event loop.
    """
    page = jobs.fetch_job_page(
        context.database, project_id, cluster_id, offset=offset - 1, limit=limit, status=status, at_once=at_once
    )
    if page is None:
        raise ClusterNotFound()
    return page


def get_job(context: Context, cluster: Cluster, job_id: str) -> BackupJob:
    """Return a job of the cluster. Raises `InvalidField` if there is none with this id."""
    with reading(context.database) as connection:
        job = jobs.fetch_job(connection, job_id)
    if job is None or job.cluster_id != cluster.id:
        raise InvalidField("job_id", "the cluster has no such job")
    return job


def cancel_job(context: Context, project_id: str, job_id: str) -> None:
    """End a RUNNING job as FAIL immediately, whether it is queued, running or hanging. An ended job is left unchanged.

    Its worker finds its commits refused, and stops within seconds. The next manifest of the cluster lists the segments
    stored so far, as after a bucket failed. Raises `InvalidField` if the project has no such job.
    """
    with writing(context.database) as connection:
        found = jobs.fetch_project_job(connection, project_id, job_id)
        if found is None:
            raise InvalidField("job_id", "the project has no such job")
        job, attempt = found
        if not jobs.is_current_attempt(connection, job_id, attempt):  # locks the row: the job cannot end meanwhile
            return
        met = archive.fetch_findings(connection, job_id)
        failures = [str(JobCancelled()), *met.failures]
        ended = _ended(context, job, failures)
        _record_end(connection, ended)
    context.meter.count_job(_counted(context, ended, met, failures))


def list_running(context: Context) -> list[tuple[str, str]]:
    """Return job id and cluster id of every RUNNING job."""
    with reading(context.database) as connection:
        return jobs.fetch_running(connection)


# Running a job ----------------------------------------------------------------------------------------------------


def carry_out(context: Context, job_id: str, visible_ms: int = 0) -> None:
    """Run a job from where earlier attempts stopped. Safe to call again after a crash, and while another attempt runs.

    The result is written to the job's record, which stays RUNNING for at least `visible_ms`. Raises `JobSuperseded` if
    another attempt has begun, `JobHandedOver` if this process is stopping, `TurnOver` if the job has to queue behind
    others, and `CatalogueError` if the database fails, as then the failure could not be recorded either.
    """
    attempt = begin_job(context, job_id)
    if attempt is None:
        return
    failure = (
        _failure_of(check_bucket, context, job_id)
        or _failure_of(take_up, context, job_id, attempt)
        or _failure_of(back_up_nodes, context, job_id, attempt)
    )
    stay_visible(context, job_id, visible_ms)
    failure = _failure_of(finish_job, context, job_id, attempt, failure)
    if failure:  # the manifest could not be written: end the job as FAIL, without one
        finish_job(context, job_id, attempt, failure)


def _failure_of(action: Callable[..., None], context: Context, job_id: str, *arguments: Any) -> str:
    """Run `action`, and return why it failed, with its code; '' on success."""
    try:
        action(context, job_id, *arguments)
    except (JobSuperseded, JobHandedOver, CatalogueError):
        raise
    except JobError as error:
        return str(error)
    except Exception:
        _log.exception("job failed", action=action.__name__, job_id=job_id)
        return str(JobInternal("unexpected error; the service's log tells more under this job id"))
    return ""


def begin_job(context: Context, job_id: str) -> int | None:
    """Begin a new attempt and return its number; earlier attempts can no longer commit. None if the job has ended."""
    with writing(context.database) as connection:
        return jobs.begin_attempt(connection, job_id)


def back_up_nodes(context: Context, job_id: str, attempt: int) -> None:
    """Back up what is new on each node, `nodes_at_once` in parallel; skip nodes that an earlier attempt finished.

    Files that could not be read are recorded as the job's failures. Raises a `StoreError` if the bucket fails,
    `JobSuperseded` if another attempt has begun, `JobHandedOver` if this process is stopping, `TurnOver` if others
    wait.
    """
    job, cluster = _job_and_cluster(context, job_id)
    turn = Turn(context.turn_seconds, context.others_wait)
    catalogue = JobCatalogue(
        database=context.database,
        cluster_id=cluster.id,
        job_id=job_id,
        attempt=attempt,
        stopping=context.stopping,
        turn=turn,
    )
    follow_members(context, cluster, catalogue, job_id, attempt)
    job, cluster = _job_and_cluster(context, job_id)
    with reading(context.database) as connection:
        ended = job_nodes.fetch_ended(connection, job_id)
    target = Target(
        store=job_store(context, job),
        bucket=job.bucket,
        folder=cluster_folder(job.base_path, cluster.name),
        job_id=job_id,
        attempt=attempt,
    )
    run = _Run(
        context=context,
        project_id=cluster.project_id,
        catalogue=catalogue,
        target=target,
        bandwidth=Bandwidth(context.cluster_bandwidth, context.bandwidth),
    )
    nodes = [partial(_back_up_node, run, node) for node in cluster.nodes if node.name not in ended]
    run_some_at_once(nodes, context.nodes_at_once, run.look)
    if len(cluster.nodes) > 1:
        catalogue.record_warnings(_shared(context, cluster))


def _shared(context: Context, cluster: Cluster) -> list[JobWarning]:
    """Return warnings about nodes that seem to share one log directory, whatever its names and mounts."""
    with reading(context.database) as connection:
        shared = archive.fetch_shared(connection, cluster.id, [node.name for node in cluster.nodes])
    return [
        JobWarning(
            node=node,
            family="",
            file=name,
            code=WarningCode.NODE_SHARED,
            message=f"its file {name!r} is also file {others!r} of node {other}: where both have one directory, all "
            "of it is kept twice; give each its own, or remove one: "
            f"`logkeep cluster update {quote(cluster.name)} --remove-node {quote(node)}`",
        )
        for node, other, name, others in shared
    ]


@dataclass(slots=True)
class _Run:
    """State of one attempt of a job, shared by the threads of its nodes."""

    context: Context
    project_id: str
    catalogue: JobCatalogue
    target: Target
    bandwidth: Bandwidth
    over: Event = field(default_factory=Event)  # set: the threads of the nodes stop in the middle of a file
    _ending_since: float | None = None

    def look(self) -> None:
        """Check that the attempt may go on. Called while nodes are read, because a thread may hang in a dead mount.

        Raises `JobSuperseded` if another attempt has begun or the job has ended, and `JobHandedOver` if this process is
        stopping and segments being uploaded have not finished within `_SLICE_SECONDS`.
        """
        try:
            with reading(self.context.database) as connection:
                attempt = jobs.fetch_attempt(connection, self.target.job_id)
        except CatalogueError:
            attempt = self.target.attempt  # unknown; the next commit checks it
        if attempt != self.target.attempt:
            self.over.set()
            raise JobSuperseded()
        if self.context.stopping.is_set():
            self._ending_since = self._ending_since or time.monotonic()
            if time.monotonic() - self._ending_since > _SLICE_SECONDS:
                self.over.set()
                raise JobHandedOver()


def _back_up_node(run: _Run, node: Node) -> None:
    context, catalogue, target = run.context, run.catalogue, run.target
    if context.stopping.is_set():
        raise JobHandedOver()
    node_name = node.name
    started_at = context.clock.now_ms()
    catalogue.begin_node(node_name, started_at)
    try:
        source = open_source(context, run.project_id, node.source)
        with ThreadPoolExecutor(1, thread_name_prefix="compress") as executor:
            outcome = NodeBackup(
                node=node_name,
                source=StoppableSource(source, run.over),
                target=target,
                catalogue=catalogue,
                clock=context.clock,
                executor=executor,
                settle_ns=context.settle_ns,
                sizes=SIZES,
                bandwidth=run.bandwidth,
                max_file_bytes=context.max_file_bytes,
            ).run()
        failures = outcome.all_failures()
        catalogue.record_margins(node_name, started_at, _margins(outcome))
    except SourceError as error:
        gone = node.gone_at is not None and isinstance(error, SourceUnreachable)  # NODE_GONE is warned of instead
        failures = [] if gone else [f"{error.code}: node {node_name}: {error.message}"]
    except JobError:
        raise
    except Exception:  # the other nodes are still backed up
        _log.exception("node was not backed up", node=node_name, job_id=target.job_id)
        told = f"unexpected error; the service's log tells more under job {target.job_id}"
        failures = [f"LK-INTERNAL: node {node_name}: {told}"]
    catalogue.end_node(node_name, context.clock.now_ms(), failures)


def _margins(outcome: Outcome) -> dict[str, int | None] | None:
    """Return how long (ms) each log may wait for its next backup; None if nothing on the node had changed."""
    if outcome.generations is None:
        return None
    return forecast_margins(outcome.generations, outcome.aside())


def check_bucket(context: Context, job_id: str) -> None:
    """Raise a `StoreError` if the job's bucket cannot be written; called before a node is read."""
    job, _ = _job_and_cluster(context, job_id)
    job_store(context, job).check()


def stay_visible(context: Context, job_id: str, visible_ms: int) -> None:
    """Wait while the record must still be seen RUNNING: clients look for it right after they started the job."""
    job, _ = _job_and_cluster(context, job_id)
    remaining_ms = min(visible_ms, job.created_at + visible_ms - context.clock.now_ms())
    time.sleep(max(0, remaining_ms) / 1000)


def finish_job(context: Context, job_id: str, attempt: int, store_failure: str = "") -> None:
    """Write the manifest and end the job: SUCCESS if nothing failed. Raises `JobSuperseded` or a `StoreError`."""
    job, cluster = _job_and_cluster(context, job_id)
    with reading(context.database) as connection:
        found = archive.fetch_findings(connection, job_id)
        new = archive.fetch_unlisted_segments(connection, cluster.id)
    failures = [store_failure, *found.failures] if store_failure else list(found.failures)
    ended = _ended(context, job, failures)
    written = None if store_failure else write_manifest(context, ended, cluster, attempt, found, new)
    try:
        with writing(context.database) as connection:
            if not jobs.is_current_attempt(connection, job_id, attempt):
                raise JobSuperseded()
            _record_end(connection, ended)
            if written:
                record_manifest(connection, written)
    except JobSuperseded:
        if written:  # the job was cancelled meanwhile, so no manifest may say SUCCESS
            withdraw_manifest(context, job, written)
        raise
    context.meter.count_job(_counted(context, ended, found, failures))


def _ended(context: Context, job: BackupJob, failures: list[str]) -> BackupJob:
    status = JobStatus.FAIL if failures else JobStatus.SUCCESS
    message = _message(failures) if failures else None
    finished_at = max(context.clock.now_ms(), job.created_at)
    return msgspec.structs.replace(job, status=status, finished_at=finished_at, failed_msg=message)


def _record_end(connection: Connection, ended: BackupJob) -> None:
    finished_at = ended.finished_at or 0
    for one in look_ahead(connection, ended, finished_at):
        archive.insert_findings(connection, ended.job_id, one.node, [one])
    jobs.finish_job(connection, ended.job_id, ended.status, finished_at, ended.failed_msg)


def _counted(context: Context, ended: BackupJob, found: archive.Findings, failures: list[str]) -> EndedJob:
    with reading(context.database) as connection:
        raw, stored = archive.sum_segments(connection, ended.job_id)
    codes = [failure.partition(":")[0] for failure in failures]
    warned = [warning.code for warning in found.warnings]
    return EndedJob(
        job=ended, raw=raw, stored=stored, lost=[gap.at_least for gap in found.gaps], codes=codes, warnings=warned
    )


def _job_and_cluster(context: Context, job_id: str) -> tuple[BackupJob, Cluster]:
    with reading(context.database) as connection:
        job = jobs.fetch_job(connection, job_id)
        cluster = clusters.fetch_cluster(connection, job.cluster_id) if job else None
    if job is None or cluster is None:
        raise JobSuperseded("the job or its cluster was removed")
    return job, cluster


def _message(failures: list[str]) -> str:
    shown: list[str] = []
    for failure in failures:
        if shown and len("; ".join([*shown, failure])) > _LONGEST_MESSAGE:
            break
        shown.append(failure[:_LONGEST_MESSAGE])
    more = len(failures) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
