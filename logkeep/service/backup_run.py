"""Run of a job: check its bucket, back up each node, end its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from shlex import quote
from threading import Event

import structlog

from logkeep.backup.bandwidth import Bandwidth
from logkeep.backup.forecast import forecast_margins
from logkeep.backup.node_backup import NodeBackup
from logkeep.backup.node_state import Outcome, Target
from logkeep.backup.read_ahead import ReadAhead
from logkeep.backup.repair import NodeRepair
from logkeep.backup.segment import SIZES
from logkeep.backup.stoppable import StoppableSource
from logkeep.backup.uploads import THREADS
from logkeep.database import clusters, findings, generations, job_nodes, jobs, keys, segments
from logkeep.database.connection import reading, writing
from logkeep.domain.backup_job import JobType
from logkeep.domain.cluster import Cluster, Node, Project
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.errors import (
    CatalogueError,
    JobError,
    JobHandedOver,
    JobInternal,
    JobSuperseded,
    MemoryShort,
    SourceError,
    SourceUnreachable,
    StoreError,
    TurnOver,
)
from logkeep.service.catalogue import JobCatalogue
from logkeep.service.heads import take_up
from logkeep.service.job_end import count_job, end_job, record_end
from logkeep.service.job_log import log_attempt
from logkeep.service.manifests import draft_manifest, record_manifest, withdraw_manifest, write_manifest
from logkeep.service.members import follow_members
from logkeep.service.node_threads import run_concurrently
from logkeep.service.removal_entries import take_up_entries
from logkeep.service.repair import SegmentRepair, give_up_removed
from logkeep.service.runtime import Runtime
from logkeep.service.sources import open_source
from logkeep.service.stores import agency_stores
from logkeep.service.turns import Turn
from logkeep.sources.base import Tenant
from logkeep.stores.base import ObjectStore, find_store
from logkeep.stores.layout import cluster_folder

_LOOK_SECONDS = 0.5  # between two looks whether others wait for a slot in which nothing is done
_SLICE_SECONDS = 5.0  # time for segments being uploaded when this process is stopping
_log = structlog.get_logger("logkeep.backups")


def run_job(runtime: Runtime, job_id: str, visible_ms: int = 0) -> None:
    """Run a job from where earlier attempts stopped. Safe to call again after a crash, and while another attempt runs.

    The result is written to the job's record; one started by hand stays RUNNING for at least `visible_ms`. Raises
    `JobSuperseded` if another attempt has begun, `JobHandedOver` if this process is stopping, `TurnOver` if the job has
    to queue behind others, and `CatalogueError` if the database fails, as then no failure could be recorded either.
    """
    run = begin_run(runtime, job_id)
    if run is None:
        return
    failure = _failure_of(run.check, job_id) or _failure_of(run.back_up, job_id)
    run.stay_visible(visible_ms, may_queue=not failure)
    failure = _failure_of(partial(run.finish, failure), job_id)
    if failure:  # the manifest could not be written: end the job as FAIL, without one
        run.finish(failure)


def _failure_of(step: Callable[[], None], job_id: str) -> str:
    """Run a step, and return why it failed, with its code; '' on success."""
    try:
        step()
    except (JobSuperseded, JobHandedOver, CatalogueError):
        raise
    except JobError as error:
        return str(error)
    except Exception:
        _log.exception("job failed", job_id=job_id)
        return str(JobInternal("unexpected error; the service's log tells more under this job id"))
    return ""


def begin_run(runtime: Runtime, job_id: str) -> BackupRun | None:
    """Begin a new attempt; earlier attempts can no longer commit. None if the job has ended."""
    with writing(runtime.database) as connection:
        attempt = jobs.begin_attempt(connection, job_id)
        cluster = clusters.fetch_cluster(connection, attempt.job.cluster_id) if attempt else None
        if attempt is None or cluster is None:
            return None
        [project] = keys.fetch_projects(connection, project_id=cluster.project_id)
    log_attempt(attempt.job, cluster, attempt.number)
    return BackupRun(runtime, attempt, cluster, project)


class BackupRun:
    """One attempt of a job. Its methods raise `JobSuperseded` once another attempt has begun."""

    def __init__(self, runtime: Runtime, attempt: jobs.Attempt, cluster: Cluster, project: Project) -> None:
        self.job = job = attempt.job
        self.attempt = attempt.number
        self._agency = attempt.agency
        self._runtime = runtime
        self._cluster = cluster
        self._project = project
        self._catalogue = JobCatalogue(
            database=runtime.database,
            cluster_id=cluster.id,
            job_id=job.job_id,
            attempt=attempt.number,
            stopping=runtime.stopping,
            turn=Turn(runtime.limits.turn_seconds, runtime.others_wait),
        )
        self._bandwidth = Bandwidth(runtime.limits.cluster_bandwidth, runtime.limits.bandwidth)
        self._asked: Collection[str] = ()  # nodes of segments that are to be kept again
        self._over = Event()  # set: the threads of the nodes stop in the middle of a file
        self._ending_since: float | None = None

    @cached_property
    def _store(self) -> ObjectStore:
        """The bucket of the job, with the credentials of the agency that was set when it started."""
        return find_store(agency_stores(self._runtime, self._agency), self.job.bucket)

    def check(self) -> None:
        """Check that the bucket can be written, and put manifests and removals that only it has into the catalogue.

        Called before a node is read. Raises a `StoreError`, `ChainForked`.
        """
        self._store.check()
        take_up(self._runtime, self.job, self._cluster, self.attempt)
        take_up_entries(self._runtime, self._cluster, self.job.bucket)

    def back_up(self) -> None:
        """Back up what is new on each node, some nodes in parallel; skip nodes that an earlier attempt finished.

        Files that could not be read are recorded as the job's failures. Raises a `StoreError` if the bucket fails,
        `JobHandedOver` if this process is stopping, `TurnOver` if others wait.
        """
        runtime, job, catalogue = self._runtime, self.job, self._catalogue
        self._cluster = cluster = follow_members(runtime, self._cluster, catalogue, job.job_id, self.attempt)
        with reading(runtime.database) as connection:
            ended = job_nodes.fetch_ended(connection, job.job_id)
            self._asked = segments.fetch_asked_nodes(connection, cluster.id)
            tenant = Tenant(self._project.name, alone=not keys.has_other_projects(connection, self._project.id))
        target = Target(
            store=self._store,
            bucket=job.bucket,
            folder=cluster_folder(job.base_path, cluster.name),
            job_id=job.job_id,
            attempt=self.attempt,
        )
        nodes = [partial(self._back_up_node, target, tenant, node) for node in cluster.nodes if node.name not in ended]
        run_concurrently(nodes, runtime.limits.concurrent_nodes, self._check_current)
        give_up_removed(runtime, cluster, catalogue, self._asked)
        if len(cluster.nodes) > 1:
            catalogue.record_warnings(_shared(runtime, cluster))

    def stay_visible(self, visible_ms: int, *, may_queue: bool = True) -> None:
        """Wait while the record must still be seen RUNNING: clients look for it right after they started the job.

        A job of a policy was started by no client. Raises `JobHandedOver` if this process is stopping, and `TurnOver`
        if others wait for the slot and the job `may_queue`: one that failed would begin anew.
        """
        if self.job.type is not JobType.MANUAL:
            return
        # At most `visible_ms` from now on, also where the clock was set back since.
        left_ms = min(visible_ms, self.job.created_at + visible_ms - self._runtime.clock.now_ms())
        end = time.monotonic() + left_ms / 1000
        while (left := end - time.monotonic()) > 0:
            if may_queue and self._runtime.others_wait():
                raise TurnOver(left)
            if self._runtime.stopping.wait(min(left, _LOOK_SECONDS)):
                raise JobHandedOver()

    def finish(self, failure: str = "") -> None:
        """End the job: SUCCESS if nothing failed. Write the manifest, unless `failure` says why none can be written.

        Raises a `StoreError`.
        """
        runtime, job = self._runtime, self.job
        with reading(runtime.database) as connection:
            found = findings.fetch_findings(connection, job.job_id)
            failures = [failure, *found.failures] if failure else list(found.failures)
            ended = end_job(runtime, job, failures)
            draft = None
            if not failure:
                draft = draft_manifest(runtime, connection, ended, self.attempt, self._cluster, self._project, found)
            kept = segments.sum_segments(connection, job.job_id)
        written = write_manifest(runtime, self._store, draft) if draft else None
        try:
            with writing(runtime.database) as connection:
                named_by = job.job_id if written else None
                record_end(connection, ended, runtime.clock.now_ms(), attempt=self.attempt, manifest_job_id=named_by)
                if written:
                    record_manifest(connection, written)
        except JobSuperseded:
            if written:  # the job was cancelled meanwhile, so no manifest may say SUCCESS
                withdraw_manifest(self._store, written)
            raise
        count_job(runtime, ended, found, failures, kept, cluster_name=self._cluster.name)

    def _check_current(self) -> None:
        """Check that the attempt may go on. Called while nodes are read, because a thread may hang in a dead mount.

        Raises `JobSuperseded` if another attempt has begun or the job has ended, and `JobHandedOver` if this process is
        stopping and segments being uploaded have not finished within `_SLICE_SECONDS`.
        """
        try:
            with reading(self._runtime.database) as connection:
                attempt = jobs.fetch_attempt(connection, self.job.job_id)
        except CatalogueError:
            attempt = self.attempt  # unknown; the next commit checks it
        if attempt != self.attempt:
            self._over.set()
            raise JobSuperseded()
        if self._runtime.stopping.is_set():
            self._ending_since = self._ending_since or time.monotonic()
            if time.monotonic() - self._ending_since > _SLICE_SECONDS:
                self._over.set()
                raise JobHandedOver()

    def _back_up_node(self, target: Target, tenant: Tenant, node: Node) -> None:
        runtime, catalogue, job_id = self._runtime, self._catalogue, self.job.job_id
        if runtime.stopping.is_set():
            raise JobHandedOver()
        started_at = runtime.clock.now_ms()
        catalogue.begin_node(node.name, started_at)
        try:
            outcome = self._read_node(target, tenant, node)
            failures = outcome.all_failures()
            catalogue.record_margins(node.name, started_at, _margins(outcome))
        except SourceError as error:
            gone = node.gone_at is not None and isinstance(error, SourceUnreachable)  # NODE_GONE is warned of instead
            failures = [] if gone else [f"{error.code}: node {node.name}: {error.message}"]
        except JobError as error:
            if isinstance(error, StoreError):  # the job fails, and the node is not begun again
                catalogue.flush(node.name)
            raise
        except MemoryError:
            _log.exception("too little memory to back up a node", node=node.name, job_id=job_id)
            failures = [f"{MemoryShort.code}: node {node.name}: {MemoryShort().message}"]
        except Exception:  # the other nodes are still backed up
            _log.exception("node was not backed up", node=node.name, job_id=job_id)
            told = f"unexpected error; the service's log tells more under job {job_id}"
            failures = [f"LK-INTERNAL: node {node.name}: {told}"]
        catalogue.end_node(node.name, runtime.clock.now_ms(), failures)

    def _read_node(self, target: Target, tenant: Tenant, node: Node) -> Outcome:
        runtime = self._runtime
        source = open_source(runtime, tenant, node.source)
        stoppable = StoppableSource(source, self._over)
        if node.name in self._asked:
            repair = SegmentRepair(runtime, self._cluster.id, node.name, self._catalogue)
            files = NodeRepair(stoppable, self._bandwidth, runtime.limits.max_file_bytes)
            stoppable.run(partial(repair.run, files))
        with ThreadPoolExecutor(THREADS, thread_name_prefix="store") as executor:
            return NodeBackup(
                node=node.name,
                source=ReadAhead(stoppable, runtime.clock) if source.remote else stoppable,
                target=target,
                catalogue=self._catalogue,
                clock=runtime.clock,
                executor=executor,
                settle_ns=runtime.limits.settle_ns,
                sizes=SIZES,
                bandwidth=self._bandwidth,
                max_file_bytes=runtime.limits.max_file_bytes,
            ).run()


def _shared(runtime: Runtime, cluster: Cluster) -> list[JobWarning]:
    """Return warnings about nodes that seem to share one log directory, whatever its names and mounts."""
    with reading(runtime.database) as connection:
        shared = generations.fetch_shared(connection, cluster.id, [node.name for node in cluster.nodes])
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


def _margins(outcome: Outcome) -> dict[str, int | None] | None:
    """Return how long (ms) each log may wait for its next backup; None if nothing on the node had changed."""
    if outcome.generations is None:
        return None
    return forecast_margins(outcome.generations, outcome.aside())
