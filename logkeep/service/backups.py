"""Starting backups, listing their records, and cancelling a job."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import Connection

from logkeep.database import clusters, findings, jobs, log_settings, missed_runs, project_records, segments
from logkeep.database.connection import reading, writing
from logkeep.domain.backup_job import BackupJob, JobStatus, JobType, StatusFilter
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.policy import missed_moment, missed_moments, next_start
from logkeep.errors import BackupClosed, BackupRunning, ClusterNotFound, InvalidField, JobCancelled
from logkeep.service.job_end import count_job, end_job, record_end
from logkeep.service.runtime import Runtime

_MAX_STARTS = 100  # per call, so that a call stays short; the queue limits how many run


def start_backup(
    runtime: Runtime, cluster: Cluster, job_type: JobType = JobType.MANUAL, *, repair: bool = False
) -> BackupJob:
    """Insert the record and enqueue the work in one transaction. Raises `BackupClosed`, `BackupRunning`.

    With `repair`, the job also keeps again what verifications found missing or damaged, as far as nodes still have it.
    """
    with writing(runtime.database) as connection:
        setting = log_settings.lock_setting(connection, cluster.id)
        if setting is None or not setting.enabled:
            raise BackupClosed()
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
        if repair:
            segments.ask_for_damaged(connection, cluster.id)
        return _start(runtime, connection, setting, job_type)


def start_due_backups(runtime: Runtime) -> list[BackupJob]:
    """Start the automatic backups that are due; a daily one missed while no process ran starts once, late."""
    return [*_start_daily(runtime), *_start_extra(runtime)]


def _start_daily(runtime: Runtime) -> list[BackupJob]:
    """Start daily backups. A clock set back neither repeats recent starts nor suppresses those of the next days."""
    started: list[BackupJob] = []
    now, rules = runtime.clock.now_ms(), runtime.policy
    with reading(runtime.database) as connection:
        too_far = log_settings.fetch_planned_after(connection, now + rules.farthest_ms, _MAX_STARTS)
        due = log_settings.fetch_due(connection, now, _MAX_STARTS)
    for setting, planned in too_far:
        with writing(runtime.database) as connection:
            log_settings.move_due(connection, setting.cluster_id, planned, _next_start(runtime, setting, now), None)
    for setting, due_at in due:
        following, missed = _next_start(runtime, setting, now), missed_moment(due_at, now)
        with _unchanged(runtime, setting) as connection:
            if connection and log_settings.move_due(connection, setting.cluster_id, due_at, following, missed):
                job = _start(runtime, connection, setting)
                missed_runs.save_missed(connection, setting.cluster_id, missed_moments(due_at, now), job.job_id)
                started.append(job)
    return started


def _next_start(runtime: Runtime, setting: LogSetting, now: int) -> int:
    return next_start(setting.period or "", setting.cluster_id, now, runtime.policy.spread_ms)


def _start_extra(runtime: Runtime) -> list[BackupJob]:
    """Start extra backups, which run before a node deletes lines that are not backed up."""
    started: list[BackupJob] = []
    with reading(runtime.database) as connection:
        due = log_settings.fetch_extra_runs(connection, runtime.clock.now_ms(), _MAX_STARTS)
    for setting, moment in due:
        with _unchanged(runtime, setting) as connection:
            if connection and log_settings.claim_extra(connection, setting.cluster_id, moment):
                started.append(_start(runtime, connection, setting))
    return started


@contextmanager
def _unchanged(runtime: Runtime, setting: LogSetting) -> Generator[Connection | None]:
    """Open a transaction that locks the setting. Yields None if it has changed, or a job of its cluster is running.

    Nothing is lost then: a daily start stays due until the job has ended, and an extra one is planned again by the job.
    """
    with writing(runtime.database) as connection:
        same = log_settings.lock_setting(connection, setting.cluster_id) == setting
        yield connection if same and not jobs.fetch_running_job(connection, setting.cluster_id) else None


def _start(
    runtime: Runtime, connection: Connection, setting: LogSetting, job_type: JobType = JobType.AUTO
) -> BackupJob:
    job = _new_job(runtime, connection, setting, job_type)
    jobs.insert_job(connection, job, agency=setting.agency)
    runtime.enqueue(connection, job.job_id, job_type is JobType.MANUAL)
    return job


def _new_job(runtime: Runtime, connection: Connection, setting: LogSetting, job_type: JobType) -> BackupJob:
    # Later than the previous job even if the clock was set back: clients take the first of the list for the newest.
    created_at = max(runtime.clock.now_ms(), jobs.fetch_last_created(connection, setting.cluster_id) + 1)
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
    runtime: Runtime,
    project_id: str,
    cluster_id: str,
    *,
    offset: int = 0,
    limit: int = 10,
    status: StatusFilter = StatusFilter.ALL,
) -> tuple[list[BackupJob], int]:
    """Return one page, newest first and ties by id, and the number of all that pass the filter; `offset` counts from 0.

    Raises `ClusterNotFound` if the project has no such cluster, and `WouldBlock` for a page that is too slow for the
    runtime's reader.
    """
    page = jobs.fetch_job_page(runtime.reader, project_id, cluster_id, offset=offset, limit=limit, status=status)
    if page is None:
        raise ClusterNotFound()
    return page


def list_project_jobs(
    runtime: Runtime, project_id: str, *, offset: int = 0, limit: int = 10, status: StatusFilter = StatusFilter.ALL
) -> tuple[list[tuple[BackupJob, str]], int]:
    """Return the same of all clusters of a project, each with the name of its cluster."""
    with reading(runtime.database) as connection:
        return project_records.fetch_project_page(connection, project_id, offset=offset, limit=limit, status=status)


def cancel_job(runtime: Runtime, project_id: str, job_id: str) -> None:
    """End a RUNNING job as FAIL immediately, whether it is queued, running or hanging. An ended job is left unchanged.

    Its worker finds its commits refused, and stops within seconds. The next manifest of the cluster lists the segments
    stored so far, as after a bucket failed. Raises `InvalidField` if the project has no such job.
    """
    with writing(runtime.database) as connection:
        found = jobs.fetch_project_job(connection, project_id, job_id)
        if found is None:
            raise InvalidField("job_id", "the project has no such job")
        job, attempt = found
        if not jobs.is_current_attempt(connection, job_id, attempt):  # locks the row: the job cannot end meanwhile
            return
        cluster = clusters.fetch_cluster(connection, job.cluster_id)
        met = findings.fetch_findings(connection, job_id)
        failures = [str(JobCancelled()), *met.failures]
        ended = end_job(runtime, job, failures)
        record_end(connection, ended, runtime.clock.now_ms(), attempt=attempt)
        kept = segments.sum_segments(connection, job_id)
    count_job(runtime, ended, met, failures, kept, cluster_name=cluster.name if cluster else "")


def list_running(runtime: Runtime) -> list[tuple[str, str]]:
    """Return job id and cluster id of every RUNNING job."""
    with reading(runtime.database) as connection:
        return jobs.fetch_running(connection)
