"""Splitting of a log into its records, forwards and from its end backwards.

A record is a line with a time at its head and the following lines without one, see `read_head`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from logkeep.logformat.lines import HEAD_BYTES, LineHead, read_head

LONGEST = 32 * 1024 * 1024  # bytes of a record that are held; what follows is counted only

_MAY_BEGIN = re.compile(rb"\n[\[{]")  # starts with a literal, which is searched for at the speed of memchr
_BEGINS = b"[{"


class RawRecord(NamedTuple):
    """The bytes of one record."""

    start: int  # offset in the log
    end: int
    text: bytes  # with its line ends; shorter than `end - start` if there is more than is held
    head: LineHead | None  # None for what precedes the first head of a log


class RecordSplitter:
    """Takes a log in pieces, which may be cut anywhere, and returns records whose ranges tile it.

    Each line before the first head is a record of its own.
    """

    def __init__(self, at: int = 0, *, longest: int = LONGEST) -> None:
        """Start at offset `at`, where a line begins; hold at most `longest` bytes of a record."""
        self._at = at  # offset of the next piece
        self._longest = longest
        self._start = at  # of the record that has begun
        self._head: LineHead | None = None
        self._held = bytearray()
        self._rest = b""  # an incomplete line that may begin a record
        self._in_line = False  # the next piece continues a line that is judged already

    def feed(self, piece: bytes) -> Iterator[RawRecord]:
        """Yield the records that end in a piece."""
        data, offset = self._rest + piece, self._at - len(self._rest)
        self._at += len(piece)
        begun, judged = 0, len(data)
        for at in self._line_starts(data):
            may_begin = data[at] in _BEGINS
            if may_begin and len(data) - at < HEAD_BYTES and data.find(b"\n", at) < 0:
                judged = at
                break
            head = _head_at(data, at) if may_begin else None
            if head or self._head is None:
                if offset + at > self._start:
                    yield self._end(data, begun, at, offset + at)
                self._head, self._start, begun = head, offset + at, at
        self._hold(data, begun, judged)
        self._rest = data[judged:]
        self._in_line = not self._rest and (not data.endswith(b"\n") if data else self._in_line)

    def finish(self) -> Iterator[RawRecord]:
        """Yield what the end of the log ends."""
        head = read_head(self._rest)
        at = self._at - len(self._rest)
        if (head or self._head is None) and self._start < at < self._at:
            yield self._end(b"", 0, 0, at)
            self._start = at
        if self._start < self._at:
            self._head = head or self._head
            yield self._end(self._rest, 0, len(self._rest), self._at)
        self._rest, self._start = b"", self._at

    def _line_starts(self, data: bytes) -> Iterator[int]:
        """Yield the offsets of lines that may begin a record; all of them until there is a head."""
        if data and not self._in_line and (self._head is None or data[0] in _BEGINS):
            yield 0
        at = 0
        while self._head is None and 0 < (at := data.find(b"\n", at) + 1) < len(data):
            yield at
        if self._head is not None:
            for found in _MAY_BEGIN.finditer(data, at):
                yield found.start() + 1

    def _hold(self, data: bytes, start: int, end: int) -> None:
        self._held += data[start : min(end, start + self._longest - len(self._held))]

    def _end(self, data: bytes, start: int, end: int, at: int) -> RawRecord:
        """Return the record that ends at offset `at`, and has the bytes [start, end) of `data` besides what is held."""
        if self._held:
            self._hold(data, start, end)
            text = bytes(self._held)
            self._held.clear()
        else:
            text = data[start : min(end, start + self._longest)]
        return RawRecord(self._start, at, text, self._head)


def split_backwards(blocks: Iterable[tuple[int, bytes]], *, longest: int = LONGEST) -> Iterator[RawRecord]:
    """Yield the records of a log, the last one first.

    `blocks` are (offset, bytes) from its end on; each ends where the one before it begins, or else the record that was
    cut begins nowhere and is left out. So is what precedes the first head, unless that is the beginning of the log:
    then it is one record.
    """
    known = -1  # start of what was seen last
    later, end = b"", 0  # of the record whose beginning is not found yet
    for start, block in blocks:
        rest = len(block)  # end of what belongs to no record yet
        if start + rest != known:
            later, end = b"", start + rest
        for at in _line_starts_backwards(block, whole=start == 0):
            head = _head_at(block, at, later)
            if head:
                yield RawRecord(start + at, end, _join(block, at, rest, later, longest), head)
                later, end, rest = b"", start + at, at
        later, known = _join(block, 0, rest, later, longest), start
    if known == 0 and end:
        yield RawRecord(0, end, later, None)


def _line_starts_backwards(block: bytes, *, whole: bool) -> Iterator[int]:
    """Yield the offsets of lines that may begin a record, the last one first; a line may begin at the block's end."""
    if block.endswith(b"\n"):
        yield len(block)
    bracket, brace = block.rfind(b"\n["), block.rfind(b"\n{")
    while (last := max(bracket, brace)) >= 0:
        yield last + 1
        if last == bracket:
            bracket = block.rfind(b"\n[", 0, last + 1)
        else:
            brace = block.rfind(b"\n{", 0, last + 1)
    if whole:
        yield 0


def _head_at(data: bytes, at: int, later: bytes = b"") -> LineHead | None:
    """Read the head of the line that begins at `at` in `data`, which `later` follows."""
    line = data[at : at + HEAD_BYTES]
    if later and len(line) < HEAD_BYTES:
        line += later[: HEAD_BYTES - len(line)]
    cut = line.find(b"\n")
    return read_head(line if cut < 0 else line[:cut])


def _join(data: bytes, start: int, end: int, later: bytes, longest: int) -> bytes:
    """Return data[start:end], and `later` if it reaches to there, but no more than `longest` bytes."""
    if end < len(data) or not later:
        return data[start : min(end, start + longest)]
    return data[start : start + longest] + later[: max(0, longest - (end - start))]
