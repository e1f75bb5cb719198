"""Heads of the records that lines belong to which stand in a later frame. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from logkeep.logformat.lines import HEAD_BYTES, LineHead, read_head

_F = TypeVar("_F")
_NONE_YET = object()


class RecordHeads:
    """Heads in the frames of one log."""

    def __init__(self, frames: Sequence[_F], read: Callable[[_F], bytes]) -> None:
        """`read` returns the plain bytes of a frame; what it raises passes."""
        self._count = len(frames)
        self._read: Callable[[int], bytes] = lambda at: read(frames[at])
        self._before: dict[int, LineHead | None] = {}
        self._first: object | LineHead | None = _NONE_YET

    def find_before(self, index: int) -> LineHead | None:
        """Return the head of the record that the first bytes of a frame belong to; None if the log has no record.

        Lines before the first record of a log belong to that record.
        """
        if index not in self._before:
            self._before[index] = self._look_back(index)
        return self._before[index]

    def _look_back(self, index: int) -> LineHead | None:
        after = b""  # the bytes behind those that are looked at, where a head may go on
        for at in range(index - 1, -1, -1):
            if at + 1 in self._before and at + 1 != index:
                return self._before[at + 1]
            data = self._read(at)
            if at == index - 1 and not data.endswith(b"\n"):
                after = self._read(index)[:HEAD_BYTES]
            if head := last_head(data, after):
                return head
            after = (data + after)[:HEAD_BYTES]
        if self._first is _NONE_YET:
            self._first = self._look_for_first()
        return self._first if isinstance(self._first, LineHead) else None

    def _look_for_first(self) -> LineHead | None:
        rest = b""
        for at in range(self._count):
            data = rest + self._read(at)
            if head := first_head(data):
                return head
            rest = data[data.rfind(b"\n") + 1 :][:HEAD_BYTES]
        return None


def last_head(data: bytes, after: bytes = b"") -> LineHead | None:
    """Return the head of the last record that begins in `data`, which goes on with `after`."""
    end = len(data)
    while end > 0:
        at = data.rfind(b"\n", 0, end - 1) + 1
        if head := _head_at(data, at, after):
            return head
        end = at
    return None


def first_head(data: bytes) -> LineHead | None:
    """Return the head of the first record that begins in `data`."""
    at = 0
    while at < len(data):
        if head := _head_at(data, at, b""):
            return head
        at = data.find(b"\n", at) + 1 or len(data)
    return None


def _head_at(data: bytes, at: int, after: bytes) -> LineHead | None:
    if data[at : at + 1] not in (b"[", b"{"):
        return None
    line = data[at : at + HEAD_BYTES]
    if len(line) < HEAD_BYTES and b"\n" not in line:
        line = (line + after)[:HEAD_BYTES]
    return read_head(line.partition(b"\n")[0])
