"""Pieces of bytes up to a number of bytes."""

from __future__ import annotations

from collections.abc import Iterator


class Below:
    """Iterator over the first bytes of some pieces; `cut` then tells whether there were more."""

    def __init__(self, pieces: Iterator[bytes], most: int) -> None:
        self._pieces = pieces
        self._left = max(0, most)
        self.cut = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.cut:
            raise StopIteration
        piece = next(self._pieces)
        self.cut = len(piece) > self._left
        piece = piece[: self._left]
        self._left -= len(piece)
        if not piece:
            raise StopIteration
        return piece
