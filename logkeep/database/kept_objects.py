"""Statements on the objects of a cluster, as rules of retention look at them; no body is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, bindparam, delete, func, select, tuple_

from logkeep.database.bodies import decode_bodies
from logkeep.database.connection import in_batches, of, read_pages
from logkeep.database.segments import ASKED
from logkeep.database.tables import generations, jobs, log_settings, manifests, nodes, segments
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.manifest import PendingFile, PendingKind
from logkeep.domain.retention import KeptObject, ObjectOrder

Log = tuple[str, str]  # node, family
_Generation = tuple[str, int]  # node, number

_PAGE = 5000
_s, _g, _m = segments.c, generations.c, manifests.c
_KEY = (_s.node, _s.generation, _s.start)
_OF_IT = and_(_g.cluster_id == _s.cluster_id, _g.node == _s.node, _g.generation == _s.generation)
_COLUMNS = (
    *_KEY,
    _s.raw,
    _s.bucket,
    _s.object,
    _s.stored,
    _s.job_id,
    _s.created_at,
    _s.first_time,
    _s.last_time,
    _s.read_at,
    _m.proven,
    _g.family,
    _g.name,
    _g.present,
    _g.kept,
    _g.removed,
    _g.start.label("begin"),
)

_DELETE = delete(segments).where(*of(_s.cluster_id, _s.node, _s.generation), _s.start < bindparam("end"))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides beside an object's own row: the nodes that are backed up, and the last generation of each log."""

    backed_up: frozenset[str]  # nodes that are registered and there, while log backup is open
    copied: frozenset[_Generation]  # of which a node has a copy that is not kept by itself
    newest: Mapping[Log, int]  # the generation that has the last object


def fetch_surroundings(connection: Connection, cluster_id: str) -> Surroundings:
    backed_up, copied = _fetch_nodes(connection, cluster_id)
    return Surroundings(backed_up, copied, _fetch_newest(connection, cluster_id))


def _fetch_nodes(connection: Connection, cluster_id: str) -> tuple[frozenset[str], frozenset[_Generation]]:
    enabled = select(log_settings.c.enabled).where(log_settings.c.cluster_id == cluster_id)
    if not connection.execute(enabled).scalar():
        return frozenset(), frozenset()
    there = select(nodes.c.name, nodes.c.unread).where(nodes.c.cluster_id == cluster_id, nodes.c.gone_at.is_(None))
    names, copied = set[str](), set[_Generation]()
    for name, unread in connection.execute(there):
        names.add(name)
        noted = decode_bodies(unread, PendingFile) if unread else []
        copied |= {(name, one.generation) for one in noted if one.kind is PendingKind.COPY}
    return frozenset(names), frozenset(copied)


def _fetch_newest(connection: Connection, cluster_id: str) -> dict[Log, int]:
    """Return the number of the last generation of each log of which something is kept."""
    kept = and_(_g.cluster_id == cluster_id, _g.kept > _g.removed, _g.kept > _g.start)
    last = select(_g.node, _g.family, func.max(_g.position).label("position")).where(kept)
    last = last.group_by(_g.node, _g.family).subquery()
    same = and_(last.c.node == _g.node, last.c.family == _g.family, last.c.position == _g.position)
    statement = select(_g.node, _g.family, func.max(_g.generation)).join(last, same).where(kept)
    rows = connection.execute(statement.group_by(_g.node, _g.family))
    return {(node, family): generation for node, family, generation in rows}


def fetch_objects(engine: Engine, cluster_id: str, around: Surroundings) -> Iterator[KeptObject]:
    """Fetch all objects of a cluster by node, generation and start; page by page."""
    for row in read_pages(engine, _of_cluster(cluster_id), _KEY, _PAGE):
        yield _read_object(row, around)


def lock_objects(
    connection: Connection, cluster_id: str, keys: Sequence[tuple[str, int, int]], around: Surroundings
) -> Iterator[tuple[KeptObject, bytes]]:
    """Fetch objects by node, generation and start with the bodies of their rows, which nobody else changes meanwhile.

    They come in the order of the keys; those that are gone are left out.
    """
    for some in in_batches(keys):
        statement = _of_cluster(cluster_id).add_columns(_s.body).where(tuple_(*_KEY).in_(some))
        rows = connection.execute(statement.with_for_update(of=[segments, generations])).all()
        found = {(row.node, row.generation, row.start): row for row in rows}
        for key in some:
            if row := found.get(key):
                yield _read_object(row, around), row.body


def _of_cluster(cluster_id: str) -> Select[*tuple[Any, ...]]:
    statement = select(*_COLUMNS).join(generations, _OF_IT).outerjoin(manifests, _m.job_id == _s.manifest_job_id)
    return statement.where(_s.cluster_id == cluster_id)


def _read_object(row: Sequence[Any], around: Surroundings) -> KeptObject:
    # By position: names of columns take three times as long, and there may be a million rows.
    node, generation, start, raw, bucket, name_of_object, stored, job_id, created_at, first_time, last_time = row[:11]
    read_at, proven, log, name, present, kept, removed, begin = row[11:19]
    key = (node, generation)
    return KeptObject(
        node,
        log,
        name,
        generation,
        start,
        start + raw,
        bucket,
        name_of_object,
        stored,
        job_id,
        created_at,
        first_time,
        last_time,
        proven=bool(proven),
        asked=read_at == ASKED,
        on_node=node in around.backed_up and (bool(present) or key in around.copied),
        newest=start + raw >= kept and around.newest.get((node, log)) == generation,
        begins=start <= max(begin, removed),
    )


def fetch_jobs_limit(connection: Connection, cluster_id: str, number: int) -> int:
    """Return when the newest but `number` - 1 job was created that ended SUCCESS, in Unix ms; 0 if there are fewer."""
    j = jobs.c
    statement = select(j.created_at).where(j.cluster_id == cluster_id, j.status == JobStatus.SUCCESS)
    return connection.execute(statement.order_by(j.created_at.desc()).limit(1).offset(number - 1)).scalar() or 0


def fetch_bytes_limit(
    connection: Connection, cluster_id: str, most: int, log: str, others: Sequence[str]
) -> ObjectOrder | None:
    """Return the oldest object that is within so many stored bytes, from the newest one on; None if not even that is.

    They are summed over the objects of a log, or with '' over those of all logs but `others`.
    """
    order = (_s.created_at, _s.generation, _s.start)
    total = func.sum(_s.stored).over(order_by=[column.desc() for column in order]).label("total")
    statement = select(*order, total).join(generations, _OF_IT)
    statement = statement.where(_s.cluster_id == cluster_id, _s.created_at.is_not(None))
    if log:
        statement = statement.where(_g.family == log)
    elif others:
        statement = statement.where(_g.family.not_in(others))
    sums = statement.subquery()
    within = select(sums.c.created_at, sums.c.generation, sums.c.start).where(sums.c.total <= most)
    row = connection.execute(within.order_by(sums.c.created_at, sums.c.generation, sums.c.start).limit(1)).first()
    return ObjectOrder(*row) if row else None


def delete_objects(connection: Connection, cluster_id: str, ends: Mapping[_Generation, int]) -> None:
    """Delete the rows of objects that lie before a byte of their generation, given by node and number."""
    rows = [
        {"of_cluster_id": cluster_id, "of_node": node, "of_generation": generation, "end": end}
        for (node, generation), end in ends.items()
    ]
    if rows:
        connection.execute(_DELETE, rows)
