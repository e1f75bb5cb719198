"""Progress of a plan, in bytes still to be read."""

from __future__ import annotations

from collections.abc import Iterable

from logkeep.backup.plan import Read


class ReadProgress:
    """Plain bytes, as far as they are known: of a compressed file only the size that it takes on the node is."""

    def __init__(self, reads: Iterable[Read] = ()) -> None:
        self._files = {read.observed.file.name: _expected(read) for read in reads}
        self.bytes = sum(self._files.values())

    def take(self, file: str, read: int) -> int:
        """So much was read of the file; what remains in all."""
        less = min(read, self._files[file])
        self._files[file] -= less
        self.bytes -= less
        return self.bytes

    def end(self, file: str) -> None:
        """No more is read of the file."""
        self.bytes -= self._files.pop(file)


def _expected(read: Read) -> int:
    size = read.observed.file.size
    return size if read.observed.name.compressed else max(0, size - read.checkpoint.kept)
