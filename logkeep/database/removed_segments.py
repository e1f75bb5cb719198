"""Statements that take segments out of the catalogue that a removal entry names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from logkeep.database.bodies import decode_body
from logkeep.database.connection import in_batches, of, upsert
from logkeep.database.tables import generations, removal_entries, retentions, segments
from logkeep.domain.manifest import Segment
from logkeep.domain.removal_entry import RemovedSegment

_TIMES = update(generations).where(*of(generations.c.cluster_id, generations.c.node, generations.c.generation))
_LOOKED_AT = 20  # segments in which a time is looked for
_MOVE = _TIMES.values(removed=bindparam("first"), first_time=bindparam("time"))


@dataclass(frozen=True, slots=True)
class TakenOut:
    """A segment that was in the catalogue, and is no more."""

    segment: Segment
    rule: str  # by which it was removed
    job_id: str  # that stored it
    bucket: str  # as this installation names it


def take_out(connection: Connection, cluster_id: str, named: Sequence[RemovedSegment]) -> list[TakenOut]:
    """Delete the rows of these segments, and let their generations begin behind them.

    What the catalogue does not have in this very object is left out.
    """
    c = segments.c
    taken: list[TakenOut] = []
    for some in in_batches(named):
        found = list(_find(connection, cluster_id, {one.object: one for one in some}))
        names = [one.segment.object for one in found]
        connection.execute(delete(segments).where(c.cluster_id == cluster_id, c.object.in_(names)))
        taken += found
    move_beginnings(connection, cluster_id, {(one.segment.node, one.segment.generation) for one in taken})
    return taken


def _find(connection: Connection, cluster_id: str, named: Mapping[str, RemovedSegment]) -> Iterator[TakenOut]:
    c = segments.c
    statement = select(c.body, c.job_id, c.bucket).where(c.cluster_id == cluster_id, c.object.in_(list(named)))
    for row in connection.execute(statement).all():
        segment = decode_body(row.body, Segment)
        one = named[segment.object]
        if segment.sha256 == one.sha256:
            yield TakenOut(segment, one.rule, row.job_id, row.bucket)


def move_beginnings(connection: Connection, cluster_id: str, changed: Iterable[tuple[str, int]]) -> None:
    """Let generations, by node and number, begin with what is left of each."""
    rows = [
        {"of_cluster_id": cluster_id, "of_node": node, "of_generation": generation, "first": first, "time": time}
        for some in in_batches(sorted(changed))
        for node, generation, first, time in _beginnings(connection, cluster_id, some)
    ]
    if rows:
        connection.execute(_MOVE, rows)


def _beginnings(
    connection: Connection, cluster_id: str, some: Sequence[tuple[str, int]]
) -> Iterator[tuple[str, int, int, str]]:
    """Yield node, number, first byte and oldest time of what is left of generations."""
    g, s = generations.c, segments.c
    kept = select(g.node, g.generation, g.kept).where(
        g.cluster_id == cluster_id, tuple_(g.node, g.generation).in_(some)
    )
    left = (
        select(s.node, s.generation, func.min(s.start))
        .where(s.cluster_id == cluster_id, tuple_(s.node, s.generation).in_(some))
        .group_by(s.node, s.generation)
    )
    starts = {(row[0], row[1]): int(row[2]) for row in connection.execute(left)}
    for node, generation, end in connection.execute(kept).all():
        start = starts.get((node, generation))
        time = "" if start is None else _oldest_time(connection, cluster_id, node, generation)
        yield node, generation, end if start is None else start, time


def _oldest_time(connection: Connection, cluster_id: str, node: str, generation: int) -> str:
    """Return the oldest time in the first segment that tells one, '' if none of the first ones does."""
    c = segments.c
    mine = c.cluster_id == cluster_id, c.node == node, c.generation == generation
    bodies = connection.execute(select(c.body).where(*mine).order_by(c.start).limit(_LOOKED_AT)).scalars()
    return next(filter(None, (decode_body(body, Segment).first_time for body in bodies)), "")


def ask_for_removal(connection: Connection, cluster_id: str, now: int) -> None:
    """Let the retention of a cluster go on with the objects that are left over."""
    insert = upsert(connection.dialect)(retentions).values(cluster_id=cluster_id, look_at=now)
    connection.execute(insert.on_conflict_do_update(index_elements=["cluster_id"], set_={"look_at": now}))


def fetch_entry_names(connection: Connection, cluster_id: str, objects: Sequence[str]) -> set[str]:
    """Return those of these objects that are removal entries of the cluster."""
    e = removal_entries.c
    statement = select(e.object).where(e.cluster_id == cluster_id, e.object.in_(list(objects)))
    return set(connection.execute(statement).scalars())
