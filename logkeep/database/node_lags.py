"""Statements on until when the logs of nodes are kept."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, exists, func, select

from logkeep.database.tables import clusters, findings, job_nodes, jobs
from logkeep.domain.backup_job import JobStatus

_NEWEST = 50  # jobs of a cluster that are looked at: one that kept nothing of a node for so long is told of anyway


def fetch_last_begun(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, int]:
    """Return when the newest successful job of each cluster was begun (Unix ms); clusters without one are left out."""
    newest = select(func.max(jobs.c.created_at))
    newest = newest.where(jobs.c.cluster_id == clusters.c.id, jobs.c.status == str(JobStatus.SUCCESS))
    begun = newest.correlate(clusters).scalar_subquery()
    rows = connection.execute(select(clusters.c.id, begun).where(clusters.c.id.in_(list(cluster_ids))))
    return {row[0]: row[1] for row in rows if row[1] is not None}


def fetch_kept_nodes(connection: Connection, cluster_id: str) -> dict[str, int]:
    """Return when the newest backup of each node was begun (Unix ms) that ended without a failure of that node."""
    recent = select(jobs.c.job_id).where(jobs.c.cluster_id == cluster_id)
    recent = recent.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(_NEWEST)
    failed = exists().where(
        and_(
            findings.c.job_id == job_nodes.c.job_id,
            findings.c.node == job_nodes.c.node,
            findings.c.kind == "failure",
        )
    )
    statement = select(job_nodes.c.node, func.max(job_nodes.c.started_at))
    statement = statement.where(job_nodes.c.job_id.in_(recent), job_nodes.c.finished_at.is_not(None), ~failed)
    return {row[0]: row[1] for row in connection.execute(statement.group_by(job_nodes.c.node))}
