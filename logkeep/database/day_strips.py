"""Statements on the jobs of the last days of clusters, grouped by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, case, func, literal, select

from logkeep.database.tables import clusters, jobs, log_settings
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.day_strip import DAY_MS, DayEnds, DaySpan


def fetch_day_ends(connection: Connection, cluster_ids: Sequence[str], span: DaySpan) -> dict[str, dict[int, DayEnds]]:
    """Return what ended on each day, by cluster and number of day; days without a job are left out."""
    found: dict[str, dict[int, DayEnds]] = defaultdict(dict)
    for row in connection.execute(_ended(cluster_ids, span)):
        found[row.cluster_id][row.day] = DayEnds(row.jobs, row.failed, row.kept_at, row.failed_at, row.begun_at)
    for row in connection.execute(_begun_before(cluster_ids, span)):
        failed_at, kept_at = (row.finished_at, None) if row.status == JobStatus.FAIL else (None, row.finished_at)
        one = DayEnds(1, 0 if failed_at is None else 1, kept_at, failed_at, row.created_at)
        days, day = found[row.cluster_id], span.day_of(row.finished_at)
        days[day] = days[day].after(one) if day in days else one
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
    """Select the jobs that began and ended in these days, grouped; read by the index over their beginnings."""
    c = jobs.c
    day = (c.finished_at + literal(span.offset_ms, BigInteger)) // literal(DAY_MS, BigInteger)
    failed, kept = c.status == JobStatus.FAIL, c.status == JobStatus.SUCCESS
    return (
        select(
            c.cluster_id,
            day.label("day"),
            func.count().label("jobs"),
            func.sum(case((failed, 1), else_=0)).label("failed"),
            func.max(case((kept, c.finished_at))).label("kept_at"),
            func.max(case((failed, c.finished_at))).label("failed_at"),
            func.min(c.created_at).label("begun_at"),
        )
        .where(c.cluster_id.in_(cluster_ids), c.created_at >= span.since, c.finished_at < span.until)
        .group_by(c.cluster_id, "day")
    )


def _begun_before(cluster_ids: Sequence[str], span: DaySpan) -> Select[*tuple[Any, ...]]:
    """Select the jobs that began before these days and ended in them.

    One job of a cluster runs at a time, so that can only be the newest of those before.
    """
    before = jobs.alias("before")
    newest = (
        select(before.c.id)
        .where(before.c.cluster_id == clusters.c.id, before.c.created_at < span.since)
        .order_by(before.c.created_at.desc(), before.c.id.desc())
        .limit(1)
        .correlate(clusters)
        .scalar_subquery()
    )
    c = jobs.c
    statement = select(c.cluster_id, c.status, c.created_at, c.finished_at)
    ended = c.finished_at >= span.since, c.finished_at < span.until
    return statement.join_from(clusters, jobs, c.id == newest).where(clusters.c.id.in_(cluster_ids), *ended)
