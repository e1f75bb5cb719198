"""Statements on what span of each log is held."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Subquery, and_, case, func, select

from logkeep.database.bodies import decode_body
from logkeep.database.removed_spans import fetch_removed_spans
from logkeep.database.tables import findings, forecasts, generations, jobs, segments
from logkeep.database.warnings import fetch_told
from logkeep.database.zones import zone_of
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.coverage import LogCoverage, ReportedGap, ToldWarning
from logkeep.domain.instant import earliest, instant, latest
from logkeep.domain.manifest import Gap
from logkeep.domain.removed_span import RemovedSpan

_Log = tuple[str, str]  # node, family
_FIRST = case((generations.c.removed > generations.c.start, generations.c.removed), else_=generations.c.start)
_IS_GONE = and_(generations.c.kept > generations.c.start, generations.c.removed >= generations.c.kept)


def fetch_held(
    connection: Connection, cluster_id: str, nodes: Sequence[str], family: str = "", most_gaps: int | None = None
) -> Iterator[LogCoverage]:
    """Yield what is archived and what is missing of these nodes, by node and family; include nodes without anything.

    With `most_gaps`, only so many gaps of all these nodes are looked at, those that were told last.
    """
    rows: dict[_Log, list[Row[*tuple[Any, ...]]]] = defaultdict(list)
    for row in connection.execute(_sums(cluster_id, nodes, family)):
        rows[row.node, row.family].append(row)
    gaps = _fetch_gaps(connection, cluster_id, nodes, family, most_gaps)
    warnings = fetch_told(connection, cluster_id, nodes, family)
    safe = _fetch_safe(connection, cluster_id, nodes)
    removed = _fetch_removed(connection, cluster_id, nodes, family)
    found = rows.keys() | gaps.keys() | warnings.keys() | removed.keys()
    empty = () if family else ((node, "") for node in set(nodes) - {node for node, _ in found})
    for log in sorted([*found, *empty]):
        told = gaps.get(log, []), warnings.get(log, []), removed.get(log, [])
        yield _held(log, rows.get(log, ()), safe.get(log), *told)


def fetch_last_success(connection: Connection, cluster_id: str) -> tuple[str, int] | None:
    """Return id and end (Unix ms) of the newest job that ended SUCCESS."""
    statement = select(jobs.c.job_id, jobs.c.finished_at).where(
        jobs.c.cluster_id == cluster_id, jobs.c.status == JobStatus.SUCCESS
    )
    row = connection.execute(statement.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(1)).first()
    return (row.job_id, row.finished_at) if row else None


def fetch_summary(connection: Connection, cluster_id: str) -> tuple[set[str], set[str], str, str, int]:
    """Fetch of which nodes and families something is kept, its oldest and newest time, and how many bytes it is."""
    g = generations.c
    zone = zone_of(g.last_time)
    sums = func.min(func.nullif(g.first_time, "")), func.max(g.last_time), func.sum(g.kept - _FIRST)
    statement = select(g.node, g.family, *sums).where(g.cluster_id == cluster_id, g.kept > _FIRST)
    rows = [tuple(row) for row in connection.execute(statement.group_by(g.node, g.family, zone))]
    first, last = earliest(row[2] or "" for row in rows), latest(row[3] or "" for row in rows)
    return {row[0] for row in rows}, {row[1] for row in rows}, first, last, sum(int(row[4]) for row in rows)


def _sums(cluster_id: str, nodes: Sequence[str], family: str) -> Select[*tuple[Any, ...]]:
    """Select sums of each log, one row for each time zone of its times: within a zone times sort as text."""
    held = _stored(cluster_id, nodes)
    g, s = generations.c, held.c
    zones = zone_of(g.first_time), zone_of(g.last_time)
    statement = (
        select(
            g.node,
            g.family,
            func.min(func.nullif(g.first_time, "")).label("first_time"),
            func.max(g.last_time).label("last_time"),
            func.count(func.nullif(g.kept, 0)).label("generations"),
            func.sum(g.kept - _FIRST).label("raw"),
            func.sum(s.stored).label("stored"),
            func.sum(s.lines).label("lines"),
        )
        .select_from(generations)
        .outerjoin(held, (s.node == g.node) & (s.generation == g.generation))
        .where(g.cluster_id == cluster_id, g.node.in_(nodes), ~_IS_GONE)
        .group_by(g.node, g.family, *zones)
    )
    return statement.where(g.family == family) if family else statement


def _stored(cluster_id: str, nodes: Sequence[str]) -> Subquery:
    """Select sums of each generation; the index covers all columns."""
    c = segments.c
    return (
        select(
            c.node,
            c.generation,
            func.sum(c.stored).label("stored"),
            func.sum(c.lines).label("lines"),
        )
        .where(c.cluster_id == cluster_id, c.node.in_(nodes))
        .group_by(c.node, c.generation)
        .subquery()
    )


def _fetch_gaps(
    connection: Connection, cluster_id: str, nodes: Sequence[str], family: str, most: int | None
) -> dict[_Log, list[ReportedGap]]:
    statement = select(findings.c.job_id, findings.c.body).where(
        findings.c.cluster_id == cluster_id, findings.c.kind == "gap", findings.c.node.in_(nodes)
    )
    found: dict[_Log, list[ReportedGap]] = defaultdict(list)
    rows = connection.execute(statement.order_by(findings.c.id.desc()).limit(most)).all()
    for row in reversed(rows):
        gap = decode_body(row.body, Gap)
        if family in {"", gap.family}:
            found[gap.node, gap.family].append(ReportedGap(gap, row.job_id))
    return found


def _fetch_removed(
    connection: Connection, cluster_id: str, nodes: Sequence[str], family: str
) -> dict[_Log, list[RemovedSpan]]:
    found: dict[_Log, list[RemovedSpan]] = defaultdict(list)
    for one in fetch_removed_spans(connection, cluster_id, nodes=nodes, family=family):
        found[one.node, one.family].append(one)
    return found


def _fetch_safe(connection: Connection, cluster_id: str, nodes: Sequence[str]) -> dict[_Log, int]:
    c = forecasts.c
    statement = select(c.node, c.family, c.kept_at + c.margin).where(c.cluster_id == cluster_id, c.node.in_(nodes))
    return {(node, family): moment for node, family, moment in connection.execute(statement)}


def _held(
    log: _Log,
    rows: Sequence[Row[*tuple[Any, ...]]],
    safe_until: int | None,
    gaps: list[ReportedGap],
    warnings: list[ToldWarning],
    removed: list[RemovedSpan],
) -> LogCoverage:
    node, family = log
    return LogCoverage(
        node=node,
        family=family,
        first_time=earliest(row.first_time or "" for row in rows),
        last_time=latest(row.last_time for row in rows),
        generations=sum(int(row.generations) for row in rows),
        lines=sum(int(row.lines or 0) for row in rows),
        raw=sum(int(row.raw) for row in rows),
        stored=sum(int(row.stored or 0) for row in rows),
        safe_until=safe_until if rows else None,
        gaps=tuple(sorted(gaps, key=_begin)),
        removed=tuple(removed),
        warnings=tuple(warnings),
    )


def _begin(told: ReportedGap) -> tuple[float, ...]:
    """Return the sort key of a gap by instants; a gap without times comes first."""
    times = told.gap.after or told.gap.until, told.gap.until
    return tuple(instant(time) if time else -math.inf for time in times)
