"""Statements on the records of all clusters of a project."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from logkeep.database.jobs import JOB_COLUMNS, PASSES, read_job
from logkeep.database.tables import clusters, job_counts, jobs
from logkeep.domain.backup_job import BackupJob, StatusFilter
from logkeep.errors import InvalidField

# Records that can be paged through. Deeper ones would be found by sorting all, which takes seconds for a million.
DEEPEST = 20_000


def fetch_project_page(
    connection: Connection, project_id: str, *, offset: int, limit: int, status: StatusFilter
) -> tuple[list[tuple[BackupJob, str]], int]:
    """Return a page of records with the names of their clusters, newest first and ties by id, and the number of all.

    `offset` counts from 0. Raises `InvalidField` for a page beyond the newest `DEEPEST`. No index has the records of
    all clusters by time. Of each cluster and status one has, so the page is merged of those that are as new as
    `_oldest_needed` says.
    """
    mine = and_(clusters.c.project_id == project_id, job_counts.c.status.in_(PASSES[status]), job_counts.c.jobs > 0)
    counted = select(func.coalesce(func.sum(job_counts.c.jobs), 0)).join_from(job_counts, clusters).where(mine)
    total = int(connection.execute(counted).scalar_one())
    limit = min(limit, total - offset)
    if limit <= 0:
        return [], total
    if offset + limit > DEEPEST:
        raise InvalidField("offset", f"the newest {DEEPEST:,} of all clusters are listed; list older ones by cluster")
    oldest = _oldest_needed(connection, mine, offset + limit)
    streams = job_counts.join(clusters).join(jobs, _of_stream(oldest))
    order = jobs.c.created_at.desc(), jobs.c.id.desc()
    page = select(jobs.c.id).select_from(streams).where(mine).order_by(*order).limit(limit).offset(offset)
    statement = select(*JOB_COLUMNS, clusters.c.name.label("cluster_name")).join_from(jobs, clusters)
    rows = connection.execute(statement.where(jobs.c.id.in_(page)).order_by(*order))
    return [(read_job(row), row.cluster_name) for row in rows], total


def _of_stream(oldest: int) -> ColumnElement[bool]:
    """Return the condition for the records of one cluster and status, by their index."""
    own = jobs.c.cluster_id == job_counts.c.cluster_id, jobs.c.status == job_counts.c.status
    return and_(*own, jobs.c.created_at >= oldest)


def _oldest_needed(connection: Connection, mine: ColumnElement[bool], wanted: int) -> int:
    """Return a moment (Unix ms) from which on there are at least `wanted` records, and not many times as many.

    If `ceil(wanted / n)` clusters have `n` records each since a moment, there are enough. The latest of these moments
    is taken, for n = 1, 4, 16, …; then the clusters with over `n` records since are few, and so are the records.
    """
    oldest, each = 0, 1
    while each < 4 * wanted:
        enough = -(-wanted // each)
        newest = _nth_newest(mine, each, oldest)
        moments = select(newest.c.moment).where(newest.c.moment.is_not(None)).order_by(newest.c.moment.desc())
        oldest = connection.execute(moments.limit(1).offset(enough - 1)).scalar() or oldest
        each *= 4
    return oldest


def _nth_newest(mine: ColumnElement[bool], number: int, oldest: int) -> Any:
    """Select when the nth newest record of each cluster and status was made; NULL where that is before `oldest`."""
    nth: Select[*tuple[Any, ...]] = select(jobs.c.created_at).where(_of_stream(oldest))
    nth = nth.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(1).offset(number - 1)
    moment = nth.correlate(job_counts).scalar_subquery().label("moment")
    return select(moment).select_from(job_counts.join(clusters)).where(mine).subquery()
