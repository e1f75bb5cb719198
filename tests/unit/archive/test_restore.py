"""Ranges and spans of a generation out of its segments: exact to the byte, and nothing read that need not be."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from logkeep.archive.restore import read_range, read_records
from logkeep.backup.segment import LineFrames, SegmentWriter, Sizes
from logkeep.domain.manifest import EMPTY, Segment
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Span, read_moment
from logkeep.errors import StoreCorrupt
from logkeep.logformat.lines import read_head
from logkeep.stores.frames import decode
from tests.support.model import InlineExecutor
from tests.unit.logformat.test_records import filter_plainly, lines_of, pieces_of, spans, texts

EXECUTOR = InlineExecutor()


class Watched(io.BytesIO):
    """An object that tells which frames of it were read."""

    def __init__(self, data: bytes, seen: list[int], name: str) -> None:
        super().__init__(data)
        self.seen, self.name = seen, name

    def read(self, size: int | None = -1) -> bytes:
        if size and size > 1:
            self.seen.append(size)
        return super().read(size)


class Bucket:
    """What the engine needs of a store."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read: list[int] = []  # stored bytes of each read

    def put(self, name: str, chunks: Iterator[bytes]) -> int:
        self.objects[name] = b"".join(chunks)
        return len(self.objects[name])

    def open(self, name: str) -> BinaryIO:
        return Watched(self.objects[name], self.read, name)


def _in_pieces(part: bytes, size: int) -> Iterator[bytes]:
    return (part[at : at + size] for at in range(0, len(part), size))


class Archive:
    """One generation, kept in segments."""

    def __init__(self, parts: list[bytes], frame: int, piece: int = 10**9, start: int = 0) -> None:
        self.bucket = Bucket()
        self.stores: dict[str, object] = {"logs": self.bucket}
        self.segments: list[Segment] = []
        at = start
        for part in filter(None, parts):
            written = SegmentWriter(LineFrames(_in_pieces(part, piece), Sizes(frame, 10**9)), at, EXECUTOR, 8).write(
                self.bucket,  # type: ignore[arg-type]
                f"object-{at}",
            )
            self.segments.append(
                Segment(
                    "n1", "a.log", 1, 1.0, "a.log", at, at + len(part), "logs", f"object-{at}", written.stored,
                    written.sha256, EMPTY, EMPTY, written.frames,
                )
            )  # fmt: skip
            at += len(part)

    def range(self, start: int, end: int, *, encoded: bool = False) -> bytes:
        first = [segment for segment in self.segments if segment.end > start]
        return b"".join(read_range(self.stores, first, start, end, encoded=encoded))  # type: ignore[arg-type]

    def span(self, span: Span, start: int, end: int, first: int = 0) -> bytes:
        wanted = RecordFilter(span)
        return b"".join(run for _, run in read_records(self.stores, lambda: self.segments, wanted, start, end, first))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(
    texts,
    spans,
    st.lists(st.integers(0, 2000), max_size=3),
    st.sampled_from([1, 10, 50, 90, 300]),
    st.sampled_from([1, 5, 10, 10**9]),
)
def test_span_of_any_archive_is_that_of_its_text(
    text: bytes, span: Span, cuts: list[int], frame: int, piece: int
) -> None:
    archive = Archive(pieces_of(text, cuts), frame, piece)
    assert archive.span(span, 0, len(text)) == filter_plainly(text, span)


@settings(max_examples=200, deadline=None)
@given(texts, spans, st.data())
def test_span_within_a_range_is_what_both_have(text: bytes, span: Span, data: st.DataObject) -> None:
    archive = Archive(pieces_of(text, data.draw(st.lists(st.integers(0, 2000), max_size=3))), 60)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    ends = [0, *(frame.start + frame.raw for segment in archive.segments for frame in segment.frames)]
    seen = text[: next(place for place in ends if place >= end)]  # no frame after the range is looked at
    wanted = b"".join(line[max(0, start - at) : max(0, end - at)] for at, line in lines_of(seen, span))
    assert archive.span(span, start, end) == wanted


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600), st.data())
def test_range_of_any_archive_is_that_of_its_text(text: bytes, data: st.DataObject) -> None:
    archive = Archive(pieces_of(text, data.draw(st.lists(st.integers(0, 600), max_size=4))), 50)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert archive.range(start, end) == text[start:end]
    frames = [frame for segment in archive.segments for frame in segment.frames]
    touched = [f.stored for f in frames if start < end and f.start < end and f.start + f.raw > start]
    tails = [s for s in archive.segments if s.start < start < s.end <= end]  # which are held against their hash, too
    assert sorted(read for read in archive.bucket.read if read != 2**20) == sorted(touched)
    assert archive.bucket.read.count(2**20) == 2 * len(tails)
    assert b"".join(decode([archive.range(start, end, encoded=True)])) == text[start:end]


def line(minute: int) -> bytes:
    return f"[2026-11-24T{minute // 60:02}:{minute % 60:02}:00,000][INFO ][o.o.n.Node] a line\n".encode()


def day() -> Archive:
    """A day, a line a minute, an hour a frame, twelve hours a segment."""
    lines = [line(minute) for minute in range(24 * 60)]
    return Archive([b"".join(lines[:720]), b"".join(lines[720:])], 60 * len(line(0)))


@pytest.mark.parametrize(
    ("since", "until", "frames"),
    [("06:40", "06:50", 1), ("06:00", "07:00", 2), ("23:00", "23:59", 1), ("00:00", "00:01", 2), ("12:00", "12:30", 2)],
)
def test_frames_out_of_the_span_are_not_read(since: str, until: str, frames: int) -> None:
    archive = day()
    span = Span(read_moment(f"2026-11-24T{since}"), read_moment(f"2026-11-24T{until}"))
    found = archive.span(span, 0, archive.segments[-1].end)
    first, last = (int(text[:2]) * 60 + int(text[3:]) for text in (since, until))
    assert found == b"".join(line(minute) for minute in range(first, last))
    # The frame after tells where the last record ends; at the border of two segments the one before, whether a line did.
    assert len(archive.bucket.read) <= frames + 1


