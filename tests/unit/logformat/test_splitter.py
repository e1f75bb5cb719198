"""Splitting into records, forwards and backwards, against reading line by line."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logkeep.logformat.lines import HEAD_BYTES, read_head
from logkeep.logformat.splitter import RawRecord, RecordSplitter, split_backwards
from tests.unit.logformat.test_records import pieces_of, texts

MIB = 1024 * 1024
TEXT = b"[2026-11-24T06:00:00,000][INFO ][o.o.n.Node] [n] x\n"


def split_plainly(text: bytes) -> list[RawRecord]:
    """Line by line: each without a head goes with the record before it, those before the first head stand alone."""
    found: list[RawRecord] = []
    at = 0
    for line in text.split(b"\n"):
        whole = text[at : at + len(line) + 1]
        head = read_head(line)
        if head or not found or found[-1].head is None:
            found += [RawRecord(at, at + len(whole), whole, head)] if whole else []
        else:
            start, end, begun, its_head = found[-1]
            found[-1] = RawRecord(start, end + len(whole), begun + whole, its_head)
        at += len(whole)
    return found


def split(pieces: list[bytes], at: int = 0) -> list[RawRecord]:
    splitter = RecordSplitter(at)
    return [record for piece in pieces for record in splitter.feed(piece)] + list(splitter.finish())


def blocks_of(pieces: list[bytes]) -> list[tuple[int, bytes]]:
    starts = [sum(map(len, pieces[:at])) for at in range(len(pieces))]
    return list(zip(starts, pieces, strict=True))[::-1]


def join_headless(records: list[RawRecord]) -> list[RawRecord]:
    headless = [record for record in records if record.head is None]
    text = b"".join(record.text for record in headless)
    return ([RawRecord(0, len(text), text, None)] if text else []) + records[len(headless) :]


@settings(max_examples=500)
@given(texts, st.lists(st.integers(0, 2000), max_size=6))
@example(b"[2026-11-24T06:01:00,000] a\n[2026-11-24T06:02:00,000] b", [40])
def test_any_cut_gives_what_plain_splitting_gives(text: bytes, cuts: list[int]) -> None:
    pieces = pieces_of(text, cuts)
    assert split(pieces) == split_plainly(text)
    assert list(split_backwards(blocks_of(pieces)))[::-1] == join_headless(split_plainly(text))


@settings(max_examples=200)
@given(texts, st.integers(1, 300))
def test_each_piece_may_be_small(text: bytes, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert split(pieces) == split_plainly(text)
    assert list(split_backwards(blocks_of(pieces)))[::-1] == join_headless(split_plainly(text))


def test_offsets_count_from_where_the_log_is_read() -> None:
    assert [(one.start, one.end) for one in split([TEXT * 2], at=1000)] == [(1000, 1051), (1051, 1102)]


def test_last_records_are_split_without_the_beginning() -> None:
    text = b"x\n" + TEXT + b"trace\n" + TEXT
    assert [one.start for one in split_backwards([(10, text[10:])])] == [2 + len(TEXT) + 6]
    assert [one.start for one in split_backwards([(60, text[60:]), (1, text[1:60])])] == [59, 2]


def test_record_before_a_hole_ends_there() -> None:
    blocks = [(200, TEXT + b"a\n"), (60, b"x\n" + TEXT), (0, TEXT[:-1] + b"\n")]
    found = list(split_backwards(blocks))
    assert [(one.start, one.end) for one in found] == [(62, 113), (0, 51)]


@pytest.mark.parametrize("backwards", [False, True])
def test_no_more_is_held_of_a_record_than_is_said(backwards: bool) -> None:
    piece = (b"x" * 9999 + b"\n{x\n") * (MIB // 10_000)
    pieces = [TEXT, *[piece] * 40, b"\n", TEXT]
    total = sum(map(len, pieces))
    tracemalloc.start()
    try:
        if backwards:
            found = list(split_backwards(blocks_of(pieces), longest=2 * MIB))[::-1]
        else:
            splitter = RecordSplitter(longest=2 * MIB)
            found = [one for piece in pieces for one in splitter.feed(piece)] + list(splitter.finish())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [(one.start, one.end, len(one.text)) for one in found] == [
        (0, total - len(TEXT), 2 * MIB),
        (total - len(TEXT), total, len(TEXT)),
    ]
    assert found[0].text.startswith(TEXT + piece)
    assert peak < 8 * MIB


def test_heads_are_read_as_far_as_annotations_read_them() -> None:
    line = b'{"a": "' + b"x" * (HEAD_BYTES - 20) + b'", "timestamp": "2026-11-24T06:00:00,000"}\n'
    assert read_head(line) is None
    assert all(a.end == b.start for a, b in pairwise(split([TEXT + line, TEXT])))
    assert len(split([TEXT + line, TEXT])) == 2
