"""Times and levels in the heads of log lines, and which of them occur in a frame."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

Annotation = tuple[str, str, tuple[str, ...] | None]  # smallest time, largest time, levels

# Time and level of every layout in use (log4j2's patterns, ESJsonLayout, ECS, unified JVM logging) stand well before
# this many bytes; the rest of a line is message.
HEAD_BYTES = 256

_TIME = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[,.](\d{3})(Z|[+-]\d\d(?::?\d\d)?)?"
# `[2026-11-23T10:49:05,123][INFO ]` and gc.log's `[2026-11-23T10:49:05.123+0000][pid]`
_TEXT = re.compile(rb"\[" + _TIME + rb"\](?:\[ *([A-Z]+) *\])?")
# A quote inside a message is escaped, so these keys are keys.
_JSON_TIME = re.compile(rb'"@?timestamp" *: *"' + _TIME + rb'"')
_JSON_LEVEL = re.compile(rb'"(?:log\.)?level" *:( *"([A-Z]+)")')

_LEVEL_BYTES = 16  # enough for a level and what ends it: `DEPRECATION]`, ` "DEPRECATION"`
_TEXT_LEVEL_VALUE = re.compile(rb"([A-Z]+) *\]")
_JSON_LEVEL_VALUE = re.compile(rb' *"([A-Z]+)"')

_ANY_DIGIT = 0x0A  # in a layout; no line holds this byte
_DIGITS = bytes.maketrans(b"0123456789", bytes((_ANY_DIGIT,)) * 10)
_UNKNOWN: Annotation = ("", "", None)


class LineHead(NamedTuple):
    """Head of the first line of a record."""

    time: str  # yyyy-MM-ddTHH:mm:ss,SSS and the zone as written, if any
    level: str | None  # None where it cannot be seen: gc.log, audit


def read_head(line: bytes) -> LineHead | None:
    """Parse the head of a line; None for a continuation of the record before (a stack trace, the rest of a message).

    Only this function decides what begins a record; the promises of `annotate` hold for no other definition.
    """
    if line.startswith(b"["):
        time = _TEXT.match(line, 0, HEAD_BYTES)
        level = time and time[4]
    elif line.startswith(b'{"'):
        time = _JSON_TIME.search(line, 0, HEAD_BYTES)
        found = _JSON_LEVEL.search(line, 0, HEAD_BYTES) if time else None
        level = found and found[2]
    else:
        return None
    if time is None:
        return None
    written = (b"%b,%b%b" % (time[1], time[2], time[3] or b"")).decode()
    return LineHead(written, level.decode() if level else None) if _exists(written) else None


def first_time(head: bytes) -> str:
    """Return the time of the first record that begins in `head`, the first bytes of a file; '' if there is none."""
    return next((found.time for line in head.split(b"\n") if (found := read_head(line))), "")


def last_time(tail: bytes) -> str:
    """Return the time of the last record that begins in `tail`, the last bytes of a file; '' if there is none."""
    lines = tail.split(b"\n")[1:] if len(tail) >= HEAD_BYTES else tail.split(b"\n")
    return next((found.time for line in reversed(lines) if (found := read_head(line))), "")


def annotate(raw: bytes) -> Annotation:
    """Return smallest and largest time ('' if unknown) and levels (None if unknown) of the records that begin in `raw`.

    Both times are written in the same zone, or without one, as are all times of these records.

    Readers skip frames by the annotation: no record that begins here has a time outside of the two, or a level that is
    not named, though a named level may not occur. A frame may be cut anywhere. Lines before its first record belong to
    the last record of the frame before, so a reader of that record must read on into this frame, whatever its
    annotation.
    """
    if _ends_within_head(raw):
        return _UNKNOWN
    # Almost every frame has lines of one layout only, whose heads need not be parsed one by one.
    return _annotate_uniform(raw) or _annotate_each(raw)


def _ends_within_head(raw: bytes) -> bool:
    """Tell if a record may begin in the last bytes of `raw` whose time is in the next frame."""
    last = raw[raw.rfind(b"\n") + 1 :]
    return last[:1] in (b"[", b"{") and len(last) < HEAD_BYTES and read_head(last) is None


def _annotate_each(raw: bytes) -> Annotation:
    """Read the head of each distinct line."""
    heads = {head for line in set(_candidates(HEAD_BYTES).all(raw)) if (head := read_head(line))}
    return *_span({head.time for head in heads}), _levels(head.level for head in heads)


def _annotate_uniform(raw: bytes) -> Annotation | None:
    """Annotate lines whose heads differ only in time and level; None for others."""
    first = _candidates(HEAD_BYTES).first(raw)
    layout = _Layout.of(first) if first else None
    if layout is None:
        return None
    heads = _candidates(layout.width).all(raw)
    low, high = min(heads), max(heads)
    # A common prefix of the smallest and the largest string is a prefix of all strings between them.
    if low[: layout.time_at] != high[: layout.time_at] or not layout.fits(heads):
        return None
    low_head, high_head = read_head(low), read_head(high)
    if low_head is None or high_head is None:
        return None
    return low_head.time, high_head.time, layout.levels(heads)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Offsets of time and level in the heads of lines, taken from one line."""

    time_at: int
    level_at: int  # start of the level's value; without a level, end of the time
    level: re.Pattern[bytes] | None  # of the value; None where lines show no level
    alike: bytes  # bytes common to all from time to level, with `_ANY_DIGIT` for any digit

    @staticmethod
    def of(line: bytes) -> _Layout | None:
        """Return the layout of a line; None if it begins no record, or has its level before its time."""
        text = line.startswith(b"[")
        time = _TEXT.match(line) if text else _JSON_TIME.search(line)
        if time is None:
            return None
        found = time if text else _JSON_LEVEL.search(line)
        level_at = found.start(4 if text else 1) if found else -1
        level = _TEXT_LEVEL_VALUE if text else _JSON_LEVEL_VALUE
        if level_at < 0:
            level_at, level = time.end(), None
        if not time.end(2) <= level_at <= HEAD_BYTES - _LEVEL_BYTES:
            return None
        end = time.end(3) if time[3] else time.end(2)
        alike = (
            line[time.start(1) : time.end(2)].translate(_DIGITS),
            time[3] or b"",
            line[end:level_at].translate(_DIGITS),
        )
        return _Layout(time.start(1), level_at, level, b"".join(alike))

    @property
    def width(self) -> int:
        return self.level_at + (_LEVEL_BYTES if self.level else 0)

    def fits(self, heads: list[bytes]) -> bool:
        """Tell if all heads have the same bytes from time to level; digits may differ, except those of the zone.

        The heads are compared column by column, joined: a Python step for each would cost more than everything else.
        """
        width, number = self.width, len(heads)
        joined = b"".join(heads)
        if len(joined) != width * number:  # some lines are shorter
            joined = b"".join([head.ljust(width, b"\n") for head in heads])
        for at, byte in enumerate(self.alike, self.time_at):
            column = joined[at::width]
            if not (column.isdigit() if byte == _ANY_DIGIT else column == bytes((byte,)) * number):
                return False
        return True

    def levels(self, heads: list[bytes]) -> tuple[str, ...] | None:
        if self.level is None:
            return None
        found = [self.level.match(value) for value in {head[self.level_at :] for head in heads}]
        return _levels(value and value[1].decode() for value in found)


