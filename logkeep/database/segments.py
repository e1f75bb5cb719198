"""Statements on segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, bindparam, case, func, select, tuple_, update

from logkeep.database.bodies import decode_body, encode_body
from logkeep.database.connection import of, read_pages
from logkeep.database.records import values
from logkeep.database.tables import jobs, segments
from logkeep.domain.manifest import Segment

# `read_at` of a segment whose object is missing or damaged. Verification reads it each time, whichever it is.
DAMAGED = -1
ASKED = -2  # the next backup is to keep it again
LOST = -3  # a backup looked for its bytes on the node, which has them no more

_KEY = (segments.c.node, segments.c.generation, segments.c.start)
_BEGAN = select(jobs.c.created_at).where(*of(jobs.c.job_id)).scalar_subquery()
# The manifest may be of a later job, whose time is then the latest that it can have been.
_TOLD = select(jobs.c.created_at).where(jobs.c.job_id == bindparam("told_by")).scalar_subquery()
_INSERT = segments.insert().values(read_at=func.coalesce(_BEGAN, 0), created_at=func.coalesce(_BEGAN, _TOLD))
_ASKED_NODES = select(segments.c.node).where(*of(segments.c.cluster_id), segments.c.read_at == ASKED).distinct()
_SUMS = select(func.coalesce(func.sum(segments.c.raw), 0), func.coalesce(func.sum(segments.c.stored), 0)).where(
    *of(segments.c.job_id)
)
_UNLISTED = (*of(segments.c.cluster_id), segments.c.manifest_job_id.is_(None))
_FETCH_UNLISTED = select(segments.c.body).where(*_UNLISTED).order_by(*_KEY)
_MARK_LISTED = update(segments).where(
    *_UNLISTED, tuple_(*_KEY) <= tuple_(*(bindparam(f"last_{column.name}", type_=column.type) for column in _KEY))
)


def insert_segments(
    connection: Connection, cluster_id: str, job_id: str, new: Sequence[Segment], manifest_job_id: str | None = None
) -> None:
    """Insert segments that `job_id` stored; the manifest of `manifest_job_id` names them, None if none does yet.

    Verification reads them after all that was read back before the job began.
    """
    of_job = {"cluster_id": cluster_id, "job_id": job_id, "of_job_id": job_id, "manifest_job_id": manifest_job_id}
    of_job |= {"told_by": manifest_job_id}
    rows = [
        values(segments, segment)
        | of_job
        | {"raw": segment.end - segment.start, "lines": segment.lines, "body": encode_body(segment)}
        | _times(segment)
        for segment in new
    ]
    connection.execute(_INSERT, rows)


def _times(segment: Segment) -> dict[str, str]:
    """Return the first and the last time of its lines; '' where a frame does not tell its own."""
    if not all(frame.first_time and frame.last_time for frame in segment.frames):
        return {"first_time": "", "last_time": ""}
    return {"first_time": segment.first_time, "last_time": segment.last_time}


def fetch_segment_object(connection: Connection, cluster_id: str, segment: Segment) -> str | None:
    """Return the name of the object that the database has for this segment, or None."""
    return connection.execute(select(segments.c.object).where(*_of(cluster_id, segment))).scalar()


def _of(cluster_id: str, segment: Segment) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that only this segment's row meets."""
    c = segments.c
    key = (c.node == segment.node, c.generation == segment.generation, c.start == segment.start)
    return (c.cluster_id == cluster_id, *key)


def fetch_segments_from(
    engine: Engine, cluster_id: str, node: str, generation: int, start: int = 0
) -> Iterator[Segment]:
    """Fetch the segments of a generation, from the one that contains byte `start` on; page by page."""
    of_it = (segments.c.cluster_id == cluster_id, segments.c.node == node, segments.c.generation == generation)
    first = select(func.max(segments.c.start)).where(*of_it, segments.c.start <= start).scalar_subquery()
    return _segments(engine, select(segments).where(*of_it, segments.c.start >= first))


def fetch_segments(engine: Engine, cluster_id: str, node: str = "") -> Iterator[Segment]:
    """Fetch the segments of a cluster, or of one node, by node, generation and place; page by page."""
    statement = select(segments).where(segments.c.cluster_id == cluster_id)
    return _segments(engine, statement.where(segments.c.node == node) if node else statement)


