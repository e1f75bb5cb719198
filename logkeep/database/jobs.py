"""Statements on backup jobs and their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Dialect,
    Insert,
    Integer,
    Select,
    String,
    bindparam,
    func,
    literal_column,
    select,
    update,
)

from logkeep.database.connection import of, upsert
from logkeep.database.records import reader, values
from logkeep.database.short_reads import Reader
from logkeep.database.tables import clusters, findings, job_counts, jobs
from logkeep.domain.backup_job import BackupJob, JobStatus, StatusFilter
from logkeep.domain.blocking import WouldBlock

JOB_COLUMNS = (
    jobs.c.id,
    jobs.c.job_id,
    jobs.c.cluster_id,
    jobs.c.type,
    jobs.c.status,
    jobs.c.bucket,
    jobs.c.base_path,
    jobs.c.created_at,
    jobs.c.finished_at,
    jobs.c.failed_msg,
)
PASSES = {
    StatusFilter.ALL: tuple(JobStatus),
    StatusFilter.FAIL: (JobStatus.FAIL,),
    StatusFilter.NOT_FAIL: (JobStatus.RUNNING, JobStatus.SUCCESS),
}
RUNNING = jobs.c.status == literal_column("'RUNNING'")  # as in the condition of the index, which is used by it
read_job = reader(BackupJob, tuple(column.name for column in JOB_COLUMNS))


class Attempt(NamedTuple):
    """An attempt of a job that may commit until another one begins."""

    job: BackupJob
    number: int
    agency: str  # with whose credentials it writes; '' for the service's own


def _count_statement(status: StatusFilter) -> Select[*tuple[Any, ...]]:
    """Select the number of records that match, as one row; no row if the project has no such cluster."""
    cluster_id = bindparam("cluster", type_=String)
    passing = [literal_column(f"'{one}'") for one in PASSES[status]]
    number = select(func.coalesce(func.sum(job_counts.c.jobs), literal_column("0"))).where(
        job_counts.c.cluster_id == cluster_id, job_counts.c.status.in_(passing)
    )
    mine = clusters.c.project_id == bindparam("project", type_=String)
    return select(number.scalar_subquery()).where(clusters.c.id == cluster_id, mine)


def _page_statement(status: StatusFilter, *, newest_first: bool) -> Select[*tuple[Any, ...]]:
    statement = select(*JOB_COLUMNS).where(jobs.c.cluster_id == bindparam("cluster", type_=String))
    if status is StatusFilter.FAIL:
        statement = statement.where(jobs.c.status == literal_column("'FAIL'"))
    elif status is StatusFilter.NOT_FAIL:
        statement = statement.where(jobs.c.status != literal_column("'FAIL'"))
    by = (jobs.c.created_at, jobs.c.id)
    statement = statement.order_by(*(column.desc() for column in by) if newest_first else by)
    return statement.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=Integer))


@cache
def _count_change(dialect: Dialect) -> Insert:
    """Add to a number of records; a `last_at` of None leaves what is there."""
    insert = upsert(dialect)(job_counts)
    changed = {
        "jobs": job_counts.c.jobs + insert.excluded.jobs,
        "last_at": func.coalesce(insert.excluded.last_at, job_counts.c.last_at),
    }
    return insert.on_conflict_do_update(index_elements=["cluster_id", "status"], set_=changed)


_COUNTS = {status: _count_statement(status) for status in StatusFilter}
_PAGES = {status: _page_statement(status, newest_first=True) for status in StatusFilter}
_PAGES_FROM_THE_END = {status: _page_statement(status, newest_first=False) for status in StatusFilter}
_OF_RUNNING = (*of(jobs.c.job_id), RUNNING)
_UNTOLD = (*of(jobs.c.cluster_id), jobs.c.manifest_job_id.is_(None), jobs.c.status != literal_column("'RUNNING'"))
_BEGIN = (
    update(jobs)
    .where(*_OF_RUNNING)
    .values(attempt=jobs.c.attempt + literal_column("1"))
    .returning(*JOB_COLUMNS, jobs.c.attempt, jobs.c.agency)
)
_ATTEMPT = select(jobs.c.attempt).where(*_OF_RUNNING)
_CURRENT = select(jobs.c.job_id).where(*_OF_RUNNING, *of(jobs.c.attempt)).with_for_update()
_FINISH = update(jobs).where(*_OF_RUNNING)
_FINISH_ATTEMPT = _FINISH.where(*of(jobs.c.attempt))
_RUNNING_OF = select(*JOB_COLUMNS).where(*of(jobs.c.cluster_id), RUNNING).limit(literal_column("1", Integer))
_FETCH_UNTOLD = select(*JOB_COLUMNS).where(*_UNTOLD).order_by(jobs.c.created_at, jobs.c.id)
_MARK_TOLD = update(jobs).where(*_UNTOLD)


def insert_job(
    connection: Connection,
    job: BackupJob,
    *,
    agency: str = "",
    attempt: int = 0,
    manifest_job_id: str | None = None,
) -> None:
    """Insert a new job, or a past one with its number of attempts and the job whose manifest names it."""
    more = {"agency": agency, "attempt": attempt, "manifest_job_id": manifest_job_id}
    connection.execute(jobs.insert().values(**values(jobs, job), **more))
    _count(connection, job.cluster_id, {job.status: 1}, job.finished_at)


def fetch_job(connection: Connection, job_id: str) -> BackupJob | None:
    row = connection.execute(select(*JOB_COLUMNS).where(jobs.c.job_id == job_id)).first()
    return read_job(row) if row else None


def fetch_project_job(connection: Connection, project_id: str, job_id: str) -> tuple[BackupJob, int] | None:
    """Return the job and its number of attempts, or None unless it is one of the project."""
    statement = select(*JOB_COLUMNS, jobs.c.attempt).join(clusters, clusters.c.id == jobs.c.cluster_id)
    row = connection.execute(statement.where(jobs.c.job_id == job_id, clusters.c.project_id == project_id)).first()
    return (read_job(row), row.attempt) if row else None


def fetch_traces(connection: Connection, job_ids: Sequence[str]) -> dict[str, tuple[str, JobStatus, int]]:
    """Return cluster, status and number of attempts of those jobs that exist."""
    statement = select(jobs.c.job_id, jobs.c.cluster_id, jobs.c.status, jobs.c.attempt)
    rows = connection.execute(statement.where(jobs.c.job_id.in_(list(job_ids))))
    return {row[0]: (row[1], JobStatus(row[2]), row[3]) for row in rows}


def fetch_targets(connection: Connection, cluster_id: str) -> list[tuple[str, str]]:
    """Return every bucket and base path that a job of the cluster was to write to."""
    statement = select(jobs.c.bucket, jobs.c.base_path).where(jobs.c.cluster_id == cluster_id).distinct()
    return [(row[0], row[1]) for row in connection.execute(statement)]


def fetch_running_job(connection: Connection, cluster_id: str) -> BackupJob | None:
    row = connection.execute(_RUNNING_OF, {"of_cluster_id": cluster_id}).first()
    return read_job(row) if row else None


def fetch_last_created(connection: Connection, cluster_id: str) -> int:
    """Return when the newest record of a cluster was created, 0 if it has none."""
    statement = select(func.max(jobs.c.created_at)).where(jobs.c.cluster_id == cluster_id)
    return connection.execute(statement).scalar() or 0


def fetch_last_successes(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, int]:
    """Return when the newest successful job of each cluster ended; clusters without one are left out."""
    c = job_counts.c
    statement = select(c.cluster_id, c.last_at).where(c.cluster_id.in_(list(cluster_ids)), c.last_at.is_not(None))
    return {row[0]: row[1] for row in connection.execute(statement.where(c.status == str(JobStatus.SUCCESS)))}


def fetch_newest_job(connection: Connection, cluster_id: str) -> BackupJob | None:
    statement = select(*JOB_COLUMNS).where(jobs.c.cluster_id == cluster_id)
    row = connection.execute(statement.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(1)).first()
    return read_job(row) if row else None


def fetch_success_after(connection: Connection, job: BackupJob) -> BackupJob | None:
    """Return a job of the same cluster that was started later and ended SUCCESS, the newest of them."""
    c = jobs.c
    later = c.cluster_id == job.cluster_id, c.status == JobStatus.SUCCESS, c.created_at > job.created_at
    row = connection.execute(select(*JOB_COLUMNS).where(*later).order_by(c.created_at.desc()).limit(1)).first()
    return read_job(row) if row else None


def fetch_running(connection: Connection) -> list[tuple[str, str]]:
    """Return job id and cluster id of every job that is RUNNING."""
    statement = select(jobs.c.job_id, jobs.c.cluster_id).where(RUNNING)
    return [(row.job_id, row.cluster_id) for row in connection.execute(statement)]


def fetch_job_page(
    reader: Reader, project_id: str, cluster_id: str, *, offset: int, limit: int, status: StatusFilter
) -> tuple[list[BackupJob], int] | None:
    """Return a page of records, newest first and ties by id, and the number of all. None if there is no such cluster.

    `offset` counts from 0. Clients make this call most, so a page of the older half is counted from the end. Raises
    `WouldBlock` for a page that lies too deep for the reader.
    """
    with reader.open() as ask:
        counted = ask(_COUNTS[status], {"project": project_id, "cluster": cluster_id})
        if not counted:
            return None
        total = int(counted[0][0])
        limit = min(limit, total - offset)
        if limit <= 0:
            return [], total
        from_end = total - offset - limit
        if min(offset, from_end) + limit > reader.max_rows:
            raise WouldBlock()
        if offset <= total // 2:
            rows = ask(_PAGES[status], {"cluster": cluster_id, "limit": limit, "offset": offset})
        else:
            values = {"cluster": cluster_id, "limit": limit, "offset": from_end}
            rows = ask(_PAGES_FROM_THE_END[status], values)[::-1]
    return [read_job(row) for row in rows], total


def begin_attempt(connection: Connection, job_id: str) -> Attempt | None:
    """Take the job over: from now on only this attempt may commit. None if the job has ended."""
    row = connection.execute(_BEGIN, {"of_job_id": job_id}).first()
    return Attempt(read_job(row), row.attempt, row.agency) if row else None


def fetch_attempt(connection: Connection, job_id: str) -> int | None:
    """Return the number of the attempt that may commit now; None if the job has ended or is gone."""
    return connection.execute(_ATTEMPT, {"of_job_id": job_id}).scalar()


def is_current_attempt(connection: Connection, job_id: str, attempt: int) -> bool:
    """Return whether this attempt may commit, and lock the job's row until the transaction ends."""
    return connection.execute(_CURRENT, {"of_job_id": job_id, "of_attempt": attempt}).first() is not None