class _Candidates:
    """Finds the first bytes of each line that may begin a record."""

    def __init__(self, width: int) -> None:
        line = rb"([\[{][\d\"].{0,%d})" % (width - 2)
        self._at_start = re.compile(line)
        self._later = re.compile(rb"\n" + line)  # starts with a literal, which is searched for at the speed of memchr

    def first(self, raw: bytes) -> bytes | None:
        found = self._at_start.match(raw) or self._later.search(raw)
        return found[1] if found else None

    def all(self, raw: bytes) -> list[bytes]:
        start = self._at_start.match(raw)
        return [*([start[1]] if start else []), *self._later.findall(raw)]


_candidates = lru_cache(maxsize=64)(_Candidates)


def _span(times: set[str]) -> tuple[str, str]:
    """Return the smallest and largest time; '' if zones differ, as times are compared as text."""
    if len({time[23:] for time in times}) != 1:
        return "", ""
    return min(times), max(times)


def _levels(levels: Iterable[str | None]) -> tuple[str, ...] | None:
    """Return the levels, sorted; None if one of them is unknown, or there is none."""
    found = set(levels)
    return tuple(sorted(level for level in found if level)) if found and None not in found else None


def _exists(time: str) -> bool:
    """Tell if the calendar has this time, as readers compare instants."""
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return False
    return True