def fetch_segments_of(
    engine: Engine, cluster_id: str, node: str, numbers: Sequence[int], job_id: str = ""
) -> Iterator[Segment]:
    """Fetch the segments of some generations of a node, in order; with `job_id` only what this job stored."""
    statement = select(segments).where(
        segments.c.cluster_id == cluster_id, segments.c.node == node, segments.c.generation.in_(numbers)
    )
    if job_id:
        statement = statement.where(segments.c.job_id == job_id)
    return _segments(engine, statement)


def _segments(engine: Engine, statement: Select[*tuple[Any, ...]]) -> Iterator[Segment]:
    for row in read_pages(engine, statement, _KEY, 100):
        yield decode_body(row.body, Segment)


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment with what its row tells, so that most need not be decoded."""

    node: str
    generation: int
    start: int
    job_id: str
    bucket: str
    object: str
    stored: int
    read_at: int
    body: bytes

    @property
    def turn(self) -> tuple[int, str, int, int]:
        """Return its sort key in the order in which segments are read back."""
        return self.read_at, self.node, self.generation, self.start

    def segment(self) -> Segment:
        return decode_body(self.body, Segment)


def fetch_segments_by_object(engine: Engine, cluster_id: str) -> Iterator[SegmentRow]:
    """Fetch all segments sorted by the names of their objects; page by page."""
    c = segments.c
    statement = select(
        c.node, c.generation, c.start, c.job_id, c.bucket, c.object, c.stored, c.read_at, c.body
    ).where(c.cluster_id == cluster_id)  # fmt: skip
    for row in read_pages(engine, statement, (c.object, c.node, c.generation, c.start), 200):
        yield SegmentRow(*row)


def fetch_lines_before(connection: Connection, cluster_id: str, segment: Segment) -> int | None:
    """Count the lines of a generation that end before the segment; None if not all of them are archived."""
    c = segments.c
    statement = select(func.coalesce(func.sum(c.raw), 0), func.coalesce(func.sum(c.lines), 0)).where(
        c.cluster_id == cluster_id,
        c.node == segment.node,
        c.generation == segment.generation,
        c.start < segment.start,
    )
    kept, lines = connection.execute(statement).one()
    return int(lines) if kept == segment.start else None


def fetch_turn(connection: Connection, cluster_id: str, place: int) -> tuple[int, str, int, int] | None:
    """Return `SegmentRow.turn` of the segment at index `place` (from 0), least recently read first."""
    c = segments.c
    statement = select(c.read_at, c.node, c.generation, c.start).where(c.cluster_id == cluster_id, c.read_at >= 0)
    statement = statement.order_by(c.read_at, c.node, c.generation, c.start).limit(1).offset(place)
    row = connection.execute(statement).first()
    return row and (row[0], row[1], row[2], row[3])


def fetch_last_read(connection: Connection, cluster_id: str) -> int:
    """Return the largest `read_at`, 0 if there is none."""
    statement = select(func.max(segments.c.read_at)).where(segments.c.cluster_id == cluster_id)
    return max(0, connection.execute(statement).scalar() or 0)


def save_read(connection: Connection, cluster_id: str, read: Sequence[tuple[SegmentRow, int]]) -> None:
    """Save when each segment was read back, in Unix ms, or `DAMAGED`, which leaves what was known of it before."""
    c = segments.c
    at = bindparam("at")
    statement = update(segments).where(
        c.cluster_id == cluster_id,
        c.node == bindparam("its_node"),
        c.generation == bindparam("its_generation"),
        c.start == bindparam("its_start"),
    )
    rows = [
        {"its_node": row.node, "its_generation": row.generation, "its_start": row.start, "at": read_at}
        for row, read_at in read
    ]
    if rows:
        connection.execute(statement.values(read_at=case((and_(at < 0, c.read_at < 0), c.read_at), else_=at)), rows)


def ask_for_damaged(connection: Connection, cluster_id: str) -> None:
    """Let the next backup keep all segments again that were found missing or damaged."""
    damaged = update(segments).where(segments.c.cluster_id == cluster_id, segments.c.read_at < 0)
    connection.execute(damaged.values(read_at=ASKED))


def fetch_asked_nodes(connection: Connection, cluster_id: str) -> list[str]:
    """Return the nodes of segments that are to be kept again."""
    return list(connection.execute(_ASKED_NODES, {"of_cluster_id": cluster_id}).scalars())


def fetch_asked(
    connection: Connection, cluster_id: str, node: str, after: tuple[int, int], limit: int
) -> list[Segment]:
    """Return segments of a node that are to be kept again, by generation and start from behind `after` on."""
    c = segments.c
    asked = (c.cluster_id == cluster_id, c.read_at == ASKED, c.node == node)
    statement = select(c.body).where(*asked, tuple_(c.generation, c.start) > after)
    bodies = connection.execute(statement.order_by(c.generation, c.start).limit(limit)).scalars()
    return [decode_body(body, Segment) for body in bodies]


def settle_asked(connection: Connection, cluster_id: str, segment: Segment, read_at: int) -> None:
    """Save what became of a segment that was to be kept again: `LOST`, or 0 to have it read back first."""
    connection.execute(update(segments).where(*_of(cluster_id, segment)).values(read_at=read_at))


def fetch_named_segments(connection: Connection, cluster_id: str, objects: Sequence[str]) -> set[str]:
    """Return those of these objects that are segments of the cluster, in any bucket."""
    statement = select(segments.c.object).where(
        segments.c.cluster_id == cluster_id, segments.c.object.in_(list(objects))
    )
    return set(connection.execute(statement).scalars())


def fetch_segment_owner(connection: Connection, job_id: str) -> str | None:
    """Return the cluster that has a segment of this job, or None."""
    statement = select(segments.c.cluster_id).where(segments.c.job_id == job_id)
    return connection.execute(statement.limit(1)).scalar()


def fetch_next_object(connection: Connection, cluster_id: str, after: str) -> tuple[str, str] | None:
    """Return bucket and name of the first segment object whose name is `after` or sorts behind it."""
    statement = select(segments.c.bucket, segments.c.object).where(
        segments.c.cluster_id == cluster_id, segments.c.object >= after
    )
    row = connection.execute(statement.order_by(segments.c.object).limit(1)).first()
    return row and (row[0], row[1])


def fetch_segment_totals(connection: Connection, cluster_id: str) -> tuple[int, int]:
    """Return the number of segments and their stored bytes."""
    statement = select(func.count(), func.coalesce(func.sum(segments.c.stored), 0)).where(
        segments.c.cluster_id == cluster_id
    )
    row = connection.execute(statement).one()
    return int(row[0]), int(row[1])


def sum_segments(connection: Connection, job_id: str) -> tuple[int, int]:
    """Return the plain and the stored bytes of a job's segments."""
    raw, stored = connection.execute(_SUMS, {"of_job_id": job_id}).one()
    return int(raw), int(stored)


