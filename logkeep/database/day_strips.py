"""Statements on the jobs of the last days of clusters, grouped by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, and_, case, func, literal, select

from logkeep.database.tables import clusters, jobs, log_settings
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.day_strip import DAY_MS, DayEnds, DaySpan


def fetch_day_ends(connection: Connection, cluster_ids: Sequence[str], span: DaySpan) -> dict[str, dict[int, DayEnds]]:
    """Return what ended on each day, by cluster and number of day; days without a job are left out."""
    found: dict[str, dict[int, DayEnds]] = defaultdict(dict)
    for row in connection.execute(_ended(cluster_ids, span)):
        found[row.id][row.day] = DayEnds(row.jobs, row.failed, row.kept_at, row.failed_at, row.begun_at)
    return found


def fetch_running_since(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, int]:
    """Return when the job of each cluster began that has not ended."""
    running = jobs.c.cluster_id.in_(cluster_ids), jobs.c.status == JobStatus.RUNNING
    return {row[0]: row[1] for row in connection.execute(select(jobs.c.cluster_id, jobs.c.created_at).where(*running))}


def fetch_daily(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return the period of each daily backup, and since when (Unix ms) it is that."""
    c = log_settings.c
    daily = c.cluster_id.in_(cluster_ids), c.period.is_not(None), c.policy_since.is_not(None)
    rows = connection.execute(select(c.cluster_id, c.period, c.policy_since).where(*daily))
    return {row[0]: (row[1], row[2]) for row in rows}


def _ended(cluster_ids: Sequence[str], span: DaySpan) -> Select[*tuple[Any, ...]]:
    """Select the jobs that ended in these days, grouped; read by the index over their beginnings.

    One job of a cluster runs at a time, so of those that began before the days only the newest can end in them.
    """
    since = literal(span.since, BigInteger)
    before = jobs.alias("before")
    newest = select(func.max(before.c.created_at)).where(
        before.c.cluster_id == clusters.c.id, before.c.created_at < since
    )
    from_then = jobs.c.created_at >= func.coalesce(newest.correlate(clusters).scalar_subquery(), since)
    day = (jobs.c.finished_at + literal(span.offset_ms, BigInteger)) // literal(DAY_MS, BigInteger)
    failed = jobs.c.status == JobStatus.FAIL
    kept = jobs.c.status == JobStatus.SUCCESS
    return (
        select(
            clusters.c.id,
            day.label("day"),
            func.count().label("jobs"),
            func.sum(case((failed, 1), else_=0)).label("failed"),
            func.max(case((kept, jobs.c.finished_at))).label("kept_at"),
            func.max(case((failed, jobs.c.finished_at))).label("failed_at"),
            func.min(jobs.c.created_at).label("begun_at"),
        )
        .join_from(clusters, jobs, and_(jobs.c.cluster_id == clusters.c.id, from_then))
        .where(clusters.c.id.in_(cluster_ids), jobs.c.finished_at >= since, jobs.c.finished_at < span.until)
        .group_by(clusters.c.id, "day")
    )
