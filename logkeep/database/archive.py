"""Statements on generations, segments, findings and manifests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from sys import intern
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Dialect, Engine, Row, Select, bindparam, func, select, tuple_, update

from logkeep.database.connection import reading, upsert
from logkeep.database.tables import findings, generations, jobs, manifests, nodes, segments
from logkeep.database.warnings import fetch_warnings
from logkeep.domain.forecast import Forecast
from logkeep.domain.manifest import Checkpoint, Fingerprint, Flaw, Gap, PendingFile, Segment, Sighting
from logkeep.domain.warning import JobWarning

LEAST_HEAD = 256  # bytes that tell one file from another
_KEY = ["cluster_id", "node", "generation"]
_BATCH = 500  # values in one statement
_encode = msgspec.msgpack.encode


def fetch_checkpoints(connection: Connection, cluster_id: str, node: str) -> list[Checkpoint]:
    """Fetch the checkpoints of a node that are not retired, by generation."""
    rows = connection.execute(_generations(cluster_id, node).where(~generations.c.retired))
    # Sorted here: asked for an order, SQLite would take the key for it, and look at all.
    return sorted(map(to_checkpoint, rows), key=lambda c: c.generation)


def fetch_checkpoints_of(
    connection: Connection, cluster_id: str, node: str, numbers: Collection[int]
) -> Iterator[Checkpoint]:
    """Fetch the checkpoints of some generations of a node."""
    wanted = sorted(numbers)
    for at in range(0, len(wanted), _BATCH):
        statement = _generations(cluster_id, node).where(generations.c.generation.in_(wanted[at : at + _BATCH]))
        yield from map(to_checkpoint, connection.execute(statement))


def fetch_generation(connection: Connection, cluster_id: str, node: str, generation: int) -> Checkpoint | None:
    return next(fetch_checkpoints_of(connection, cluster_id, node, [generation]), None)


def _generations(cluster_id: str, node: str) -> Select[*tuple[Any, ...]]:
    return select(generations).where(generations.c.cluster_id == cluster_id, generations.c.node == node)


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
    for row in _pages(engine, statement, order, 1000):
        yield row.node, to_checkpoint(row)


def _pages(
    engine: Engine, statement: Select[*tuple[Any, ...]], order: Sequence[Column[Any]], size: int
) -> Iterator[Row[*tuple[Any, ...]]]:
    """Fetch all rows, sorted by columns that are selected and together unique."""
    page = statement.order_by(*order).limit(size)
    after = page
    while True:
        with reading(engine) as connection:
            rows = connection.execute(after).all()
        yield from rows
        if len(rows) < size:
            return
        after = page.where(tuple_(*order) > tuple(getattr(rows[-1], column.name) for column in order))


def save_checkpoints(connection: Connection, cluster_id: str, node: str, checkpoints: Sequence[Checkpoint]) -> None:
    """Insert or replace checkpoints, and clear their retired mark."""
    if not checkpoints:
        return
    key = {"cluster_id": cluster_id, "node": node, "retired": False}
    rows = [key | _generation(checkpoint) for checkpoint in checkpoints]
    connection.execute(_save_generation(connection.dialect), rows)


@cache
def _save_generation(dialect: Dialect) -> Any:
    """Build the statement once: building it takes longer than running it."""
    insert = upsert(dialect)(generations)
    changes = {column.name: insert.excluded[column.name] for column in generations.c if column.name not in _KEY}
    return insert.on_conflict_do_update(index_elements=_KEY, set_=changes)


def fetch_kept(connection: Connection, cluster_id: str, node: str, generation: int) -> int:
    """Return how many bytes of a generation are archived, 0 if it is unknown."""
    statement = select(generations.c.kept).where(
        generations.c.cluster_id == cluster_id, generations.c.node == node, generations.c.generation == generation
    )
    return connection.execute(statement).scalar() or 0


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
    a, b = generations.alias(), generations.alias()
    telling = [(one.c.head_length >= LEAST_HEAD) & (one.c.first_time != "") & one.c.present for one in (a, b)]
    # What is present is not retired, and the index finds that without looking at what is.
    mine = [(one.c.cluster_id == cluster_id) & one.c.node.in_(names) & ~one.c.retired for one in (a, b)]
    counts = select(a.c.node, func.count()).where(mine[0], telling[0]).group_by(a.c.node)
    files = {row[0]: int(row[1]) for row in connection.execute(counts)}
    if len(files) < 2:
        return []
    same = (b.c.head_sha256 == a.c.head_sha256) & (b.c.node > a.c.node)
    pairs = select(a.c.node, b.c.node, func.min(a.c.name), func.min(b.c.name), func.count()).select_from(
        a.join(b, same)
    )
    rows = connection.execute(pairs.where(*mine, *telling).group_by(a.c.node, b.c.node))
    return [(row[0], row[1], row[2], row[3]) for row in rows if 2 * row[4] >= min(files[row[0]], files[row[1]])]


def fetch_nodes(connection: Connection, cluster_id: str) -> set[str]:
    """Return the names of all nodes that anything is known of, removed ones included."""
    statement = select(generations.c.node).where(generations.c.cluster_id == cluster_id).distinct()
    return set(connection.execute(statement).scalars())


def fetch_listing_digest(connection: Connection, cluster_id: str, node: str) -> str:
    statement = select(nodes.c.listing_digest).where(nodes.c.cluster_id == cluster_id, nodes.c.name == node)
    return connection.execute(statement).scalar() or ""


def save_listing_digest(connection: Connection, cluster_id: str, node: str, digest: str) -> None:
    statement = update(nodes).where(nodes.c.cluster_id == cluster_id, nodes.c.name == node)
    connection.execute(statement.values(listing_digest=digest))


def fetch_unread(connection: Connection, cluster_id: str, node: str) -> list[PendingFile]:
    statement = select(nodes.c.unread).where(nodes.c.cluster_id == cluster_id, nodes.c.name == node)
    body = connection.execute(statement).scalar()
    return msgspec.msgpack.decode(body, type=list[PendingFile]) if body else []


def save_unread(connection: Connection, cluster_id: str, node: str, unread: Sequence[PendingFile]) -> None:
    statement = update(nodes).where(nodes.c.cluster_id == cluster_id, nodes.c.name == node)
    connection.execute(statement.values(unread=_encode(unread) if unread else None))


def insert_segment(
    connection: Connection, cluster_id: str, job_id: str, segment: Segment, manifest_job_id: str | None = None
) -> None:
    """Insert a segment that `job_id` stored; the manifest of `manifest_job_id` names it, None if none does yet.

    Verification reads it after all that was read back before the job began.
    """
    created_at = select(jobs.c.created_at).where(jobs.c.job_id == job_id)
    connection.execute(
        segments.insert().values(
            cluster_id=cluster_id,
            node=segment.node,
            generation=segment.generation,
            start=segment.start,
            job_id=job_id,
            manifest_job_id=manifest_job_id,
            bucket=segment.bucket,
            object=segment.object,
            stored=segment.stored,
            raw=segment.end - segment.start,
            lines=segment.lines,
            body=_encode(segment),
            read_at=func.coalesce(created_at.scalar_subquery(), 0),
        )
    )


def fetch_segment_object(connection: Connection, cluster_id: str, segment: Segment) -> str | None:
    """Return the name of the object that the database has for this segment, or None."""
    c = segments.c
    statement = select(c.object).where(
        c.cluster_id == cluster_id,
        c.node == segment.node,
        c.generation == segment.generation,
        c.start == segment.start,
    )
    return connection.execute(statement).scalar()


def fetch_segments(engine: Engine, cluster_id: str) -> Iterator[tuple[Segment, str]]:
    """Fetch segments and the id of the job that stored each, by node, generation and start; page by page."""
    return _segments(engine, select(segments).where(segments.c.cluster_id == cluster_id))


def fetch_segments_from(
    engine: Engine, cluster_id: str, node: str, generation: int, start: int = 0
) -> Iterator[Segment]:
    """Fetch the segments of a generation, from the one that contains byte `start` on; page by page."""
    of_it = (segments.c.cluster_id == cluster_id, segments.c.node == node, segments.c.generation == generation)
    first = select(func.max(segments.c.start)).where(*of_it, segments.c.start <= start).scalar_subquery()
    for segment, _ in _segments(engine, select(segments).where(*of_it, segments.c.start >= first)):
        yield segment


def fetch_segments_of(
    engine: Engine, cluster_id: str, node: str, numbers: Sequence[int], job_id: str = ""
) -> Iterator[Segment]:
    """Fetch the segments of some generations of a node, in order; with `job_id` only what this job stored."""
    statement = select(segments).where(
        segments.c.cluster_id == cluster_id, segments.c.node == node, segments.c.generation.in_(numbers)
    )
    if job_id:
        statement = statement.where(segments.c.job_id == job_id)
    for segment, _ in _segments(engine, statement):
        yield segment


def _segments(engine: Engine, statement: Select[*tuple[Any, ...]]) -> Iterator[tuple[Segment, str]]:
    order = (segments.c.node, segments.c.generation, segments.c.start)
    for row in _pages(engine, statement, order, 100):
        yield msgspec.msgpack.decode(row.body, type=Segment), row.job_id


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
        return msgspec.msgpack.decode(self.body, type=Segment)


def fetch_segments_by_object(engine: Engine, cluster_id: str) -> Iterator[SegmentRow]:
    """Fetch all segments sorted by the names of their objects; page by page."""
    c = segments.c
    statement = select(
        c.node, c.generation, c.start, c.job_id, c.bucket, c.object, c.stored, c.read_at, c.body
    ).where(c.cluster_id == cluster_id)  # fmt: skip
    for row in _pages(engine, statement, (c.object, c.node, c.generation, c.start), 200):
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
    """Save when each segment was read back, in Unix ms; -1 for a damaged one, which is read each time."""
    c = segments.c
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
        connection.execute(statement.values(read_at=bindparam("at")), rows)


def fetch_named_segments(connection: Connection, cluster_id: str, objects: Sequence[str]) -> set[str]:
    """Return those of these objects that are segments of the cluster, in any bucket."""
    statement = select(segments.c.object).where(
        segments.c.cluster_id == cluster_id, segments.c.object.in_(list(objects))
    )
    return set(connection.execute(statement).scalars())


def fetch_manifest_of_jobs(connection: Connection, job_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return cluster and object of the manifest of each of these jobs that has one."""
    statement = select(manifests.c.job_id, manifests.c.cluster_id, manifests.c.object)
    rows = connection.execute(statement.where(manifests.c.job_id.in_(list(job_ids))))
    return {row[0]: (row[1], row[2]) for row in rows}


