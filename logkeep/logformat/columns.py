"""Heads of the lines of a frame as columns of bytes: NumPy compares them without a Python step for each line.

It holds the interpreter's lock only between its steps, so that another thread can compress meanwhile.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else it starts a thread for each core, and none is used

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_NEWLINE, _BRACKET, _BRACE, _QUOTE, _ZERO = b'\n[{"0'
_WORD = 8  # bytes that are compared as one number
_SHORT_LINE = 8  # bytes in the mean


class LineHeads:
    """First bytes of the lines that may begin a record: with '[' or '{', and then a digit or '"'."""

    def __init__(self, raw: bytes) -> None:
        """Find them, unless the lines are so short that an index of them would take more than the frame itself."""
        self._raw = raw
        self._data = np.frombuffer(raw, np.uint8)
        ends = self._data == _NEWLINE
        self.lines = int(np.count_nonzero(ends))
        few = self.lines <= len(raw) // _SHORT_LINE
        self._starts = _find_starts(self._data, np.flatnonzero(ends)) if few else np.empty(0, np.intp)
        self._block = np.empty((0, 0), np.uint8)  # a row for each line

    def __len__(self) -> int:
        return len(self._starts)

    def text(self, row: int, size: int) -> bytes:
        """Return at most `size` bytes of a line."""
        start = int(self._starts[row])
        return self._raw[start : start + size].partition(b"\n")[0]

    def contain(self, text: bytes) -> bool:
        """Return whether a text stands in the frame, in these lines or others."""
        return text in self._raw

    def block(self, rows: NDArray[np.intp], width: int) -> NDArray[np.uint8]:
        """Return the first `width` bytes of these lines, a row for each; behind a shorter line is what follows it."""
        starts = self._starts[rows]
        if not len(rows) or starts[-1] + width <= len(self._data):
            return sliding_window_view(self._data, width)[starts]
        self._data = np.frombuffer(self._raw + bytes([_NEWLINE]) * width, np.uint8)
        return sliding_window_view(self._data, width)[starts]

    def fit(self, pattern: bytes, any_digit: int, width: int) -> bool:
        """Return whether all lines begin with `pattern`, in which `any_digit` stands for a digit.

        Then `width` bytes of each are looked at by the other methods.
        """
        if len(self) * len(pattern) > len(self._raw):
            return False  # some are shorter
        if self._starts[-1] + width > len(self._raw):
            self._data = np.frombuffer(self._raw + bytes([_NEWLINE]) * width, np.uint8)
        self._block = sliding_window_view(self._data, width)[self._starts]
        wanted = np.frombuffer(pattern, np.uint8)
        digits, others = np.flatnonzero(wanted == any_digit), np.flatnonzero(wanted != any_digit)
        alike = bool((self._block[:, others] == wanted[others]).all())
        return alike and not (self._block[:, digits] - _ZERO > 9).any()  # below '0' it wraps around

    def span(self, at: int, size: int) -> tuple[int, int]:
        """Return the rows with the smallest and the largest bytes from `at` on; `size` is at least 8."""
        places = [*range(at, at + size - _WORD, _WORD), at + size - _WORD]
        keys = [np.ascontiguousarray(self._block[:, place : place + _WORD]).view(">u8")[:, 0] for place in places]
        return self._find_extreme(keys, np.min), self._find_extreme(keys, np.max)

    def _find_extreme(self, keys: list[NDArray[np.uint64]], extreme: Callable[..., np.uint64]) -> int:
        rows = np.arange(len(self))
        for key in keys:
            values = key[rows]
            rows = rows[values == extreme(values)]
        return int(rows[0])

    def match_distinct(self, at: int, size: int, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes] | None]:
        """Match `pattern` from `at` on, once for all lines that have the same there; None ends it.

        `size` is a multiple of 8.
        """
        rows = np.ascontiguousarray(self._block[:, at : at + size]).view("<u8")
        while len(rows):
            found = pattern.match(rows[0].tobytes().partition(b"\n")[0])
            yield found
            if found is None:
                return
            mask = np.frombuffer((b"\xff" * found.end()).ljust(size, b"\0"), "<u8")
            rows = rows[((rows ^ rows[0]) & mask).any(axis=1)]


def _find_starts(data: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return where those lines begin, of all that end there."""
    starts = np.empty(len(ends) + 1, np.intp)
    starts[0] = 0
    np.add(ends, 1, out=starts[1:])
    starts = starts[: np.searchsorted(starts, len(data) - 1)]  # without a last one of less than two bytes
    first, second = data[starts], data[starts + 1]
    return starts[((first == _BRACKET) | (first == _BRACE)) & ((second - _ZERO <= 9) | (second == _QUOTE))]
