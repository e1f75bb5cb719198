"""Reading an archive: listing its generations, and returning their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice

from logkeep.archive.byte_ranges import measure_extents
from logkeep.archive.restore import read_range, read_records
from logkeep.database import generations, segments
from logkeep.database.connection import reading
from logkeep.domain.archived_log import ArchivedGeneration
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Checkpoint, Segment
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Span
from logkeep.errors import InvalidField
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores

_AT_ONCE = 500  # generations whose segments are looked up together
EVER = Span()


def list_kept(
    runtime: Runtime, cluster: Cluster, *, node: str = "", family: str = "", job_id: str = "", span: Span = EVER
) -> Iterator[ArchivedGeneration]:
    """List generations by node and family, in the order they were written.

    With `job_id`, only what this job stored; with `span`, only what may contain records of that time.
    """
    found = generations.fetch_generations(runtime.database, cluster.id, node=node, family=family, job_id=job_id)
    if not job_id and not span:
        for name, c in found:
            if not c.is_gone:
                yield _kept_log(name, c, c.first, c.kept, c.kept - c.first, timed=bool(c.last_time))
        return
    for name, group in groupby(found, key=lambda one: one[0]):
        checkpoints = (c for _, c in group)
        while batch := list(islice(checkpoints, _AT_ONCE)):
            numbers = [c.generation for c in batch]
            stored = segments.fetch_segments_of(runtime.database, cluster.id, name, numbers, job_id)
            extents = measure_extents(stored, span)
            for c in batch:
                extent = extents.get(c.generation)
                if extent and extent.expected:
                    start, end = (extent.start, extent.end) if job_id else (c.first, c.kept)
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
    runtime: Runtime,
    cluster: Cluster,
    node: str,
    generation: int,
    *,
    start: int = 0,
    end: int | None = None,
    span: Span = EVER,
    encoded: bool = False,
) -> Iterator[bytes]:
    """Return the plain bytes [start, end) of one generation, or its records within a span.

    Each frame is verified before its bytes are returned; `encoded`, which no span is, they are returned as frames of
    zstd, which the reader verifies. Bounds outside of what is archived are moved to its ends.
    Raises `InvalidField` immediately if there is no such generation, and a `StoreError`, such as `StoreCorrupt`, while
    reading.
    """
    with reading(runtime.database) as connection:
        found = generations.fetch_generation(connection, cluster.id, node, generation)
    if found is None:
        raise InvalidField("generation", "the archive of this node has no such generation")
    start, end = max(start, found.first), found.kept if end is None else min(end, found.kept)

    def stored_from(first: int = found.first) -> Iterator[Segment]:
        return segments.fetch_segments_from(runtime.database, cluster.id, node, generation, first)

    stores = cluster_stores(runtime, cluster.id)
    if span:
        records = read_records(stores, stored_from, RecordFilter(span), start, end, found.first)
        return (piece for _, piece in records)
    return read_range(stores, stored_from(start), start, end, encoded=encoded)