def fetch_segment_owner(connection: Connection, job_id: str) -> str | None:
    """Return the cluster that has a segment of this job, or None."""
    statement = select(segments.c.cluster_id).where(segments.c.job_id == job_id)
    return connection.execute(statement.limit(1)).scalar()


def fetch_manifest_objects(connection: Connection, cluster_id: str) -> Iterator[tuple[str, str]]:
    """Fetch bucket and name of every manifest."""
    statement = select(manifests.c.bucket, manifests.c.object).where(manifests.c.cluster_id == cluster_id)
    for row in connection.execute(statement):
        yield row[0], row[1]


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
    sums = (func.coalesce(func.sum(segments.c.raw), 0), func.coalesce(func.sum(segments.c.stored), 0))
    raw, stored = connection.execute(select(*sums).where(segments.c.job_id == job_id)).one()
    return int(raw), int(stored)


def fetch_unlisted_segments(connection: Connection, cluster_id: str) -> list[Segment]:
    """Return the segments that no manifest names yet."""
    statement = select(segments.c.body).where(segments.c.cluster_id == cluster_id, segments.c.manifest_job_id.is_(None))
    order = (segments.c.node, segments.c.generation, segments.c.start)
    bodies = connection.execute(statement.order_by(*order)).scalars()
    return [msgspec.msgpack.decode(body, type=Segment) for body in bodies]


