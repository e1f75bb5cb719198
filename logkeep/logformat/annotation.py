"""Which times and levels occur in a frame."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from logkeep.logformat.columns import LineHeads
from logkeep.logformat.layout import ANY_DIGIT, LEVEL_BYTES, Layout
from logkeep.logformat.lines import HEAD_BYTES, read_head

_Found = tuple[str, str, tuple[str, ...] | None]  # as in `Annotation`

# The first bytes of a line that may begin a record; what starts with a literal is searched for at the speed of memchr.
_HEAD = rb"([\[{][\d\"].{0,%d})" % (HEAD_BYTES - 2)
_FIRST, _LATER = re.compile(rb"\A" + _HEAD), re.compile(rb"\n" + _HEAD)

_TIME_BYTES = len("2026-11-23T10:49:05,123")
_MOST_LEVELS = 64  # of one frame; what has more shows something else in its place

_SMALL = 8 * 1024  # bytes of a frame whose lines are read sooner than NumPy has begun
_UNKNOWN: _Found = ("", "", None)


class Annotation(NamedTuple):
    """What is noted of a frame; times and levels are those of the records that begin in it."""

    first_time: str  # the smallest; '' if unknown
    last_time: str  # the largest, in the same zone or likewise without one
    levels: tuple[str, ...] | None  # None if unknown
    lines: int  # that end in it


def annotate(raw: bytes) -> Annotation:
    """Annotate a frame.

    Readers skip frames by the annotation: no record that begins here has a time outside of the two, or a level that is
    not named, though a named level may not occur. A frame may be cut anywhere. Lines before its first record belong to
    the last record of the frame before, so a reader of that record must read on into this frame, whatever its
    annotation.
    """
    if len(raw) < _SMALL:
        found = _UNKNOWN if _ends_within_head(raw) else _annotate_each(raw)
        return Annotation(*found, raw.count(b"\n"))
    heads = LineHeads(raw)
    if _ends_within_head(raw):
        return Annotation(*_UNKNOWN, heads.lines)
    # Almost every frame has lines of one layout only, whose heads need not be parsed one by one.
    return Annotation(*(_annotate_uniform(heads) or _annotate_each(raw)), heads.lines)


def _ends_within_head(raw: bytes) -> bool:
    """Return whether a record may begin in the last bytes of `raw` whose time is in the next frame."""
    last = raw[raw.rfind(b"\n") + 1 :]
    return last[:1] in (b"[", b"{") and len(last) < HEAD_BYTES and read_head(last) is None


def _annotate_each(raw: bytes) -> _Found:
    """Read the head of each distinct line."""
    lines = {*_FIRST.findall(raw, 0, HEAD_BYTES), *_LATER.findall(raw)}
    heads = {head for line in lines if (head := read_head(line))}
    return *_span({head.time for head in heads}), _levels(head.level for head in heads)


def _annotate_uniform(heads: LineHeads) -> _Found | None:
    """Annotate lines whose heads differ only in time and level; None for others."""
    layout = Layout.of(heads.text(0, HEAD_BYTES)) if heads else None
    if layout is None or not heads.fit(layout.pattern, ANY_DIGIT, layout.width):
        return None
    low, high = (read_head(heads.text(row, HEAD_BYTES)) for row in heads.span(layout.time_at, _TIME_BYTES))
    if low is None or high is None:
        return None
    return low.time, high.time, _find_levels(heads, layout)


def _find_levels(heads: LineHeads, layout: Layout) -> tuple[str, ...] | None:
    if layout.level is None:
        return None
    found = islice(heads.match_distinct(layout.level_at, LEVEL_BYTES, layout.level), _MOST_LEVELS + 1)
    return _levels(value and value[1].decode() for value in found)


def _span(times: set[str]) -> tuple[str, str]:
    """Return the smallest and largest time; '' if zones differ, as times are compared as text."""
    if len({time[23:] for time in times}) != 1:
        return "", ""
    return min(times), max(times)


def _levels(levels: Iterable[str | None]) -> tuple[str, ...] | None:
    """Return the levels, sorted; None if one of them is unknown, or there are none or too many."""
    found = set(levels)
    return tuple(sorted(map(str, found))) if 0 < len(found) <= _MOST_LEVELS and None not in found else None
