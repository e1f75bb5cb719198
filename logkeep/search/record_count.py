"""Counting of the records in frames of a log that are read, however lines are cut by them. No I/O."""

from __future__ import annotations

from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Place
from logkeep.logformat.lines import HEAD_BYTES, read_head
from logkeep.logformat.minutes import count_minutes, find_open_head, read_heads
from logkeep.search.count_plan import CountedFrame
from logkeep.search.tally import Tally, take_span


class RecordCount:
    """Takes frames of one log in their order, some of them left out."""

    def __init__(self, wanted: RecordFilter, tally: Tally) -> None:
        self._wanted = wanted
        self._tally = tally
        self._next = -1  # offset behind the last frame
        self._ends_line = True  # whether that ends with one
        self._open = b""  # the beginning of an unfinished line in which a record that is wanted may begin

    def feed(self, one: CountedFrame, plain: bytes) -> None:
        """Count the records that begin in a frame."""
        frame = one.kept.frame
        begins = self._ends_line if frame.start == self._next else one.begins_line
        if frame.start != self._next:
            self.finish()
        self._next, self._ends_line = frame.start + len(plain), plain.endswith(b"\n")
        begun = 0 if begins else plain.find(b"\n") + 1
        if not begins:
            self._go_on(plain[:begun] if begun else plain)
            if not begun:
                return
        if not one.wanted:
            return
        body = plain[begun:]
        at = find_open_head(body)
        if at >= 0:
            body, self._open = body[:at], body[at:]
        self._count(body, self._wanted.span.place(frame.first_time, frame.last_time))

    def finish(self) -> None:
        """Count the record at the end of the log, where it has no line end."""
        head = read_head(self._open)
        self._open = b""
        if head and self._wanted.holds(head.time, head.level):
            self._tally.add(head.time, head.level)

    def _go_on(self, piece: bytes) -> None:
        if not self._open:
            return
        line, end, _ = (self._open + piece[:HEAD_BYTES]).partition(b"\n")
        self._open = line[:HEAD_BYTES]
        if end or len(self._open) == HEAD_BYTES:
            self.finish()

    def _count(self, lines: bytes, place: Place) -> None:
        span = self._wanted.span
        counts = count_minutes(lines)
        counts = take_span(counts, span) if span and place is Place.UNCLEAR else counts
        if counts:
            self._tally.add_minutes(counts)
            return
        for head in read_heads(lines):
            if self._wanted.holds(head.time, head.level):
                self._tally.add(head.time, head.level)
