"""Selection of the bytes of a log that belong to the records that are wanted.

A record is a line with a time at its head and the following lines without one. Lines before the first record of a log
belong to that record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from logkeep.domain.record_filter import RecordFilter
from logkeep.logformat.lines import HEAD_BYTES, read_head

Run = tuple[int, bytes]  # offset in the log, and the bytes from there

_MAY_BEGIN = re.compile(rb"\n[\[{]")  # starts with a literal, which is searched for at the speed of memchr
_BEGINS = (b"[", b"{")


class RecordCutter:
    """Takes a log in pieces, which may be cut anywhere, and returns the bytes of records that are wanted."""

    def __init__(self, wanted: RecordFilter, *, inside: bool, at: int = 0) -> None:
        """Start at offset `at`; `inside` says whether bytes before the first record are wanted."""
        self._wanted = wanted
        self._inside = inside
        self.first: bool | None = None  # whether the first record is wanted; None until it is read
        self._in_line = False  # the next piece continues a line that is judged already
        self._rest = b""  # an incomplete line that may begin a record
        self._at = at  # offset of the next piece

    @property
    def passing_over(self) -> bool:
        """Return whether what comes next is not wanted, but for records that begin in it."""
        return not self._inside and not self._rest

    def skip_to(self, at: int, *, ends_line: bool) -> None:
        """Go on at offset `at`; no record that is wanted may begin in between. Only allowed while `passing_over`."""
        self._at = at
        self._in_line = not ends_line

    def cut(self, piece: bytes, *, all_inside: bool = False) -> Iterator[Run]:
        """Yield the bytes that are wanted of a piece.

        `all_inside` promises that every record that begins in the piece is wanted.
        """
        data, start = self._rest + piece, self._at - len(self._rest)
        self._at += len(piece)
        if all_inside and self._inside and not self._rest:
            self._in_line = not data.endswith(b"\n")
            yield start, data
            return
        self._rest = b""
        yield from self._judge(data, start)

    def finish(self) -> Iterator[Run]:
        """Yield the rest at the end of the log: an incomplete line without a time belongs to the record before it."""
        if found := read_head(self._rest):
            self._inside = self._wanted.holds(found.time, found.level)
            self.first = self._inside if self.first is None else self.first
        if self._inside and self._rest:
            yield self._at - len(self._rest), self._rest

    def _judge(self, data: bytes, start: int) -> Iterator[Run]:
        begun = 0  # start of the run
        for at in self._candidates(data):
            head = data[at : at + HEAD_BYTES]
            cut = head.find(b"\n")
            found = read_head(head if cut < 0 else head[:cut])
            unseen = found is None or (bool(self._wanted.levels) and found.level is None)
            if unseen and cut < 0 and len(head) < HEAD_BYTES:
                self._rest = data[at:]
                data = data[:at]
                break
            if found is None:
                continue
            inside = self._wanted.holds(found.time, found.level)
            self.first = inside if self.first is None else self.first
            if inside != self._inside:
                if self._inside and at > begun:
                    yield start + begun, data[begun:at]
                self._inside, begun = inside, at
        self._in_line = not data.endswith(b"\n") if data else self._in_line
        if self._inside and len(data) > begun:
            yield start + begun, data[begun:]

    def _candidates(self, data: bytes) -> Iterator[int]:
        """Yield the offsets of lines that may begin a record."""
        if not self._in_line and data.startswith(_BEGINS):
            yield 0
        for found in _MAY_BEGIN.finditer(data):
            yield found.start() + 1
