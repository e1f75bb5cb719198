"""Signatures of files that are archived to their end: one that looks the same need not be read. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from logkeep.domain.manifest import Checkpoint
from logkeep.logformat.names import LogName
from logkeep.sources.base import LogFile

Hint = tuple[str, str, int, int, int]  # plain name, inode, size, mtime, ctime


def hints_of(checkpoints: Sequence[Checkpoint]) -> dict[Hint, Checkpoint]:
    """Return the signatures of files archived to their end; without inodes, none of equally old files of a log.

    What is gone and comes back is known by its content alone.
    """
    present = [c for c in checkpoints if c.present]
    equally_old = Counter((c.family, c.mtime_ns) for c in present if not c.inode)
    return {
        (c.name, c.inode, c.size, c.mtime_ns, c.ctime_ns): c
        for c in present
        if c.settled and (c.inode or equally_old[c.family, c.mtime_ns] == 1)
    }


def hint_of(file: LogFile, name: LogName) -> Hint:
    """Return the signature of a listed file."""
    return (name.plain, file.inode, file.size, file.mtime_ns, file.ctime_ns)


def with_hints(checkpoint: Checkpoint, file: LogFile, settled: bool) -> Checkpoint:
    """Remember how its file looks; not as one that is kept to its end where it is not settled."""
    if not settled:
        return replace(checkpoint, size=-1, mtime_ns=file.mtime_ns, inode=file.inode)
    return replace(checkpoint, size=file.size, mtime_ns=file.mtime_ns, ctime_ns=file.ctime_ns, inode=file.inode)
