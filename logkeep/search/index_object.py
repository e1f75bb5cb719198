"""Bytes of an index object: a table of segments, and counts and a filter for each frame. See docs/backup-format.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import msgspec

from logkeep.errors import StoreCorrupt
from logkeep.search.frame_filter import build_filter
from logkeep.search.minutes import build_table
from logkeep.stores.frames import compress_frame, decompress_frame, frame_size

VERSION = 1
MOST_BYTES = 64 * 1024 * 1024  # of one object
FULL_BYTES = 16 * 1024 * 1024  # what is larger is not merged with others
_MOST_PLAIN = 64 * 1024 * 1024  # bytes of the table, or of the counts
_FILTERS = (0x184D2A50).to_bytes(4, "little")  # begins a skippable frame of zstd, with its length behind it


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """What is known of the frames of a segment, by the hash of its object."""

    sha256: str
    filters: tuple[bytes, ...]  # one for each frame
    unended: frozenset[int]  # frames that do not end with a line
    minutes: tuple[bytes, ...]  # one for each frame, as `decode_table` reads it; empty where there is none

    @property
    def size(self) -> int:
        """Bytes of its parts."""
        return sum(map(len, self.filters)) + sum(map(len, self.minutes))


class _Segment(msgspec.Struct, gc=False):
    sha256: str
    filters: tuple[int, ...]  # sizes in bytes, as `minutes`
    minutes: tuple[int, ...]
    unended: tuple[int, ...] = ()


class _Table(msgspec.Struct):
    version: int
    segments: list[_Segment]


class _Version(msgspec.Struct):
    version: int


def index_segment(sha256: str, frames: Iterable[bytes]) -> SegmentIndex:
    """Index a segment by the plain bytes of its frames."""
    filters, minutes, unended = list[bytes](), list[bytes](), list[int]()
    for number, plain in enumerate(frames):
        filters.append(build_filter(plain))
        minutes.append(build_table(plain))
        if not plain.endswith(b"\n"):
            unended.append(number)
    return SegmentIndex(sha256, tuple(filters), frozenset(unended), tuple(minutes))


def encode_index(segments: Sequence[SegmentIndex]) -> bytes:
    """Encode an index object: the table and the counts as zstd frames, and a skippable one that holds the filters."""
    rows = [
        _Segment(one.sha256, tuple(map(len, one.filters)), tuple(map(len, one.minutes)), tuple(sorted(one.unended)))
        for one in segments
    ]
    table = compress_frame(msgspec.json.encode(_Table(VERSION, rows)))
    minutes = compress_frame(b"".join(part for one in segments for part in one.minutes))
    filters = b"".join(part for one in segments for part in one.filters)
    return b"".join((table, minutes, _FILTERS, len(filters).to_bytes(4, "little"), filters))


def decode_index(data: bytes) -> list[SegmentIndex]:
    """Decode an index object, of which the signature was right. Raises `StoreCorrupt`."""
    table, behind = _split_frame(data)
    try:
        rows = msgspec.json.decode(table, type=_Table).segments
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        _check_version(table)
        raise StoreCorrupt(f"its table cannot be read: {str(error)[:200]}") from error
    _check_version(table)
    minutes, behind = _split_frame(behind)
    filters = _read_filters(behind)
    if any(len(row.filters) != len(row.minutes) for row in rows):
        raise StoreCorrupt("its table does not tell of each frame once")
    filter_parts = _cut([size for row in rows for size in row.filters], filters, "filters")
    minute_parts = _cut([size for row in rows for size in row.minutes], memoryview(minutes), "counts")
    return [
        SegmentIndex(
            row.sha256,
            tuple(next(filter_parts) for _ in row.filters),
            frozenset(row.unended),
            tuple(next(minute_parts) for _ in row.minutes),
        )
        for row in rows
    ]


def read_hashes(begin: bytes) -> list[str]:
    """Return of which segments an index object tells, by the hashes of their objects; `begin` holds its table.

    Raises `StoreCorrupt`, as where `begin` is too short.
    """
    table, _ = _split_frame(begin)
    try:
        return [row.sha256 for row in msgspec.json.decode(table, type=_Table).segments]
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise StoreCorrupt(f"its table cannot be read: {str(error)[:200]}") from error


def _split_frame(data: bytes) -> tuple[bytes, bytes]:
    """Return the plain bytes of the zstd frame at the beginning, and what is behind it."""
    size = frame_size(data)
    return decompress_frame(data[:size], _MOST_PLAIN), data[size:]


def _read_filters(data: bytes) -> memoryview:
    begun = len(_FILTERS) + 4
    if not data.startswith(_FILTERS) or int.from_bytes(data[begun - 4 : begun], "little") != len(data) - begun:
        raise StoreCorrupt("it does not end with its filters")
    return memoryview(data)[begun:]


def _cut(sizes: list[int], data: memoryview, what: str) -> Iterator[bytes]:
    """Return parts of these sizes. Raises `StoreCorrupt` immediately if they are not all."""
    if min(sizes, default=0) < 0 or sum(sizes) != len(data):
        raise StoreCorrupt(f"its {what} are not as long as its table says")
    return (bytes(data[start:end]) for start, end in pairwise(accumulate(sizes, initial=0)))


def _check_version(table: bytes) -> None:
    try:
        version = msgspec.json.decode(table, type=_Version).version
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return
    if version != VERSION:
        raise StoreCorrupt(f"it has format version {version}; this Logkeep reads version {VERSION}")