def finish_job(
    connection: Connection,
    ended: BackupJob,
    now: int | None = None,
    *,
    attempt: int | None = None,
    manifest_job_id: str | None = None,
) -> bool:
    """Write the end of a RUNNING job, and the job whose manifest names it.

    Return False if it has ended already, or another attempt than `attempt` has begun, where one is given. Where the
    record's end lies behind `now` (Unix ms), as the clock was ahead before, that is the cluster's last end of this
    status.
    """
    end = {
        "of_job_id": ended.job_id,
        "status": ended.status,
        "finished_at": ended.finished_at,
        "failed_msg": ended.failed_msg,
        "manifest_job_id": manifest_job_id,
    }
    finish = _FINISH
    if attempt is not None:
        finish, end["of_attempt"] = _FINISH_ATTEMPT, attempt
    if not connection.execute(finish, end).rowcount:
        return False
    finished_at = ended.finished_at or 0
    last_at = finished_at if now is None else min(finished_at, now)
    _count(connection, ended.cluster_id, {JobStatus.RUNNING: -1, ended.status: 1}, last_at)
    return True


def fetch_untold_jobs(connection: Connection, cluster_id: str) -> list[BackupJob]:
    """Return the jobs that have ended and that no manifest names yet, oldest first."""
    return [read_job(row) for row in connection.execute(_FETCH_UNTOLD, {"of_cluster_id": cluster_id})]


