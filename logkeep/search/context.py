"""Lines around a line of a log. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable

from logkeep.search.lines import LONGEST

_WINDOW = 64 * 1024  # bytes that are read at first
_MOST = 8 * 1024 * 1024  # and at most; longer lines hide what lies beyond

Read = Callable[[int, int], bytes]  # the bytes [start, end) of the log, fewer only where it ends


def read_lines_before(read: Read, first: int, at: int, count: int) -> tuple[str, ...]:
    """Return the lines before the one that begins at `at`, at most `count`; the log begins at `first`."""
    window = _WINDOW
    while True:
        start = max(first, at - window)
        lines = read(start, at).split(b"\n")[:-1]
        if start > first:
            lines = lines[1:]  # which may have begun before
        if len(lines) >= count or start == first or window >= _MOST:
            return tuple(map(_show, lines[-count:]))
        window *= 8


def read_lines_after(read: Read, at: int, count: int) -> tuple[str, ...]:
    """Return the lines behind the one that begins at `at`, at most `count`."""
    window = _WINDOW
    while True:
        data = read(at, at + window)
        lines = data.split(b"\n")[1:]
        ended = len(data) < window
        whole = lines if ended and lines and lines[-1] else lines[:-1]
        if len(whole) >= count or ended or window >= _MOST:
            return tuple(map(_show, whole[:count]))
        window *= 8


def _show(line: bytes) -> str:
    return line[:LONGEST].decode("utf-8", "replace")