def fetch_unlisted_segments(connection: Connection, cluster_id: str) -> list[Segment]:
    """Return the segments that no manifest names yet."""
    bodies = connection.execute(_FETCH_UNLISTED, {"of_cluster_id": cluster_id}).scalars()
    return [decode_body(body, Segment) for body in bodies]


def fetch_listed_segments(connection: Connection, cluster_id: str, manifest_job_id: str) -> list[Segment]:
    """Return the segments that the manifest of this job names."""
    statement = select(segments.c.body).where(
        segments.c.cluster_id == cluster_id, segments.c.manifest_job_id == manifest_job_id
    )
    return [decode_body(body, Segment) for body in connection.execute(statement).scalars()]


def mark_segment_listed(connection: Connection, cluster_id: str, segment: Segment, job_id: str) -> None:
    """Record that the manifest of this job names a segment that is in the database."""
    connection.execute(update(segments).where(*_of(cluster_id, segment)).values(manifest_job_id=job_id))


def mark_listed(connection: Connection, cluster_id: str, job_id: str, named: Sequence[Segment]) -> None:
    """Record that the manifest of this job names these segments.

    They must be the first ones, by node, generation and start, of all that no manifest names yet.
    """
    if not named:
        return
    last = {f"last_{column.name}": getattr(named[-1], column.name) for column in _KEY}
    connection.execute(_MARK_LISTED, {"of_cluster_id": cluster_id, "manifest_job_id": job_id, **last})
