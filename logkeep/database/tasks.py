"""Statements on the tasks of a project: records, and daily runs that were missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal_column, or_, select

from logkeep.database.connection import in_batches
from logkeep.database.jobs import JOB_COLUMNS, RUNNING, read_job
from logkeep.database.newest import Streams, oldest_needed
from logkeep.database.retention import fetch_removed_of_jobs
from logkeep.database.tables import clusters, findings, job_counts, job_nodes, job_warnings, jobs, missed_runs, segments
from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.task import TaskFilter, TaskPosition, TaskState


class Missed(NamedTuple):
    """A missed run with the name of its cluster."""

    cluster_id: str
    cluster: str
    due_at: int
    job_id: str  # that was started late for it; '' for none
    started_at: int | None  # when it was, Unix ms; None where no record tells


class Sums(NamedTuple):
    """What a job did so far."""

    nodes: int = 0
    nodes_done: int = 0
    raw: int = 0
    stored: int = 0
    nodes_failed: int = 0
    gaps: int = 0
    warnings: int = 0


def fetch_jobs(
    connection: Connection, project_id: str, wanted: TaskFilter, after: TaskPosition | None, limit: int
) -> list[tuple[BackupJob, str]]:
    """Return the newest records after a position, with the names of their clusters; text is not looked at."""
    found: list[tuple[BackupJob, str]] = []
    columns = (*JOB_COLUMNS, clusters.c.name.label("cluster_name"))
    for status in _kinds(wanted):
        streams = _job_streams(project_id, wanted, status, after)
        oldest = oldest_needed(connection, streams, limit, wanted.since or 0)
        page = select(*columns).select_from(clusters.join(jobs, streams.since(oldest))).where(streams.mine)
        rows = connection.execute(page.order_by(*streams.order).limit(limit)).all()
        found += [(read_job(row), row[-1]) for row in rows]
    return found


def fetch_missed(
    connection: Connection, project_id: str, wanted: TaskFilter, after: TaskPosition | None, limit: int
) -> list[Missed]:
    """Return the newest stored missed runs after a position."""
    streams = _missed_streams(project_id, wanted, after)
    oldest = oldest_needed(connection, streams, limit, wanted.since or 0)
    c = missed_runs.c
    started = select(jobs.c.created_at).where(jobs.c.job_id == c.job_id).scalar_subquery()
    page = select(clusters.c.id, clusters.c.name, c.due_at, func.coalesce(c.job_id, literal_column("''")), started)
    page = page.select_from(clusters.join(missed_runs, streams.since(oldest))).where(streams.mine)
    rows = connection.execute(page.order_by(c.due_at.desc(), clusters.c.id.desc()).limit(limit)).all()
    return [Missed(*row) for row in rows]


def count_jobs(connection: Connection, project_id: str, wanted: TaskFilter, most: int) -> dict[JobStatus, int]:
    """Count the records by status; up to one more than `most`, where no sum is kept. Text is not looked at."""
    if is_summed(wanted):
        counted = select(job_counts.c.status, func.sum(job_counts.c.jobs)).join_from(job_counts, clusters)
        counted = counted.where(_mine(project_id, wanted)).group_by(job_counts.c.status)
        found = {row[0]: int(row[1]) for row in connection.execute(counted)}
        return {status: found.get(status.value, 0) for status in JobStatus}
    streams = {status: _job_streams(project_id, wanted, status, None) for status in JobStatus}
    return {status: _count(connection, one, jobs, wanted, most) for status, one in streams.items()}


def is_summed(wanted: TaskFilter) -> bool:
    """Return whether the numbers of the records by status are kept."""
    return wanted.type is None and wanted.since is None and wanted.until is None


def count_missed(connection: Connection, project_id: str, wanted: TaskFilter, most: int) -> int:
    """Count the stored missed runs, up to one more than `most`."""
    return _count(connection, _missed_streams(project_id, wanted, None), missed_runs, wanted, most)


def fetch_sums(connection: Connection, job_ids: Sequence[str]) -> dict[str, Sums]:
    """Return what those jobs did, of each that has begun a node, kept something or left something out."""
    nodes: dict[str, tuple[int, int]] = {}
    kept: dict[str, tuple[int, int]] = {}
    left_out: dict[str, tuple[int, int]] = {}
    warnings: dict[str, int] = {}
    for some in in_batches(job_ids):
        n, s, f, w = job_nodes.c, segments.c, findings.c, job_warnings.c
        counted = select(n.job_id, func.count(), func.count(n.finished_at)).where(n.job_id.in_(some))
        nodes |= {row[0]: (row[1], row[2]) for row in connection.execute(counted.group_by(n.job_id))}
        summed = select(s.job_id, func.sum(s.raw), func.sum(s.stored)).where(s.job_id.in_(some))
        kept |= {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(summed.group_by(s.job_id))}
        for job_id, removed in fetch_removed_of_jobs(connection, some).items():  # it was kept all the same
            raw, stored = kept.get(job_id, (0, 0))
            kept[job_id] = raw + removed.raw, stored + removed.stored
        failed = func.count(case((and_(f.kind == "failure", f.node != ""), f.node)).distinct())  # '': of no node
        lost = select(f.job_id, failed, func.count(case((f.kind == "gap", 1)))).where(f.job_id.in_(some))
        left_out |= {row[0]: (row[1], row[2]) for row in connection.execute(lost.group_by(f.job_id))}
        warned = select(w.job_id, func.count()).where(w.job_id.in_(some))
        warnings |= {row[0]: row[1] for row in connection.execute(warned.group_by(w.job_id))}
    return {
        one: Sums(*nodes.get(one, (0, 0)), *kept.get(one, (0, 0)), *left_out.get(one, (0, 0)), warnings.get(one, 0))
        for one in nodes.keys() | kept.keys() | left_out.keys() | warnings.keys()
    }


def fetch_version(connection: Connection, project_id: str, cluster_id: str) -> list[tuple[Any, ...]]:
    """Return numbers that change with what is listed: clusters, records, their ends, and how far running jobs are."""
    mine = _mine(project_id, TaskFilter(cluster_id=cluster_id))
    c = job_counts.c
    known = select(func.count(), func.max(clusters.c.updated_at), func.max(clusters.c.created_at)).where(mine)
    counted = select(c.status, func.sum(c.jobs), func.max(c.last_at)).join_from(job_counts, clusters).where(mine)
    running = select(jobs.c.job_id, jobs.c.attempt).join_from(jobs, clusters).where(mine, RUNNING)
    n = job_nodes.c
    ours = select(jobs.c.job_id).join_from(jobs, clusters).where(mine, RUNNING)
    begun = select(func.count(), func.count(n.finished_at), func.sum(n.done), func.sum(n.planned))
    statements = (
        known,
        counted.group_by(c.status).order_by(c.status),
        running.order_by(jobs.c.job_id),
        begun.where(n.job_id.in_(ours)),
    )
    return [tuple(row) for statement in statements for row in connection.execute(statement)]


def _kinds(wanted: TaskFilter) -> Iterator[JobStatus | None]:
    """Yield the statuses that are looked through each by itself; None for all at once, where an index has them so."""
    if wanted.state is TaskState.ALL:
        yield from (None,) if wanted.type is None else JobStatus
    elif wanted.state is not TaskState.MISSED:
        yield JobStatus(wanted.state.value)


def _mine(project_id: str, wanted: TaskFilter) -> ColumnElement[bool]:
    mine = clusters.c.project_id == project_id
    return and_(mine, clusters.c.id == wanted.cluster_id) if wanted.cluster_id else mine


def _job_streams(project_id: str, wanted: TaskFilter, status: JobStatus | None, after: TaskPosition | None) -> Streams:
    c = jobs.c
    own = [c.cluster_id == clusters.c.id, *_before(c.created_at, c.id, wanted, after)]
    own += [c.status == status.value] if status else []
    own += [c.type == wanted.type.value] if wanted.type else []
    order = c.created_at.desc(), c.id.desc()
    return Streams(clusters, clusters, _mine(project_id, wanted), and_(*own), c.created_at, order)


def _missed_streams(project_id: str, wanted: TaskFilter, after: TaskPosition | None) -> Streams:
    c = missed_runs.c
    own = and_(c.cluster_id == clusters.c.id, *_before(c.due_at, c.cluster_id, wanted, after))
    return Streams(clusters, clusters, _mine(project_id, wanted), own, c.due_at, (c.due_at.desc(),))


def _before(
    at: ColumnElement[int], id_: ColumnElement[str], wanted: TaskFilter, after: TaskPosition | None
) -> Iterator[ColumnElement[bool]]:
    if wanted.until is not None:
        yield at < wanted.until
    if after is not None:
        yield at <= after.at  # by the index
        yield or_(at < after.at, id_ < after.id)


def _count(connection: Connection, streams: Streams, table: Any, wanted: TaskFilter, most: int) -> int:
    some = select(literal_column("1")).select_from(clusters.join(table, streams.since(wanted.since or 0)))
    some = some.where(streams.mine).limit(most + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()