def fetch_listed_segments(connection: Connection, cluster_id: str, manifest_job_id: str) -> list[Segment]:
    """Return the segments that the manifest of this job names."""
    statement = select(segments.c.body).where(
        segments.c.cluster_id == cluster_id, segments.c.manifest_job_id == manifest_job_id
    )
    return [msgspec.msgpack.decode(body, type=Segment) for body in connection.execute(statement).scalars()]


def mark_segment_listed(connection: Connection, cluster_id: str, segment: Segment, job_id: str) -> None:
    """Record that the manifest of this job names a segment that is in the database."""
    c = segments.c
    statement = update(segments).where(
        c.cluster_id == cluster_id,
        c.node == segment.node,
        c.generation == segment.generation,
        c.start == segment.start,
    )
    connection.execute(statement.values(manifest_job_id=job_id))


def mark_listed(connection: Connection, cluster_id: str, job_id: str, named: Sequence[Segment]) -> None:
    """Record that the manifest of this job names these segments.

    They must be the first ones, by node, generation and start, of all that no manifest names yet.
    """
    if not named:
        return
    c, last = segments.c, named[-1]
    statement = update(segments).where(
        c.cluster_id == cluster_id,
        c.manifest_job_id.is_(None),
        tuple_(c.node, c.generation, c.start) <= (last.node, last.generation, last.start),
    )
    connection.execute(statement.values(manifest_job_id=job_id))


def insert_findings(
    connection: Connection, job_id: str, node: str, found: Sequence[Gap | Sighting | Forecast | str]
) -> None:
    """Insert gaps, sightings, forecasts, and failures as text."""
    rows = [{"job_id": job_id, "node": node, "kind": _kind(one), "body": _encode(one)} for one in found]
    if rows:
        cluster_id = select(jobs.c.cluster_id).where(jobs.c.job_id == job_id).scalar_subquery()
        connection.execute(findings.insert().values(cluster_id=cluster_id), rows)


