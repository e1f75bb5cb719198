"""Inodes are hints, and some sources tell wrong ones: which of them can be believed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from logkeep.sources.base import LogFile

_DOUBTS = 2  # listings in a row with one inode for a name that the open file does not have: no rotation is like that
_MISSES = 4  # listings with whatever inodes


class Inodes:
    """Told by one source in one job. A file without inode is known by its content, and by its name in a listing."""

    def __init__(self) -> None:
        self._wrong = False
        self._shared: set[str] = set()  # inodes of files that were found to be several
        self._differed: dict[tuple[str, str], set[int]] = defaultdict(set)  # name and listed inode -> listings
        self._missed: Counter[str] = Counter()
        self._opened: list[tuple[LogFile, str, int]] = []  # listed, inode of the open file, number of the listing

    def believe(self, listing: Sequence[LogFile]) -> list[LogFile]:
        """Return the listing without unreliable inodes: open files have others, or several files share one."""
        inodes = {file.inode for file in listing}
        self._judge(inodes)
        if len(inodes) == len(listing) and not self._wrong and self._shared.isdisjoint(inodes):
            return list(listing)
        looks: dict[str, set[tuple[int, int, int]]] = defaultdict(set)
        for file in listing:
            looks[file.inode].add((file.size, file.mtime_ns, file.ctime_ns))
        return [
            file._replace(inode="")
            if self._wrong or file.inode in self._shared or len(looks[file.inode]) > 1
            else file
            for file in listing
        ]  # fmt: skip

    def is_same(self, listed: LogFile, opened: LogFile, number: int) -> bool:
        """Return whether an open file may be the listed one; `number` is that of the listing."""
        if not listed.inode or listed.inode == opened.inode:
            return True
        self._opened.append((listed, opened.inode, number))
        return False

    def _judge(self, inodes: Collection[str]) -> None:
        """Decide on a mismatch: if the next listing has the open inode, the name went to another file in between."""
        for listed, inode, number in self._opened:
            if inode in inodes:
                continue
            seen = self._differed[listed.name, listed.inode]
            self._missed[listed.name] += number not in seen
            seen.add(number)
            self._wrong = self._wrong or len(seen) >= _DOUBTS or self._missed[listed.name] >= _MISSES
        self._opened.clear()

    def share(self, inode: str) -> None:
        """Two files have it, that differ."""
        self._shared.add(inode)
