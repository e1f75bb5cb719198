"""Cutting a span out of a log, against a plain filter over its whole text."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Span, read_moment
from logkeep.logformat.lines import HEAD_BYTES, read_head
from logkeep.logformat.records import RecordCutter


def filter_plainly(text: bytes, span: Span) -> bytes:
    return b"".join(line for _, line in lines_of(text, span))


def lines_of(text: bytes, span: Span) -> list[tuple[int, bytes]]:
    """Line by line: each goes with the record before it, those before the first record with that one."""
    lines = [line + b"\n" for line in text.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    heads = [read_head(line.removesuffix(b"\n")) for line in lines]
    times = [head.time for head in heads if head]
    kept, at, inside = list[tuple[int, bytes]](), 0, not times or span.holds(times[0])
    for line, head in zip(lines, heads, strict=True):
        inside = span.holds(head.time) if head else inside
        kept += [(at, line)] if inside else []
        at += len(line)
    return kept


def pieces_of(text: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(ends)]


HEADS = ["[{}][INFO ][o.o.n.Node] x", "[{}][20405][gc] x", '{{"type": "server", "timestamp": "{}", "level": "WARN"']
minutes = st.integers(0, 5)
moments = st.builds("2026-11-24T06:{:02}".format, minutes)
clocks = st.builds(lambda moment, zone: f"{moment}:00,000{zone}", moments, st.sampled_from(["", "", "Z", "+0001"]))
records = st.builds(lambda form, time: form.format(time).encode(), st.sampled_from(HEADS), clocks)
# What is no head, and what becomes one where it is cut in the wrong place.
others = st.sampled_from(
    [b"", b"\tat a.b(C.java:1)", b"[", b"{", b'{"', b"[x]", b"x" * HEAD_BYTES, b"[" * HEAD_BYTES]
) | (records.map(lambda record: b"x" + record))
texts = st.lists(records | others, max_size=12).map(b"\n".join)
bounds = st.none() | st.builds(
    lambda text, zone: read_moment(text + zone), moments, st.sampled_from(["", "Z", "+00:02"])
)
spans = st.builds(Span, bounds, bounds)


@settings(max_examples=300, deadline=None)
@given(texts, spans, st.lists(st.integers(0, 2000), max_size=6))
@example(b"[2026-11-24T06:01:00,000] a\n[2026-11-24T06:02:00,000] b", Span(until=read_moment("2026-11-24T06:02")), [40])
def test_any_cut_gives_what_a_plain_filter_gives(text: bytes, span: Span, cuts: list[int]) -> None:
    first = next((head.time for line in text.split(b"\n") if (head := read_head(line))), "")
    cutter = RecordCutter(RecordFilter(span), inside=span.holds(first) if first else True)
    runs = [run for piece in pieces_of(text, cuts) for run in cutter.cut(piece)] + list(cutter.finish())
    assert b"".join(run for _, run in runs) == filter_plainly(text, span)
    assert all(text[at : at + len(run)] == run for at, run in runs)
    assert cutter.first == (span.holds(first) if first else None)


def test_line_that_has_only_begun_waits_for_its_head() -> None:
    cutter = RecordCutter(RecordFilter(Span(since=read_moment("2026-11-24"))), inside=True)
    assert list(cutter.cut(b"x\n[2026-11-2")) == [(0, b"x\n")]
    assert not cutter.passing_over
    assert list(cutter.cut(b"3T23:59:59,999] y\n")) == []
    assert cutter.passing_over
