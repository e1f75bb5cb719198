"""Bytes of an index object: a table of segments, and a filter for each of their frames. See docs/backup-format.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import msgspec

from logkeep.errors import StoreCorrupt
from logkeep.search.frame_filter import build_filter
from logkeep.stores.frames import compress_frame, decompress_frame, frame_size

VERSION = 1
MOST_BYTES = 64 * 1024 * 1024  # of one object
FULL_BYTES = 16 * 1024 * 1024  # what is larger is not merged with others
_MOST_TABLE = 64 * 1024 * 1024  # plain bytes
_FILTERS = (0x184D2A50).to_bytes(4, "little")  # begins a skippable frame of zstd, with its length behind it


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """What is known of the frames of a segment, by the hash of its object."""

    sha256: str
    filters: tuple[bytes, ...]  # one for each frame
    unended: frozenset[int]  # frames that do not end with a line


class _Segment(msgspec.Struct, gc=False):
    sha256: str
    filters: tuple[int, ...]  # sizes in bytes
    unended: tuple[int, ...] = ()


class _Table(msgspec.Struct):
    version: int
    segments: list[_Segment]


class _Version(msgspec.Struct):
    version: int


def index_segment(sha256: str, frames: Iterable[bytes]) -> SegmentIndex:
    """Index a segment by the plain bytes of its frames."""
    filters, unended = list[bytes](), list[int]()
    for number, plain in enumerate(frames):
        filters.append(build_filter(plain))
        if not plain.endswith(b"\n"):
            unended.append(number)
    return SegmentIndex(sha256, tuple(filters), frozenset(unended))


def encode_index(segments: Sequence[SegmentIndex]) -> bytes:
    """Encode an index object: a zstd frame that holds the table, and a skippable one that holds the filters."""
    rows = [_Segment(one.sha256, tuple(map(len, one.filters)), tuple(sorted(one.unended))) for one in segments]
    table = compress_frame(msgspec.json.encode(_Table(VERSION, rows)))
    filters = b"".join(part for one in segments for part in one.filters)
    return b"".join((table, _FILTERS, len(filters).to_bytes(4, "little"), filters))


def decode_index(data: bytes) -> list[SegmentIndex]:
    """Decode an index object, of which the signature was right. Raises `StoreCorrupt`."""
    table, filters = _split(data)
    try:
        rows = msgspec.json.decode(table, type=_Table).segments
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        _check_version(table)
        raise StoreCorrupt(f"its table cannot be read: {str(error)[:200]}") from error
    _check_version(table)
    sizes = [size for row in rows for size in row.filters]
    if min(sizes, default=0) < 0 or sum(sizes) != len(filters):
        raise StoreCorrupt("its filters are not as long as its table says")
    parts = (bytes(filters[start:end]) for start, end in pairwise(accumulate(sizes, initial=0)))
    return [SegmentIndex(row.sha256, tuple(next(parts) for _ in row.filters), frozenset(row.unended)) for row in rows]


def _split(data: bytes) -> tuple[bytes, memoryview]:
    """Return the plain table, and the filters."""
    at = frame_size(data)
    begun = at + len(_FILTERS) + 4
    if (
        data[at : at + len(_FILTERS)] != _FILTERS
        or int.from_bytes(data[begun - 4 : begun], "little") != len(data) - begun
    ):
        raise StoreCorrupt("it does not end with its filters")
    return decompress_frame(data[:at], _MOST_TABLE), memoryview(data)[begun:]


def _check_version(table: bytes) -> None:
    try:
        version = msgspec.json.decode(table, type=_Version).version
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return
    if version != VERSION:
        raise StoreCorrupt(f"it has format version {version}; this Logkeep reads version {VERSION}")
