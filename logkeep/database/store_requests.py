"""Statements on the requests that object stores were sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Engine, func, select

from logkeep.database.connection import delete_in_batches, in_batches, upsert
from logkeep.database.tables import clusters, places, store_requests
from logkeep.database.usage import Scope
from logkeep.domain.usage import RequestKind

Key = tuple[str, str, RequestKind]  # cluster ('' for none), bucket, kind


def add_requests(connection: Connection, month: str, counted: Mapping[Key, int]) -> None:
    """Add to the numbers of a month."""
    insert = upsert(connection.dialect)(store_requests)
    more = {"requests": store_requests.c.requests + insert.excluded.requests}
    add = insert.on_conflict_do_update(index_elements=["cluster_id", "month", "bucket", "kind"], set_=more)
    rows = [
        {"cluster_id": cluster_id, "month": month, "bucket": bucket, "kind": kind.value, "requests": number}
        for (cluster_id, bucket, kind), number in sorted(
            counted.items()
        )  # of one order, so that none waits in a circle
    ]
    for batch in in_batches(rows):
        connection.execute(add, list(batch))


def fetch_owners(connection: Connection, bucket: str, folders: Sequence[str]) -> dict[str, str]:
    """Return whose these folders of a bucket are: ids of clusters by folder."""
    found: dict[str, str] = {}
    for batch in in_batches(folders):
        statement = select(places.c.folder, places.c.cluster_id).where(places.c.bucket == bucket)
        found |= {row[0]: row[1] for row in connection.execute(statement.where(places.c.folder.in_(batch)))}
    return found


def fetch_requests(connection: Connection, scope: Scope, month: str) -> dict[str, dict[RequestKind, int]]:
    """Return the requests of a month by cluster."""
    r = store_requests.c
    statement = select(r.cluster_id, r.kind, func.sum(r.requests)).join_from(
        clusters, store_requests, r.cluster_id == clusters.c.id
    )
    return _by_first(
        connection.execute(statement.where(*scope.holds(), r.month == month).group_by(r.cluster_id, r.kind))
    )


def fetch_months(connection: Connection, scope: Scope) -> dict[str, dict[RequestKind, int]]:
    """Return the requests of all these clusters by month."""
    r = store_requests.c
    statement = select(r.month, r.kind, func.sum(r.requests)).join_from(
        clusters, store_requests, r.cluster_id == clusters.c.id
    )
    return _by_first(connection.execute(statement.where(*scope.holds()).group_by(r.month, r.kind)))


def _by_first(rows: Iterable[Sequence[object]]) -> dict[str, dict[RequestKind, int]]:
    found: dict[str, dict[RequestKind, int]] = defaultdict(dict)
    for first, kind, number in rows:
        found[str(first)][RequestKind(str(kind))] = int(str(number))
    return found


def delete_months(engine: Engine, before: str) -> None:
    """Delete the numbers of months before one, some at each call."""
    r = store_requests.c
    delete_in_batches(engine, r.cluster_id, r.month < before, r.month, r.bucket, r.kind)
