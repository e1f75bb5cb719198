"""Reading the archive back: segments of a generation in order, held against their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from logkeep.domain.manifest import Segment
from logkeep.errors import StoreCorrupt, StoreMissing
from logkeep.stores.base import ObjectStore
from logkeep.stores.frames import decompress_frame


def read_generation(stores: Mapping[str, ObjectStore], segments: Iterable[Segment]) -> Iterator[bytes]:
    """The plain bytes of one generation, frame by frame.

    zstd checks each frame before it is handed out; the whole object is held against its hash at its end. Raises
    `StoreCorrupt` for damage and for a segment that is missing between two others.
    """
    position = 0
    for segment in segments:
        if segment.start != position:
            raise StoreCorrupt(
                f"node {segment.node}: {segment.family}: bytes {position} to {segment.start} of generation "
                f"{segment.generation} are not in the catalogue"
            )
        yield from read_segment(stores, segment)
        position = segment.end


def read_segment(stores: Mapping[str, ObjectStore], segment: Segment) -> Iterator[bytes]:
    """The plain bytes of one segment; raises `StoreCorrupt`, `StoreMissing` naming the object."""
    store = stores.get(segment.bucket)
    if store is None:
        raise StoreMissing(f"bucket {segment.bucket} is no longer configured; add it to logkeep.toml")
    whole = hashlib.sha256()
    with store.open(segment.object) as stream:
        for frame in segment.frames:
            stored = stream.read(frame.stored)
            whole.update(stored)
            try:
                plain = decompress_frame(stored)
            except StoreCorrupt as error:
                raise StoreCorrupt(f"{segment.object}: {error.message}") from error
            if len(plain) != frame.raw:
                raise StoreCorrupt(f"{segment.object}: a frame has {len(plain)} plain bytes instead of {frame.raw}")
            yield plain
        if stream.read(1):
            raise StoreCorrupt(f"{segment.object}: it is longer than what was stored")
    if whole.hexdigest() != segment.sha256:
        raise StoreCorrupt(f"{segment.object}: its hash is not that of what was stored")