def delete_failures(connection: Connection, job_id: str, node: str) -> None:
    """Delete the read failures of an earlier attempt."""
    connection.execute(
        findings.delete().where(findings.c.job_id == job_id, findings.c.node == node, findings.c.kind == "failure")
    )


@dataclass(frozen=True, slots=True)
class Findings:
    gaps: tuple[Gap, ...]
    sightings: tuple[Sighting, ...]
    failures: tuple[str, ...]
    warnings: tuple[JobWarning, ...] = ()


def fetch_findings(connection: Connection, job_id: str) -> Findings:
    statement = select(findings.c.kind, findings.c.body).where(findings.c.job_id == job_id).order_by(findings.c.id)
    rows = connection.execute(statement).all()

    def all_of(kind: str, of_type: Any) -> Any:
        return tuple(msgspec.msgpack.decode(row.body, type=of_type) for row in rows if row.kind == kind)

    told = fetch_warnings(connection, job_id)
    return Findings(all_of("gap", Gap), all_of("sighting", Sighting), all_of("failure", str), told)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    job_id: str
    number: int
    bucket: str
    object: str
    sha256: str
    proven: bool = True  # False where no trusted signature covers it
    unproven: str = ""  # see `Manifest.unproven`


def insert_manifest(connection: Connection, cluster_id: str, row: ManifestRow) -> None:
    connection.execute(
        manifests.insert().values(
            job_id=row.job_id,
            cluster_id=cluster_id,
            number=row.number,
            bucket=row.bucket,
            object=row.object,
            sha256=row.sha256,
            proven=row.proven,
            unproven=row.unproven,
        )
    )


def fetch_last_manifest(connection: Connection, cluster_id: str, *, proven: bool = False) -> ManifestRow | None:
    """Return the last manifest; with `proven` the last one that a trusted signature covers."""
    statement = select(manifests).where(manifests.c.cluster_id == cluster_id).order_by(manifests.c.number.desc())
    if proven:
        statement = statement.where(manifests.c.proven)
    row = connection.execute(statement.limit(1)).first()
    return _manifest(row) if row else None


def fetch_manifests(connection: Connection, cluster_id: str) -> list[ManifestRow]:
    """Return the chain of manifests from its start."""
    statement = select(manifests).where(manifests.c.cluster_id == cluster_id).order_by(manifests.c.number)
    return [_manifest(row) for row in connection.execute(statement)]


def _manifest(row: Row[*tuple[Any, ...]]) -> ManifestRow:
    return ManifestRow(
        job_id=row.job_id,
        number=row.number,
        bucket=row.bucket,
        object=row.object,
        sha256=row.sha256,
        proven=row.proven,
        unproven=row.unproven,
    )


def _kind(found: Gap | Sighting | Forecast | str) -> str:
    return "failure" if isinstance(found, str) else type(found).__name__.lower()


def to_checkpoint(row: Row[*tuple[Any, ...]]) -> Checkpoint:
    """Make a checkpoint of a row. Equal values share one object, as a node may have 100,000 generations."""
    head = Fingerprint(row.head_length, row.head_sha256)
    tail = Fingerprint(row.tail_length, row.tail_sha256)
    return Checkpoint(
        generation=row.generation,
        family=intern(row.family),
        position=row.position,
        name=row.name,
        kept=row.kept,
        head=head,
        tail=head if tail == head else tail,
        first_time=row.first_time,
        last_time=row.first_time if row.last_time == row.first_time else row.last_time,
        present=row.present,
        size=row.size,
        mtime_ns=row.mtime_ns,
        ctime_ns=row.ctime_ns,
        inode=row.inode,
        joined=row.joined,
        lead=row.lead,
        checked=row.checked,
        start=row.start,
        flaw=Flaw(row.flaw),
    )


def _generation(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "generation": checkpoint.generation,
        "family": checkpoint.family,
        "position": checkpoint.position,
        "name": checkpoint.name,
        "kept": checkpoint.kept,
        "head_length": checkpoint.head.length,
        "head_sha256": checkpoint.head.sha256,
        "tail_length": checkpoint.tail.length,
        "tail_sha256": checkpoint.tail.sha256,
        "first_time": checkpoint.first_time,
        "last_time": checkpoint.last_time,
        "present": checkpoint.present,
        "size": checkpoint.size,
        "mtime_ns": checkpoint.mtime_ns,
        "ctime_ns": checkpoint.ctime_ns,
        "inode": checkpoint.inode,
        "joined": checkpoint.joined,
        "lead": checkpoint.lead,
        "checked": checkpoint.checked,
        "start": checkpoint.start,
        "flaw": checkpoint.flaw.value,
    }
