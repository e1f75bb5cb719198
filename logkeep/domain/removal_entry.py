"""Entry in the bucket that says which segments a rule of retention removed."""

from __future__ import annotations

import msgspec

MOST_REMOVED = 10_000  # segments of one entry


class RemovedSegment(msgspec.Struct, frozen=True, gc=False):
    """Bytes [start, end) of one generation that a rule removed; written into the bucket under these names."""

    node: str
    family: str
    generation: int
    start: int
    end: int
    bucket: str
    object: str  # object name in the bucket
    stored: int  # bytes
    sha256: str  # of the object
    rule: str  # its text, as `keep_days=90 of gc.log`


class RemovalEntry(msgspec.Struct, frozen=True):
    """Record of what was removed at one time, in the chain before the objects go; written under these names."""

    version: int
    cluster_id: str
    cluster_name: str
    object: str  # its own name in the bucket, by which a copy elsewhere is recognized
    number: int  # 1, 2, … over all entries of the cluster
    previous: str  # SHA-256 of the entry before it, '' for the first
    manifest: str  # SHA-256 of the last proven manifest at that time
    removed_at: int  # Unix ms
    key: str  # public key that verifies its signature, in hex
    segments: tuple[RemovedSegment, ...]