def mark_job_told(connection: Connection, job_id: str, manifest_job_id: str) -> None:
    """Record that the manifest of `manifest_job_id` names this job."""
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(manifest_job_id=manifest_job_id))


def mark_reported(connection: Connection, cluster_id: str, manifest_job_id: str) -> None:
    """Record that the manifest of this job names all ended jobs that no manifest named before."""
    connection.execute(_MARK_TOLD, {"of_cluster_id": cluster_id, "manifest_job_id": manifest_job_id})


def delete_failed_jobs(connection: Connection, cluster_id: str) -> None:
    """Delete the failure records of a cluster, as closing log backup does; keep the gaps they reported."""
    failed = select(jobs.c.job_id).where(jobs.c.cluster_id == cluster_id, jobs.c.status == JobStatus.FAIL)
    connection.execute(findings.delete().where(findings.c.job_id.in_(failed), findings.c.kind != "gap"))
    connection.execute(jobs.delete().where(jobs.c.cluster_id == cluster_id, jobs.c.status == JobStatus.FAIL))
    connection.execute(
        job_counts.delete().where(job_counts.c.cluster_id == cluster_id, job_counts.c.status == JobStatus.FAIL)
    )


def _count(connection: Connection, cluster_id: str, changes: Mapping[JobStatus, int], last_at: int | None) -> None:
    """Add to the numbers of records; `last_at` (Unix ms) is the last end of those that are not RUNNING."""
    rows = [
        {
            "cluster_id": cluster_id,
            "status": status,
            "jobs": change,
            "last_at": None if status is JobStatus.RUNNING else last_at,
        }
        for status, change in changes.items()
    ]
    connection.execute(_count_change(connection.dialect), rows)
