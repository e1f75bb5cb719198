"""Reading the archive back: segments of a generation in order, held against their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import BinaryIO

from logkeep.archive.frame_reader import FrameReader
from logkeep.domain.manifest import Frame, Segment
from logkeep.domain.record_filter import RecordFilter, place_of
from logkeep.domain.span import Place
from logkeep.errors import StoreCorrupt
from logkeep.logformat.records import RecordCutter, Run
from logkeep.stores.base import ObjectStore, find_store, hash_object
from logkeep.stores.frames import encode, next_frame, pass_frame, read_frame, read_frames

Stores = Mapping[str, ObjectStore]


def read_range(
    stores: Stores, segments: Iterable[Segment], start: int, end: int, *, encoded: bool = False
) -> Iterator[bytes]:
    """Yield the plain bytes [start, end) of one generation, by frame; the first of `segments` holds `start`.

    zstd checks each frame before it is handed out; an object that is read whole is held against its hash at its end.
    What is `encoded` is yielded as frames of zstd, those that are kept as they are: who decodes them checks them.
    Raises `StoreCorrupt` for damage and for bytes that no segment has.
    """
    if encoded and start >= end:
        yield from encode(b"")  # what has no frame is no end of one, and clients take it for cut off
    for segment in _unbroken(segments, start, end):
        if start <= segment.start and segment.end <= end:
            yield from read_segment(stores, segment, encoded=encoded)
        else:
            if segment.end <= end:  # the rest of one that broke off, as where its hash was another one
                store = find_store(stores, segment.bucket)
                if hash_object(store, segment.object, segment.stored) != segment.sha256:
                    raise _other_hash(segment)
            with closing(_open(stores, segment)) as stream:
                for plain in read_frames(stream, segment.frames, max(start, segment.start), min(end, segment.end)):
                    yield from encode(plain) if encoded else (plain,)


def read_records(
    stores: Stores,
    open_segments: Callable[[], Iterable[Segment]],
    wanted: RecordFilter,
    start: int,
    end: int,
    first: int = 0,
) -> Iterator[Run]:
    """Yield what of the plain bytes [start, end) of one generation belongs to records that are wanted, and where it is.

    `open_segments` gives the segments from the first one on, which begins at `first`. Frames that hold nothing that is
    wanted are not read. Each that is read is checked by zstd; objects are not held against their hashes. Raises
    `StoreCorrupt`.
    """
    with closing(FrameReader(stores, 1)) as reader:
        cutter = RecordCutter(wanted, inside=_begins_inside(reader, open_segments, wanted, first, end), at=first)
        skipped: tuple[Segment, Frame] | None = None
        for segment, frame in _frames(open_segments(), first, end):
            place = place_of(frame, wanted)
            if place is Place.OUTSIDE and cutter.passing_over:
                skipped = segment, frame
                continue
            if skipped:
                cutter.skip_to(frame.start, ends_line=_ends_line(reader, *skipped, before=segment))
                skipped = None
            for run in cutter.cut(reader.read(segment, frame), all_inside=place is Place.INSIDE):
                yield _within(run, start, end)
        for run in cutter.finish():
            yield _within(run, start, end)


def _within(run: Run, start: int, end: int) -> Run:
    at, data = run
    return max(at, start), data[max(0, start - at) : max(0, end - at)]


def read_segment(stores: Stores, segment: Segment, *, encoded: bool = False) -> Iterator[bytes]:
    """Yield the bytes of one segment, plain or as frames; raises `StoreCorrupt`, `StoreMissing` naming the object.

    The last frame is yielded only once the hash of the whole object was right: who has all of them has no other bytes.
    """
    whole = hashlib.sha256()
    pieces: Iterable[bytes] = ()
    with closing(_open(stores, segment)) as stream:
        for frame in segment.frames:
            yield from pieces
            stored = next_frame(stream, frame)
            whole.update(stored)
            try:
                pieces = pass_frame(stored, frame) if encoded else (read_frame(stored, frame),)
            except StoreCorrupt as error:
                raise StoreCorrupt(f"{segment.object}: {error.message}") from error
        if stream.read(1):
            raise StoreCorrupt(f"{segment.object}: it is longer than what was stored")
    if whole.hexdigest() != segment.sha256:
        raise _other_hash(segment)
    yield from pieces


def _other_hash(segment: Segment) -> StoreCorrupt:
    return StoreCorrupt(f"{segment.object}: its hash is not that of what was stored")


def _begins_inside(
    reader: FrameReader, open_segments: Callable[[], Iterable[Segment]], wanted: RecordFilter, first: int, end: int
) -> bool:
    """Return whether the first record is wanted; a log without records is of every span, but of no level."""
    cutter = RecordCutter(wanted, inside=False)
    for segment, frame in _frames(open_segments(), first, end):
        place = place_of(frame, wanted)
        if frame.start == first and place is not Place.UNCLEAR:
            return place is Place.INSIDE
        for _ in cutter.cut(reader.read(segment, frame)):
            pass
        if cutter.first is not None:
            return cutter.first
    for _ in cutter.finish():
        pass
    return not wanted.levels if cutter.first is None else cutter.first


def _ends_line(reader: FrameReader, segment: Segment, frame: Frame, *, before: Segment) -> bool:
    """Return whether a frame ends with a line. Within a segment, all frames with a line end do."""
    if segment is before and frame.lines:
        return True
    return reader.read(segment, frame).endswith(b"\n")


def _frames(segments: Iterable[Segment], first: int, end: int) -> Iterator[tuple[Segment, Frame]]:
    """Yield the frames that begin before `end`, of consecutive segments from the byte `first` on."""
    for segment in _unbroken(segments, first, end):
        for frame in segment.frames:
            if frame.start >= end:
                return
            yield segment, frame


def _unbroken(segments: Iterable[Segment], start: int, end: int) -> Iterator[Segment]:
    """Yield the segments that hold [start, end); raises `StoreCorrupt` where one is missing."""
    position = start
    for segment in segments:
        if position >= end:
            return
        if not segment.start <= position < segment.end or (position > start and segment.start != position):
            break
        yield segment
        position = segment.end
    if position < end:
        raise StoreCorrupt(
            f"bytes {position} to {end} of a log are not in the catalogue; `logkeep verify CLUSTER` tells more"
        )


def _open(stores: Stores, segment: Segment) -> BinaryIO:
    return find_store(stores, segment.bucket).open(segment.object)
