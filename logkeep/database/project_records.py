"""Statements on the records of all clusters of a project."""

from __future__ import annotations

from sqlalchemy import Connection, and_, func, select

from logkeep.database.jobs import JOB_COLUMNS, PASSES, read_job
from logkeep.database.newest import Streams, oldest_needed
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
    `oldest_needed` says.
    """
    mine = and_(clusters.c.project_id == project_id, job_counts.c.status.in_(PASSES[status]), job_counts.c.jobs > 0)
    counted = select(func.coalesce(func.sum(job_counts.c.jobs), 0)).join_from(job_counts, clusters).where(mine)
    total = int(connection.execute(counted).scalar_one())
    limit = min(limit, total - offset)
    if limit <= 0:
        return [], total
    if offset + limit > DEEPEST:
        raise InvalidField("offset", f"the newest {DEEPEST:,} of all clusters are listed; list older ones by cluster")
    order = jobs.c.created_at.desc(), jobs.c.id.desc()
    own = and_(jobs.c.cluster_id == job_counts.c.cluster_id, jobs.c.status == job_counts.c.status)
    streams = Streams(job_counts, job_counts.join(clusters), mine, own, jobs.c.created_at, order)
    since = streams.since(oldest_needed(connection, streams, offset + limit))
    page = (
        select(jobs.c.id)
        .select_from(streams.all_heads.join(jobs, since))
        .where(mine)
        .order_by(*order)
        .limit(limit)
        .offset(offset)
    )
    statement = select(*JOB_COLUMNS, clusters.c.name.label("cluster_name")).join_from(jobs, clusters)
    rows = connection.execute(statement.where(jobs.c.id.in_(page)).order_by(*order))
    return [(read_job(row), row.cluster_name) for row in rows], total
