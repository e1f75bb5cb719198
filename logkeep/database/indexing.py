"""Statements on which segments an index tells of, and on who is making one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, exists, or_, select, update

from logkeep.database.bodies import decode_body
from logkeep.database.connection import of, read_pages, upsert
from logkeep.database.tables import clusters, indexings, segments
from logkeep.domain.manifest import Segment

NOT_YET, DONE, UNREADABLE = range(3)  # `segments.indexed`

_KEY = (segments.c.node, segments.c.generation, segments.c.start)
_MARK = update(segments).where(*of(segments.c.cluster_id, *_KEY)).values(indexed=bindparam("state"))


def fetch_next_cluster(connection: Connection, now: int) -> str | None:
    """Return a cluster with segments that no index tells of, which is to be looked at and not claimed."""
    i = indexings.c
    other = exists().where(i.cluster_id == clusters.c.id, or_(i.claimed_until > now, i.look_at > now))
    due = exists().where(segments.c.cluster_id == clusters.c.id, *_due())
    return connection.execute(select(clusters.c.id).where(~other, due).limit(1)).scalar()


def fetch_unindexed_nodes(connection: Connection, cluster_id: str) -> list[str]:
    statement = select(segments.c.node).where(segments.c.cluster_id == cluster_id, *_due())
    return list(connection.execute(statement.distinct()).scalars())


def claim_cluster(connection: Connection, cluster_id: str, now: int, until: int) -> bool:
    """Claim the making of a cluster's index until a time (Unix ms); False if another has."""
    insert = upsert(connection.dialect)(indexings).values(cluster_id=cluster_id, claimed_until=until, look_at=0)
    claim = insert.on_conflict_do_update(
        index_elements=["cluster_id"], set_={"claimed_until": until}, where=indexings.c.claimed_until <= now
    )
    return connection.execute(claim.returning(indexings.c.cluster_id)).first() is not None


def prolong_claim(connection: Connection, cluster_id: str, until: int) -> None:
    _set(connection, cluster_id, claimed_until=until)


def release_cluster(connection: Connection, cluster_id: str, look_at: int = 0) -> None:
    """Give up one's claim; nobody looks at the cluster by himself before `look_at`."""
    _set(connection, cluster_id, claimed_until=0, look_at=look_at)


def _set(connection: Connection, cluster_id: str, **changes: int) -> None:
    connection.execute(update(indexings).where(indexings.c.cluster_id == cluster_id).values(**changes))


def save_index_size(connection: Connection, cluster_id: str, objects: int, size: int) -> None:
    """Save how many index objects and signatures the cluster has, and their bytes."""
    _set(connection, cluster_id, objects=objects, bytes=size)


def count_unindexed(connection: Connection, cluster_id: str) -> tuple[int, int]:
    """Return the number of segments that no index tells of, and their plain bytes."""
    rows = connection.execute(select(segments.c.raw).where(segments.c.cluster_id == cluster_id, *_due())).all()
    return len(rows), sum(row.raw for row in rows)


def fetch_unindexed(engine: Engine, cluster_id: str, node: str = "") -> Iterator[Segment]:
    """Fetch the segments of a cluster or a node that no index tells of, by node; page by page."""
    statement = select(segments).where(segments.c.cluster_id == cluster_id, *_due())
    statement = statement.where(segments.c.node == node) if node else statement
    for row in read_pages(engine, statement, _KEY, 100):
        yield decode_body(row.body, Segment)


def fetch_indexed(engine: Engine, cluster_id: str) -> Iterator[Segment]:
    """Fetch the segments that an index tells of, as far as is known, by node; page by page."""
    statement = select(segments).where(segments.c.cluster_id == cluster_id, segments.c.indexed == DONE)
    for row in read_pages(engine, statement, _KEY, 100):
        yield decode_body(row.body, Segment)


def is_any_indexed(connection: Connection, cluster_id: str, node: str) -> bool:
    statement = select(segments.c.start).where(
        segments.c.cluster_id == cluster_id, segments.c.node == node, segments.c.indexed == DONE
    )
    return connection.execute(statement.limit(1)).first() is not None


def mark_indexed(connection: Connection, cluster_id: str, done: Sequence[Segment], state: int = DONE) -> None:
    if done:
        rows = [
            {"of_cluster_id": cluster_id, "of_node": s.node, "of_generation": s.generation, "of_start": s.start}
            | {"state": state}
            for s in done
        ]
        connection.execute(_MARK, rows)


def forget_indexed(connection: Connection, cluster_id: str) -> None:
    """Mark all segments of a cluster as such that no index tells of."""
    connection.execute(update(segments).where(segments.c.cluster_id == cluster_id).values(indexed=NOT_YET))


def _due() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a segment that no index tells of; until its job has ended it may be given up."""
    return segments.c.indexed == NOT_YET, segments.c.manifest_job_id.is_not(None)
