"""Statements on generations, each with its checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Engine, FromClause, bindparam, case, func, select, tuple_

from logkeep.database.connection import in_batches, of, read_pages, upsert
from logkeep.database.records import read_row, read_rows, writer
from logkeep.database.tables import generations, segments
from logkeep.domain.manifest import Checkpoint

LEAST_HEAD = 256  # bytes that tell one file from another
_KEY = ["cluster_id", "node", "generation"]
_RETAINED = {*_KEY, "removed"}  # a job may have loaded it before a rule removed something


_OF_NODE = of(generations.c.cluster_id, generations.c.node)
_SOME = generations.c.generation.in_(bindparam("numbers", expanding=True))
_CHECKPOINTS = select(generations).where(*_OF_NODE, ~generations.c.retired)
_CHECKPOINTS_OF = select(generations).where(*_OF_NODE, _SOME)
_ARCHIVED = select(generations.c.generation, generations.c.kept).where(*_OF_NODE, _SOME)
_A, _B = generations.alias(), generations.alias()


def _is_telling(one: FromClause) -> ColumnElement[bool]:
    """Return the condition that a file of some nodes has first lines that tell it from others."""
    c = one.c
    # What is present is not retired, and the index finds that without looking at what is.
    of_nodes = (c.cluster_id == bindparam("of_cluster_id")) & c.node.in_(bindparam("names", expanding=True))
    return of_nodes & ~c.retired & (c.head_length >= LEAST_HEAD) & (c.first_time != "") & c.present


_TELLING = select(_A.c.node, func.count()).where(_is_telling(_A)).group_by(_A.c.node)
_SHARED = (
    select(_A.c.node, _B.c.node, func.min(_A.c.name), func.min(_B.c.name), func.count())
    .select_from(_A.join(_B, (_B.c.head_sha256 == _A.c.head_sha256) & (_B.c.node > _A.c.node)))
    .where(_is_telling(_A), _is_telling(_B))
    .group_by(_A.c.node, _B.c.node)
)


def fetch_checkpoints(connection: Connection, cluster_id: str, node: str) -> list[Checkpoint]:
    """Fetch the checkpoints of a node that are not retired, by generation."""
    rows = connection.execute(_CHECKPOINTS, {"of_cluster_id": cluster_id, "of_node": node})
    # Sorted here: asked for an order, SQLite would take the key for it, and look at all.
    return sorted(read_rows(Checkpoint, rows), key=lambda c: c.generation)


def fetch_checkpoints_of(
    connection: Connection, cluster_id: str, node: str, numbers: Collection[int]
) -> Iterator[Checkpoint]:
    """Fetch the checkpoints of some generations of a node."""
    for some in in_batches(sorted(numbers)):
        of_them = {"of_cluster_id": cluster_id, "of_node": node, "numbers": some}
        yield from read_rows(Checkpoint, connection.execute(_CHECKPOINTS_OF, of_them))


def fetch_generation(connection: Connection, cluster_id: str, node: str, generation: int) -> Checkpoint | None:
    return next(fetch_checkpoints_of(connection, cluster_id, node, [generation]), None)


def fetch_generations(
    engine: Engine, cluster_id: str, *, node: str = "", family: str = "", job_id: str = ""
) -> Iterator[tuple[str, Checkpoint]]:
    """Fetch node and checkpoint of every generation, by node and family in the order of writing.

    They come page by page, so that no connection is held while the caller works on them. With `job_id` only the
    generations come that this job stored something of.
    """
    statement = select(generations).where(generations.c.cluster_id == cluster_id)
    if node:
        statement = statement.where(generations.c.node == node)
    if family:
        statement = statement.where(generations.c.family == family)
    if job_id:
        stored = select(segments.c.node, segments.c.generation)
        stored = stored.where(segments.c.job_id == job_id, segments.c.cluster_id == cluster_id)
        statement = statement.where(tuple_(generations.c.node, generations.c.generation).in_(stored))
    order = (generations.c.node, generations.c.family, generations.c.position, generations.c.generation)
    for row in read_pages(engine, statement, order, 1000):
        yield row.node, read_row(Checkpoint, row)


def save_checkpoints(connection: Connection, cluster_id: str, node: str, checkpoints: Sequence[Checkpoint]) -> None:
    """Insert or replace checkpoints, and clear their retired mark."""
    if not checkpoints:
        return
    key = {"cluster_id": cluster_id, "node": node, "retired": False}
    write = writer(generations, Checkpoint)
    rows = [key | write(checkpoint) for checkpoint in checkpoints]
    connection.execute(_save_generation(connection.dialect), rows)


@cache
def _save_generation(dialect: Dialect) -> Any:
    """Build the statement once: building it takes longer than running it."""
    insert = upsert(dialect)(generations)
    changes = {column.name: insert.excluded[column.name] for column in generations.c if column.name not in _RETAINED}
    removed = (generations.c.removed > generations.c.start) & (generations.c.first_time != "")
    changes["first_time"] = case((removed, generations.c.first_time), else_=insert.excluded.first_time)
    return insert.on_conflict_do_update(index_elements=_KEY, set_=changes)


def fetch_kept(connection: Connection, cluster_id: str, node: str, numbers: Collection[int]) -> dict[int, int]:
    """Return how many bytes of each of these generations are archived; those that are unknown are missing."""
    rows = connection.execute(_ARCHIVED, {"of_cluster_id": cluster_id, "of_node": node, "numbers": list(numbers)})
    return {row.generation: row.kept for row in rows}


def fetch_last_segments(connection: Connection, cluster_id: str, node: str, job_id: str) -> dict[int, int]:
    """Return the generations that the cluster's newest job stored, with the size of the last segment of each."""
    s, g = segments.c, generations.c
    same = (s.cluster_id == g.cluster_id) & (s.node == g.node) & (s.generation == g.generation)
    statement = (
        select(g.generation, g.kept - func.max(s.start))
        .join(segments, same)
        .where(s.job_id == job_id, s.cluster_id == cluster_id, s.node == node)
        .group_by(g.generation, g.kept)
    )
    return {int(row[0]): int(row[1]) for row in connection.execute(statement)}


def fetch_shared(connection: Connection, cluster_id: str, names: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Return pairs of nodes most of whose files look the same, with the name of one such file on each.

    Two files look the same if their first lines are equal and carry a time of their own.
    """
    asked = {"of_cluster_id": cluster_id, "names": list(names)}
    files = {row[0]: int(row[1]) for row in connection.execute(_TELLING, asked)}
    if len(files) < 2:
        return []
    rows = connection.execute(_SHARED, asked)
    return [(row[0], row[1], row[2], row[3]) for row in rows if 2 * row[4] >= min(files[row[0]], files[row[1]])]


def fetch_nodes(connection: Connection, cluster_id: str) -> set[str]:
    """Return the names of all nodes that anything is known of, removed ones included."""
    statement = select(generations.c.node).where(generations.c.cluster_id == cluster_id).distinct()
    return set(connection.execute(statement).scalars())