@pytest.mark.parametrize("piece", [1, 10, 25, 50, 100, 10**9])
def test_frames_end_with_a_line_however_the_log_is_read(piece: int) -> None:
    text = b"".join(line(minute) for minute in range(50))
    frames = Archive([text], 100, piece).segments[0].frames
    assert [text[frame.start + frame.raw - 1 :][:1] for frame in frames] == [b"\n"] * len(frames)


def test_trace_goes_with_its_record_across_frames_and_segments() -> None:
    trace = b"\tat a.b(C.java:1)\n" * 20
    archive = Archive([line(0) + line(1) + trace, trace, trace + line(2)], 100)
    span = Span(read_moment("2026-11-24T00:01"), read_moment("2026-11-24T00:02"))
    assert archive.span(span, 0, archive.segments[-1].end) == line(1) + trace * 3


@settings(max_examples=60, deadline=None)
@given(texts, spans, st.lists(st.integers(0, 2000), max_size=3), st.integers(1, 5000))
def test_generation_that_begins_above_0_is_read_as_any_other(
    text: bytes, span: Span, cuts: list[int], start: int
) -> None:
    archive, above = Archive(pieces_of(text, cuts), 90), Archive(pieces_of(text, cuts), 90, start=start)
    assert above.range(start, start + len(text)) == text
    assert above.span(span, start, start + len(text), start) == archive.span(span, 0, len(text))


def test_frames_tell_the_checksum_that_they_end_in() -> None:
    archive = Archive([b"one line of it\n" * 30] * 2, 90)
    for segment in archive.segments:
        stored = archive.bucket.objects[segment.object]
        assert [f.check for f in segment.frames] == [
            stored[f.offset + f.stored - 4 : f.offset + f.stored].hex() for f in segment.frames
        ]


def test_log_without_times_is_given_whole() -> None:
    text = b"no time at all\n" * 50
    assert Archive([text[:100], text[100:]], 60).span(Span(since=read_moment("2026-11-24")), 0, len(text)) == text


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_segment_that_is_missing_is_damage(gone: int) -> None:
    archive = Archive([line(0), line(1), line(2)], 100)
    end = archive.segments[-1].end
    del archive.segments[gone]
    with pytest.raises(StoreCorrupt, match="not in the catalogue"):
        archive.range(0, end)
    with pytest.raises(StoreCorrupt, match="not in the catalogue"):
        archive.span(Span(since=read_moment("2026-11-24")), 0, end)


def test_damage_is_found_in_part_and_whole() -> None:
    archive = Archive([line(0) * 10], 100)
    [(name, stored)] = archive.bucket.objects.items()
    archive.bucket.objects[name] = stored[:-2] + b"\0\0"
    end = archive.segments[0].end
    for start, span in ((0, None), (end - 1, None), (0, Span(since=read_moment("2026-11-24")))):
        with pytest.raises(StoreCorrupt, match=name):
            archive.span(span, start, end) if span else archive.range(start, end)
    with pytest.raises(StoreCorrupt):
        b"".join(decode([archive.range(0, end, encoded=True)]))


def test_whole_object_is_held_against_its_hash() -> None:
    archive = Archive([line(0)], 100)
    archive.segments = [replace(archive.segments[0], sha256="0" * 64)]
    with pytest.raises(StoreCorrupt, match="its hash"):
        archive.range(0, archive.segments[0].end)
    with pytest.raises(StoreCorrupt, match="its hash"):
        archive.range(0, archive.segments[0].end, encoded=True)


@settings(max_examples=200, deadline=None)
@given(texts, spans, st.sets(st.sampled_from(["INFO", "WARN", "FATAL"])), st.lists(st.integers(0, 2000), max_size=3))
def test_records_of_levels_are_those_of_its_text(text: bytes, span: Span, levels: set[str], cuts: list[int]) -> None:
    archive = Archive(pieces_of(text, cuts), 60)
    wanted = RecordFilter(span, frozenset(levels))
    kept = b""
    heads = [head for line in text.split(b"\n") if (head := read_head(line))]
    inside = wanted.holds(*heads[0]) if heads else not levels
    for line in text.splitlines(keepends=True):
        head = read_head(line.removesuffix(b"\n"))
        inside = wanted.holds(*head) if head else inside
        kept += line if inside else b""
    runs = list(read_records(archive.stores, lambda: archive.segments, wanted, 0, len(text)))  # type: ignore[arg-type]
    assert b"".join(data for _, data in runs) == kept
    assert all(text[at : at + len(data)] == data for at, data in runs)


def test_no_part_of_an_object_with_another_hash_is_taken_for_the_whole() -> None:
    archive = Archive([line(0) * 10], len(line(0)))
    [segment] = archive.segments
    archive.segments = [replace(segment, sha256="0" * 64)]
    for encoded in (False, True):
        got: list[bytes] = []
        with pytest.raises(StoreCorrupt, match="its hash"):
            got.extend(read_range(archive.stores, archive.segments, 0, segment.end, encoded=encoded))  # type: ignore[arg-type]
        assert len(got) == 9, "the last frame is held back"
        for start in range(1, segment.end, 97):
            with pytest.raises(StoreCorrupt, match="its hash"):
                next(read_range(archive.stores, archive.segments, start, segment.end, encoded=encoded))  # type: ignore[arg-type]
