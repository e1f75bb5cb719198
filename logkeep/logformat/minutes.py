"""Count of the records that begin in a piece of a log, by the minute and the level that they were written with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from logkeep.logformat.columns import LineHeads
from logkeep.logformat.layout import ANY_DIGIT, LEVEL_BYTES, Layout
from logkeep.logformat.lines import HEAD_BYTES, LineHead, read_head

_Rows = NDArray[np.intp]
_Numbers = NDArray[np.int64]
_Block = NDArray[np.uint8]
_Counts = Counter[tuple[str, str]]  # of minute and level

# The first bytes of a line that may begin a record; what starts with a literal is searched for at the speed of memchr.
_HEAD = rb"([\[{][\d\"].{0,%d})" % (HEAD_BYTES - 2)
_FIRST, _LATER = re.compile(rb"\A" + _HEAD), re.compile(rb"\n" + _HEAD)

_SMALL = 8 * 1024  # bytes of a piece whose lines are read sooner than NumPy has begun
_MINUTE, _WRITTEN = len("2026-11-23T10:49"), len("2026-11-23T10:49:05,123")
_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15]  # in a minute
_SECONDS = len("2026-11-23T10:49:")
_MOST_LAYOUTS = 8  # that are tried; the lines of others are read one by one
_MOST_LEVELS = 64  # of one layout
_BRACKET, _SPACE, _A, _Z, _ZERO, _FIVE = b"[ AZ05"
_HOUR, _DAY = 60, 25 * 60  # minutes; some readers know the hour 24
_EPOCH_DAY = date(1970, 1, 1).toordinal()
FIRST_MINUTE, LAST_MINUTE = (
    (date.min.toordinal() - _EPOCH_DAY) * _DAY,
    (date.max.toordinal() - _EPOCH_DAY + 1) * _DAY - 1,
)


class MinuteCounts(NamedTuple):
    """Records by minute and kind: the columns have an entry for each that there are, in their order."""

    kinds: tuple[tuple[str, str], ...]  # zone as written, and level; '' for none
    minutes: _Numbers  # as written, whatever the zone: days since 1970 × 1500 + hour × 60 + minute
    of: _Numbers  # kinds
    counts: _Numbers


class _Part(NamedTuple):
    """Columns that are not in order yet."""

    kinds: list[tuple[str, str]]
    minutes: _Numbers
    of: _Numbers
    counts: _Numbers


def minute_of(head: LineHead) -> tuple[str, str]:
    """Return the minute of a record, with its zone, and its level; '' for none."""
    return head.time[:_MINUTE] + head.time[_WRITTEN:], head.level or ""


def write_minute(number: int) -> str:
    """Return a minute as yyyy-MM-ddTHH:mm."""
    day, minute = divmod(number, _DAY)
    return f"{date.fromordinal(day + _EPOCH_DAY).isoformat()}T{minute // _HOUR:02}:{minute % _HOUR:02}"


def number_minute(minute: str) -> int:
    """Return the number of a minute that begins with yyyy-MM-ddTHH:mm."""
    day = date(int(minute[:4]), int(minute[5:7]), int(minute[8:10])).toordinal() - _EPOCH_DAY
    return day * _DAY + int(minute[11:13]) * _HOUR + int(minute[14:16])


def find_open_head(raw: bytes) -> int:
    """Return where the unfinished last line begins, if time or level of a record may be in what follows; else -1."""
    at = raw.rfind(b"\n") + 1
    last = raw[at : at + HEAD_BYTES]
    if last[:1] not in (b"[", b"{") or len(last) == HEAD_BYTES:
        return -1
    head = read_head(last)
    return at if head is None or head.level is None else -1


def count_minutes(raw: bytes) -> MinuteCounts:
    """Count the lines that `read_head` takes for the head of a record, the unfinished last line as it is."""
    heads = LineHeads(raw) if len(raw) >= _SMALL else ()
    if not heads:
        return _join([_read_each(Counter(_find_candidates(raw)))])
    parts = list[_Part]()
    rows = np.arange(len(heads))
    for _ in range(_MOST_LAYOUTS):
        first = heads.text(int(rows[0]), HEAD_BYTES) if len(rows) else b""
        if not first:
            break
        if read_head(first) is None:
            rows = rows[1:]
        elif layout := Layout.of(first):
            part, rows = _count_alike(heads, rows, layout)
            parts.append(part)
        else:  # its level is before its time, or far behind
            break
    if len(rows):
        parts.append(_read_each(Counter(heads.text(row, HEAD_BYTES) for row in rows.tolist())))
    return _join(parts)


def read_heads(raw: bytes) -> Iterator[LineHead]:
    """Yield the head of each record that begins in a piece of a log, which begins with a line."""
    for line in _find_candidates(raw):
        if head := read_head(line):
            yield head


def _find_candidates(raw: bytes) -> list[bytes]:
    """Return the first bytes of the lines that may begin a record."""
    return [*_FIRST.findall(raw, 0, HEAD_BYTES), *_LATER.findall(raw)]


def _read_each(lines: Counter[bytes]) -> _Part:
    """Read the head of each distinct line."""
    counts = _Counts()
    for line, times in lines.items():
        if head := read_head(line):
            counts[minute_of(head)] += times
    kinds = sorted({(minute[_MINUTE:], level) for minute, level in counts})
    places = {kind: at for at, kind in enumerate(kinds)}
    rows = [
        (number_minute(minute), places[minute[_MINUTE:], level], times) for (minute, level), times in counts.items()
    ]
    return _Part(kinds, *np.array(rows, np.int64).reshape(-1, 3).T)


def _join(parts: list[_Part]) -> MinuteCounts:
    parts = [part for part in parts if len(part.minutes)]
    kinds = sorted({kind for part in parts for kind in part.kinds})
    if not parts:
        return MinuteCounts((), *np.empty((3, 0), np.int64))
    own = [np.array([kinds.index(kind) for kind in part.kinds], np.int64)[part.of] for part in parts]
    keys = np.concatenate([part.minutes for part in parts]) * len(kinds) + np.concatenate(own)
    counts = np.concatenate([part.counts for part in parts])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    minutes, of = np.divmod(keys[starts], len(kinds))
    return MinuteCounts(tuple(kinds), minutes, of, np.add.reduceat(counts[order], starts))


def _count_alike(heads: LineHeads, rows: _Rows, layout: Layout) -> tuple[_Part, _Rows]:
    """Count those of the lines that have this layout; return the others, too."""
    block = heads.block(rows, layout.level_at + LEVEL_BYTES)
    levels, level = _find_levels(block, heads, layout)
    alike = _are_alike(block, layout) & (level >= 0)
    chosen = np.flatnonzero(alike)
    begin, level = block[chosen, layout.time_at : layout.time_at + _MINUTE], level[chosen]
    words = begin.view("<u8")
    starts = np.flatnonzero(np.concatenate(((True,), (words[1:] != words[:-1]).any(axis=1)))[: len(words)])
    sizes = np.diff(starts, append=len(words))
    found = np.bincount(np.repeat(np.arange(len(starts)) * len(levels), sizes) + level).astype(np.int64)
    numbers, real = _number_minutes(begin[starts], layout.zone)
    entries = np.flatnonzero(found)
    entries = entries[real[entries // len(levels)]]
    alike[chosen[~np.repeat(real, sizes)]] = False
    run, of = np.divmod(entries, len(levels))
    return _Part([(layout.zone, one) for one in levels], numbers[run], of, found[entries]), rows[~alike]


def _number_minutes(begin: _Block, zone: str) -> tuple[_Numbers, NDArray[np.bool_]]:
    """Return the number of each minute, and which of them have seconds that there are."""
    digits = begin[:, _DIGITS].astype(np.int64) - _ZERO
    hour, minute = digits[:, 8] * 10 + digits[:, 9], digits[:, 10] * 10 + digits[:, 11]
    dates, of_minute = np.unique(digits[:, :8] @ 10 ** np.arange(7, -1, -1), return_inverse=True)
    days = np.array([_number_day(f"{number:08}", zone) for number in dates.tolist()], np.int64)
    day = days[of_minute]
    return day * _DAY + hour * _HOUR + minute, (day != _NO_DAY) & (hour < 24) & (minute < 60)


_NO_DAY = -(10**9)


def _number_day(written: str, zone: str) -> int:
    """Return the days since 1970; `_NO_DAY` if the calendar does not have it, or the zone cannot be."""
    day = f"{written[:4]}-{written[4:6]}-{written[6:]}"
    if read_head(f"[{day}T00:00:00,000{zone}]".encode()) is None:
        return _NO_DAY
    return date.fromisoformat(day).toordinal() - _EPOCH_DAY


def _are_alike(block: _Block, layout: Layout) -> NDArray[np.bool_]:
    """Return which lines differ from the layout in digits alone, and have a second that there is."""
    wanted = np.frombuffer(layout.pattern, np.uint8)
    digits = wanted == ANY_DIGIT
    other = block[:, : len(wanted)] ^ np.where(digits, np.uint8(_ZERO), wanted)
    unlike = other > np.where(digits, np.uint8(9), np.uint8(0))
    return ~unlike.any(axis=1) & (block[:, layout.time_at + _SECONDS] <= _FIVE)


def _find_levels(block: _Block, heads: LineHeads, layout: Layout) -> tuple[list[str], _Rows]:
    """Return levels, and which of them each line has; -1 for one that has none of them."""
    at = layout.level_at
    of_line = np.full(len(block), -1, np.intp)
    if layout.level is None:
        of_line[_show_no_level(block[:, at:], heads, layout)] = 0
        return [""], of_line
    values = np.ascontiguousarray(block[:, at : at + LEVEL_BYTES]).view("<u8")
    left = np.arange(len(block))
    levels = list[str]()
    for _ in range(_MOST_LEVELS):
        found = layout.level.match(values[left[0]].tobytes().partition(b"\n")[0]) if len(left) else None
        if found is None:
            left = left[1:]
            continue
        mask = np.frombuffer((b"\xff" * found.end()).ljust(LEVEL_BYTES, b"\0"), "<u8")
        other = ((values[left] ^ values[left[0]]) & mask).any(axis=1)
        of_line[left[~other]] = len(levels)
        levels.append(found[1].decode())
        left = left[other]
    return levels or [""], of_line


def _show_no_level(behind: _Block, heads: LineHeads, layout: Layout) -> NDArray[np.bool_]:
    """Return which lines of a layout without a level have certainly none, by what is behind their time."""
    if layout.pattern.startswith(b"{"):
        return np.full(len(behind), not heads.contain(b'level"'))
    first, second = behind[:, 0], behind[:, 1]
    return (first != _BRACKET) | ((second != _SPACE) & ((second < _A) | (second > _Z)))
