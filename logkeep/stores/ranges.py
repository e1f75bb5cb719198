"""An object as a seekable stream, whose ranges are read one by one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 8 * 1024 * 1024  # bytes of one read, where all is asked for
_READ_AHEAD = 1024 * 1024  # bytes, the least that one read asks for


def open_ranges(
    name: str, size: int, read: Callable[[int, int], bytes], close: Callable[[], object] = lambda: None
) -> BinaryIO:
    """Return a stream over `read(start, size)`, of which none goes beyond `size`; `name` is for messages."""
    return io.BufferedReader(_Ranges(name, size, read, close), _READ_AHEAD)


class _Ranges(io.RawIOBase):
    """The bytes of an object for a `BufferedReader`, which asks for as much as its buffer holds at least."""

    def __init__(self, name: str, size: int, read: Callable[[int, int], bytes], close: Callable[[], object]) -> None:
        self.name = name
        self._size = size
        self._read = read
        self._close = close
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        from_where = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        to = from_where[whence] + offset
        if to < 0:
            raise ValueError(f"cannot seek to {to}, before the start of {self.name}")
        self._at = to
        return to

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer).cast("B")
        data = self._next(len(room))
        room[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._next(_PIECE), b""))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._close()

    def _next(self, most: int) -> bytes:
        size = min(most, self._size - self._at)
        if size <= 0:
            return b""
        data = self._read(self._at, size)
        self._at += len(data)
        return data
