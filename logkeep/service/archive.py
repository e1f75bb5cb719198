"""Reading an archive: listing its generations, and returning their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from logkeep.database import archive
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Checkpoint, Segment
from logkeep.domain.span import Span
from logkeep.engine.extent import measure_extents
from logkeep.engine.restore import read_range, read_span
from logkeep.errors import InvalidField
from logkeep.service.context import Context
from logkeep.service.stores import cluster_stores

_AT_ONCE = 500  # generations whose segments are looked up together
EVER = Span()


@dataclass(frozen=True, slots=True)
class ArchivedGeneration:
    """An archived generation of a log, or the part of it that was asked for."""

    node: str
    family: str  # name of the active file, e.g. oslogs_server.json
    generation: int  # number within the node; the address for reading, together with the node
    name: str  # name of the file when it was last seen, without '.gz'
    size: int  # plain bytes from `start` to `end`
    start: int  # bytes [start, end) of the generation
    end: int
    expected: int  # estimate of how many of them belong to the span of time; without a span, all
    timed: bool  # the time of some record is known; a log without times belongs to every span


def list_kept(
    context: Context, cluster: Cluster, *, node: str = "", family: str = "", job_id: str = "", span: Span = EVER
) -> Iterator[ArchivedGeneration]:
    """List generations by node and family, in the order they were written.

    With `job_id`, only what this job stored; with `span`, only what may contain records of that time.
    """
    found = archive.fetch_generations(context.database, cluster.id, node=node, family=family, job_id=job_id)
    if not job_id and not span:
        for name, c in found:
            yield _kept_log(name, c, c.start, c.kept, c.kept - c.start, timed=bool(c.last_time))
        return
    for name, group in groupby(found, key=lambda one: one[0]):
        checkpoints = (c for _, c in group)
        while batch := list(islice(checkpoints, _AT_ONCE)):
            numbers = [c.generation for c in batch]
            segments = archive.fetch_segments_of(context.database, cluster.id, name, numbers, job_id)
            extents = measure_extents(segments, span)
            for c in batch:
                extent = extents.get(c.generation)
                if extent and extent.expected:
                    start, end = (extent.start, extent.end) if job_id else (c.start, c.kept)
                    yield _kept_log(name, c, start, end, min(extent.expected, end - start), timed=extent.timed)


def _kept_log(node: str, c: Checkpoint, start: int, end: int, expected: int, *, timed: bool) -> ArchivedGeneration:
    return ArchivedGeneration(
        node=node,
        family=c.family,
        generation=c.generation,
        name=c.name,
        size=end - start,
        start=start,
        end=end,
        expected=expected,
        timed=timed,
    )


def read_kept(
    context: Context,
    cluster: Cluster,
    node: str,
    generation: int,
    *,
    start: int = 0,
    end: int | None = None,
    span: Span = EVER,
) -> Iterator[bytes]:
    """Return the plain bytes [start, end) of one generation, or its records within a span.

    Each frame is verified before its bytes are returned. Bounds outside of what is archived are moved to its ends.
    Raises `InvalidField` immediately if there is no such generation, and a `StoreError`, such as `StoreCorrupt`, while
    reading.
    """
    with reading(context.database) as connection:
        found = archive.fetch_generation(connection, cluster.id, node, generation)
    if found is None:
        raise InvalidField("generation", "the archive of this node has no such generation")
    start, end = max(start, found.start), found.kept if end is None else min(end, found.kept)

    def segments(first: int = found.start) -> Iterator[Segment]:
        return archive.fetch_segments_from(context.database, cluster.id, node, generation, first)

    stores = cluster_stores(context, cluster.id)
    if span:
        return read_span(stores, segments, span, start, end, found.start)
    return read_range(stores, segments(start), start, end)
