"""Lines of a log that match a pattern, in pieces of the log that may be cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from logkeep.domain.log_record import LogRecord
from logkeep.logformat.lines import HEAD_BYTES, LineHead, read_head
from logkeep.logformat.parser import parse_record
from logkeep.logformat.splitter import RawRecord
from logkeep.search.pattern import Pattern

LONGEST = 64 * 1024  # bytes of a line that are shown
_HELD = 1024 * 1024  # bytes of an unfinished line, before only its beginning is held


class Line(NamedTuple):
    """A line that matches."""

    at: int  # its offset in the log
    text: bytes  # at most `LONGEST` bytes, without the line end
    cut: bool  # whether there is more of it
    head: LineHead | None  # of its record; None where none is known


def parse_line(line: bytes) -> LogRecord:
    """Parse a line as a record of its own; one that continues a record has nothing but its text."""
    return parse_record(RawRecord(0, len(line), line, read_head(line[:HEAD_BYTES])))


class LineSearch:
    """Takes pieces of a log in their order; what lies between two pieces belongs to no line that is wanted."""

    def __init__(self, pattern: Pattern, *, count: bool = False) -> None:
        """With `count` lines are counted, and not yielded."""
        self._pattern = pattern
        self._count = count
        self.counted = 0
        self.partly = 0  # lines so long that the pattern was held against their beginning alone, and found nothing
        self._next = 0  # offset behind the last piece
        self._rest = b""  # the unfinished line at its end
        self._long: _LongLine | None = None  # in place of `_rest`
        self._head: LineHead | None = None  # of the record that the last line belongs to

    def feed(self, at: int, piece: bytes) -> Iterator[Line]:
        """Yield the lines that match and end in a piece."""
        if at != self._next:
            yield from self.finish()
            self._head = None
        self._next = at + len(piece)
        if self._long:
            piece, at = yield from self._go_on(self._long, at, piece)
        data, begun = self._rest + piece, at - len(self._rest)
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        yield from self._search(data, begun, end)
        if len(self._rest) > _HELD:
            self._long = _LongLine(begun + end, self._rest, self._begins(self._rest))
            self._rest = b""

    def finish(self) -> Iterator[Line]:
        """Yield the line at the end of the log, where it has no line end."""
        rest, begun, self._rest = self._rest, self._next - len(self._rest), b""
        yield from self._search(rest, begun, len(rest))
        if self._long:
            yield from self._end(self._long)

    def _go_on(self, long: _LongLine, at: int, piece: bytes) -> Iterator[Line]:
        """Look in what comes of a long line; return what is behind it, and where."""
        end = piece.find(b"\n")
        part = piece if end < 0 else piece[:end]
        if self._pattern.longest is not None:
            last = long.last + part
            long.found = long.found or self._pattern.find(last, 0, len(last)) >= 0
            overlap = self._pattern.longest - 1
            long.last = last[-overlap:] if overlap else b""
        if end < 0:
            return b"", at + len(piece)
        yield from self._end(long)
        return piece[end + 1 :], at + end + 1

    def _end(self, long: _LongLine) -> Iterator[Line]:
        self._long = None
        self._head = read_head(long.first[:HEAD_BYTES]) or self._head
        self.partly += not long.found and self._pattern.longest is None
        if long.found and self._count:
            self.counted += 1
        elif long.found:
            yield Line(long.at, long.first[:LONGEST], True, self._head)

    def _begins(self, line: bytes) -> bool:
        """Whether a line of which not all is there matches already; its last byte tells that `$` is not before it."""
        end = len(line) - (self._pattern.longest is None)
        return self._pattern.find(line, 0, end) >= 0

    def _search(self, data: bytes, begun: int, end: int) -> Iterator[Line]:
        """Yield the lines of data[:end], which ends with a line and begins at `begun` in the log."""
        if self._count:
            self.counted += self._count_lines(data, end)
            return
        line = at = 0  # start of the last line whose record is known; where to look on
        while (found := self._pattern.find(data, at, end)) >= 0:
            start = data.rfind(b"\n", 0, found) + 1
            stop = data.find(b"\n", found, end)
            stop = end if stop < 0 else stop
            self._head, line = _find_head(data, start, line, self._head), start
            yield Line(begun + start, data[start : min(stop, start + LONGEST)], stop - start > LONGEST, self._head)
            at = stop + 1
        if end > line:
            last = data.rfind(b"\n", 0, end - 1) + 1
            self._head = _find_head(data, max(line, last), line, self._head)

    def _count_lines(self, data: bytes, end: int) -> int:
        count = at = 0
        while (found := self._pattern.find(data, at, end)) >= 0:
            count += 1
            at = data.find(b"\n", found, end) + 1
            if not at:
                break
        return count


class _LongLine:
    """A line that is not held as a whole."""

    def __init__(self, at: int, begun: bytes, found: bool) -> None:
        self.at = at
        self.first = begun[: LONGEST + 1]
        self.last = begun[-LONGEST:]  # in which, with what follows, the text may stand
        self.found = found


def _find_head(data: bytes, at: int, least: int, known: LineHead | None) -> LineHead | None:
    """Return the head of the record of the line at `at`; `known` is that of the line at `least`, before or the same."""
    while True:
        if data[at : at + 1] in (b"[", b"{"):
            end = data.find(b"\n", at, at + HEAD_BYTES)
            head = read_head(data[at : at + HEAD_BYTES if end < 0 else end])
            if head:
                return head
        if at <= least:
            return known
        at = data.rfind(b"\n", 0, at - 1) + 1
