"""Statements on what the archive takes: sums of segments by a covering index, and what is recorded of each day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Subquery,
    and_,
    func,
    literal,
    null,
    select,
    union_all,
)

from logkeep.database.connection import delete_in_batches, in_batches, upsert
from logkeep.database.tables import clusters, generations, indexings, jobs, projects, segments, usage_days
from logkeep.domain.usage import DAY_MS, DayUsage, IndexSize, Sums, UsageBy, UsageRow

_SUMS = (
    func.coalesce(func.sum(segments.c.raw), 0).label("raw"),
    func.coalesce(func.sum(segments.c.stored), 0).label("stored"),
    func.count(segments.c.stored).label("objects"),
)
_NAMES = ("raw", "stored", "objects")


class Scope(NamedTuple):
    """Clusters that are asked for: all of a project, or some of them."""

    project_id: str
    cluster_ids: Sequence[str] = ()  # empty for all

    def holds(self) -> tuple[ColumnElement[bool], ...]:
        """Return the conditions that the rows of these clusters meet."""
        mine = clusters.c.project_id == self.project_id
        return (mine, clusters.c.id.in_(self.cluster_ids)) if self.cluster_ids else (mine,)


def count_clusters(connection: Connection, scope: Scope) -> int:
    return connection.execute(select(func.count()).select_from(clusters).where(*scope.holds())).scalar_one()


def fetch_rows(connection: Connection, scope: Scope, by: UsageBy) -> Iterator[UsageRow]:
    """Yield what there is now by cluster, which has a row also without anything, or by node or log of each."""
    statement = {UsageBy.CLUSTER: _by_cluster, UsageBy.NODE: _by_node, UsageBy.LOG: _by_log}[by](scope)
    for row in connection.execute(statement):
        yield UsageRow(cluster_id=row.id, cluster=row.name, node=row.node or "", log=row.log or "", sums=_sums(row))


def _by_cluster(scope: Scope) -> Select[*tuple[Any, ...]]:
    each = _grouped(scope, segments.c.cluster_id)
    sums = (func.coalesce(each.c[name], 0).label(name) for name in _NAMES)
    of = clusters.outerjoin(each, each.c.cluster_id == clusters.c.id)
    statement = select(clusters.c.id, clusters.c.name, null().label("node"), null().label("log"), *sums)
    return statement.select_from(of).where(*scope.holds())


def _by_node(scope: Scope) -> Select[*tuple[Any, ...]]:
    each = _grouped(scope, segments.c.cluster_id, segments.c.node)
    statement = select(clusters.c.id, clusters.c.name, each.c.node, null().label("log"), *(each.c[n] for n in _NAMES))
    return statement.join_from(each, clusters, each.c.cluster_id == clusters.c.id)


def _by_log(scope: Scope) -> Select[*tuple[Any, ...]]:
    """Add up generations first: only then is it looked up of which log each one is."""
    g = generations.c
    each = _grouped(scope, segments.c.cluster_id, segments.c.node, segments.c.generation)
    same = and_(g.cluster_id == each.c.cluster_id, g.node == each.c.node, g.generation == each.c.generation)
    sums = (func.sum(each.c[name]).label(name) for name in _NAMES)
    logs = select(each.c.cluster_id, g.family, *sums).join_from(each, generations, same, isouter=True)
    logs = logs.group_by(each.c.cluster_id, g.family).subquery()
    columns = (clusters.c.id, clusters.c.name, null().label("node"), logs.c.family.label("log"))
    statement = select(*columns, *(logs.c[name] for name in _NAMES))
    return statement.join_from(logs, clusters, logs.c.cluster_id == clusters.c.id)


def _grouped(scope: Scope, *by: Column[Any]) -> Subquery:
    """Add up segments by the first columns of the index, in whose order they are read: nothing is sorted."""
    mine = segments.c.cluster_id.in_(select(clusters.c.id).where(*scope.holds()))
    return select(*by, *_SUMS).where(mine).group_by(*by).subquery()


def _sums(row: Row[*tuple[Any, ...]]) -> Sums:
    return Sums(int(row.raw), int(row.stored), int(row.objects))


def fetch_named_sums(connection: Connection) -> list[tuple[str, str, Sums, IndexSize]]:
    """Return names of project and cluster, and what there is, of every cluster of every project."""
    sums = select(segments.c.cluster_id, *_SUMS).group_by(segments.c.cluster_id).subquery()
    of = clusters.join(projects).outerjoin(sums, sums.c.cluster_id == clusters.c.id)
    of = of.outerjoin(indexings, indexings.c.cluster_id == clusters.c.id)
    numbers = (func.coalesce(column, 0) for column in (sums.c.raw, sums.c.stored, sums.c.objects))
    index = (func.coalesce(column, 0) for column in (indexings.c.bytes, indexings.c.objects))
    statement = select(projects.c.name, clusters.c.name, *numbers, *index).select_from(of)
    rows = connection.execute(statement)
    return [(*row[:2], Sums(*map(int, row[2:5])), IndexSize(*map(int, row[5:7]))) for row in map(tuple, rows)]


def fetch_index_sizes(connection: Connection, scope: Scope) -> dict[str, IndexSize]:
    """Return what the index objects take, by cluster, where it is known."""
    i = indexings.c
    statement = select(i.cluster_id, i.bytes, i.objects).join_from(clusters, indexings).where(*scope.holds())
    return {row[0]: IndexSize(row[1], row[2]) for row in connection.execute(statement.where(i.bytes.is_not(None)))}


def fetch_days(connection: Connection, scope: Scope) -> list[DayUsage]:
    """Return what all these clusters had together at the end of each day that is recorded, oldest first."""
    d = usage_days.c
    sums = (func.sum(column).label(column.name) for column in (d.raw, d.stored, d.objects))
    statement = select(d.day, *sums).join_from(clusters, usage_days).where(*scope.holds())
    return [DayUsage(row.day, _sums(row)) for row in connection.execute(statement.group_by(d.day).order_by(d.day))]


def fetch_growth_days(
    connection: Connection, scope: Scope, begin: int, end: int
) -> dict[str, tuple[DayUsage, DayUsage]]:
    """Return the first and the last recorded day of each cluster, of those from `begin` on and before `end`."""
    d = usage_days.c
    spans = (
        select(d.cluster_id, func.min(d.day).label("first"), func.max(d.day).label("last"))
        .join_from(clusters, usage_days)
        .where(*scope.holds(), d.day >= begin, d.day < end)
        .group_by(d.cluster_id)
        .subquery()
    )
    edges = (d.cluster_id == spans.c.cluster_id) & d.day.in_((spans.c.first, spans.c.last))
    statement = select(d.cluster_id, d.day, d.raw, d.stored, d.objects).join_from(spans, usage_days, edges)
    found: dict[str, list[DayUsage]] = defaultdict(list)
    for row in connection.execute(statement.order_by(d.cluster_id, d.day)):
        found[row.cluster_id].append(DayUsage(row.day, _sums(row)))
    return {one: (days[0], days[-1]) for one, days in found.items()}


def fetch_unrecorded(connection: Connection, day: int, limit: int) -> list[str]:
    """Return clusters of which nothing is recorded for a day."""
    recorded = select(usage_days.c.day).where(usage_days.c.cluster_id == clusters.c.id, usage_days.c.day == day)
    statement = select(clusters.c.id).where(~recorded.exists()).order_by(clusters.c.id).limit(limit)
    return list(connection.execute(statement).scalars())


def fetch_last_days(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, int]:
    """Return the last day that is recorded of each cluster."""
    d = usage_days.c
    statement = select(d.cluster_id, func.max(d.day)).where(d.cluster_id.in_(cluster_ids)).group_by(d.cluster_id)
    return {row[0]: row[1] for row in connection.execute(statement)}


def fetch_now_and_added(
    connection: Connection, cluster_ids: Sequence[str], since: int
) -> tuple[dict[str, Sums], dict[str, dict[int, Sums]]]:
    """Return what each cluster has now; and of that, by day, what jobs stored that were created from a day on.

    It is one statement, so that both are of one moment.
    """
    day = (jobs.c.created_at // literal(DAY_MS, BigInteger)).label("day")
    now = select(segments.c.cluster_id, null().label("day"), *_SUMS).where(segments.c.cluster_id.in_(cluster_ids))
    added = select(jobs.c.cluster_id, day, *_SUMS).join_from(jobs, segments, segments.c.job_id == jobs.c.job_id)
    added = added.where(jobs.c.cluster_id.in_(cluster_ids), jobs.c.created_at >= since * DAY_MS)
    both = union_all(now.group_by(segments.c.cluster_id), added.group_by(jobs.c.cluster_id, "day"))
    sums: dict[str, Sums] = dict.fromkeys(cluster_ids, Sums())
    days: dict[str, dict[int, Sums]] = defaultdict(dict)
    for row in connection.execute(both):
        if row.day is None:
            sums[row.cluster_id] = _sums(row)
        else:
            days[row.cluster_id][row.day] = _sums(row)
    return sums, days


def insert_days(connection: Connection, found: Mapping[str, Sequence[DayUsage]]) -> None:
    """Record days of clusters; what another worker has recorded already stays, and so do clusters that are gone."""
    rows = [
        {"cluster_id": cluster_id, "day": one.day}
        | {"raw": one.sums.raw, "stored": one.sums.stored, "objects": one.sums.objects}
        for cluster_id, days in found.items()
        for one in days
    ]
    insert = upsert(connection.dialect)(usage_days).on_conflict_do_nothing()
    for batch in in_batches(rows):
        connection.execute(insert, list(batch))


def fetch_existing(connection: Connection, cluster_ids: Sequence[str]) -> set[str]:
    """Return those of these clusters that are there, and keep them until the transaction ends."""
    statement = select(clusters.c.id).where(clusters.c.id.in_(cluster_ids)).with_for_update(read=True, key_share=True)
    return set(connection.execute(statement).scalars())


def delete_days(engine: Engine, before: int, thinned: int, month_ends: Sequence[int]) -> None:
    """Delete what is recorded before a day; and before `thinned` all but the ends of months. Some at each call."""
    d = usage_days.c
    old = (d.day < before) | ((d.day < thinned) & d.day.not_in(month_ends))
    delete_in_batches(engine, d.cluster_id, old, d.day)
