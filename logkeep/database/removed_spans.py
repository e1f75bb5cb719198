"""Statements on what was removed of each log, over all removal entries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import Connection, case, func, select

from logkeep.database.tables import removals
from logkeep.database.zones import zone_of
from logkeep.domain.instant import earliest, latest
from logkeep.domain.removed_span import RemovedSpan


def fetch_removed_spans(
    connection: Connection, cluster_id: str, *, nodes: Sequence[str] | None = None, family: str = ""
) -> list[RemovedSpan]:
    """Return what was removed of some nodes or of all, one for each rule of a log, by node, log and rule."""
    r = removals.c
    zones = zone_of(r.first_time), zone_of(r.last_time)
    statement = select(
        r.node,
        r.log,
        r.rule,
        func.max(r.removed_at).label("removed_at"),
        func.min(func.nullif(r.first_time, "")).label("first_time"),
        func.max(r.last_time).label("last_time"),
        func.sum(case(((r.first_time == "") | (r.last_time == ""), 1), else_=0)).label("untimed"),
        func.sum(r.objects).label("objects"),
        func.sum(r.raw).label("raw"),
        func.sum(r.lines).label("lines"),
    ).where(r.cluster_id == cluster_id)
    if nodes is not None:
        statement = statement.where(r.node.in_(nodes))
    if family:
        statement = statement.where(r.log == family)
    rows = connection.execute(statement.group_by(r.node, r.log, r.rule, *zones).order_by(r.node, r.log, r.rule))
    found: list[RemovedSpan] = []
    for (node, log, rule), group in groupby(rows, key=lambda row: (row.node, row.log, row.rule)):
        parts = list(group)
        found.append(
            RemovedSpan(
                node=node,
                family=log,
                rule=rule,
                removed_at=max(part.removed_at for part in parts),
                first_time=earliest(part.first_time or "" for part in parts),
                last_time=latest(part.last_time for part in parts),
                timed=not any(part.untimed for part in parts),
                objects=sum(int(part.objects) for part in parts),
                raw=sum(int(part.raw) for part in parts),
                lines=sum(int(part.lines) for part in parts),
            )
        )
    return found
