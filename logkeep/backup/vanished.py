"""Listed files that could not be looked into: notes by which a loss is told, once, and nothing else is. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace

from logkeep.backup.observation import ContentState, FileObservation
from logkeep.domain.manifest import Checkpoint, PendingFile, PendingKind
from logkeep.logformat.names import compressed_names


class VanishedFiles:
    """Files that were gone, another file or unreadable when they were to be looked into."""

    def __init__(
        self,
        *,
        before: Collection[Checkpoint],
        now: Collection[Checkpoint],
        listed: AbstractSet[str],
        missing: Iterable[PendingFile],
        newest: int,
    ) -> None:
        """`before` are the generations as they were known, `now` these and as they are in this listing."""
        self._by_inode = {c.inode: c for c in now if c.inode}
        self._by_name = {c.name: c for c in before if c.present}
        self._listed = listed
        self._newest = newest
        # Committed by a job that was killed, before its inode was noted: a file of that log may be it.
        self._anonymous: dict[str, int] = {}
        for c in before:
            if c.present and not c.inode:
                self._anonymous[c.family] = max(c.kept, self._anonymous.get(c.family, 0))
        self._planned = {(one.inode, one.size, one.mtime_ns) for one in missing if one.kind is PendingKind.PLANNED}

    def note(self, observed: FileObservation, checkpoint: Checkpoint) -> PendingFile | None:
        """Return what is noted of a file, None where nothing of it is missing.

        `checkpoint` is of the generation that it would have: the known one of that name, or a new one.
        """
        if self._is_noted(observed):
            return None
        if observed.state is ContentState.VANISHED:
            if self._is_packed(observed) or self._is_as_read(observed):
                return None
            known = self._by_inode.get(observed.file.inode)
            # Without an inode a rotated file may be any: numbers shift.
            same = known or (self._named(observed) if observed.file.inode or observed.name.active else None)
            grown = _grown_file(observed, same) if same else None
            if known or grown:
                return grown
        one = _unknown_file(observed, checkpoint, self._newest)
        if one and one.kind is PendingKind.LISTED:
            return replace(one, size=max(0, one.size - self._anonymous.get(one.family, 0)))
        return one

    def _is_noted(self, observed: FileObservation) -> bool:
        """Return whether it was renamed since it was planned: what is missing of it is told once."""
        file = observed.file
        return bool(file.inode) and (file.inode, file.size, file.mtime_ns) in self._planned

    def _is_packed(self, observed: FileObservation) -> bool:
        """Return whether it has its compressed twin beside it."""
        return not self._listed.isdisjoint(compressed_names(observed.file.name))

    def _is_as_read(self, observed: FileObservation) -> bool:
        """Return whether it looks as when it was read to its end."""
        here = self._named(observed)
        return here is not None and (observed.file.size, observed.file.mtime_ns) == (here.kept, here.mtime_ns)

    def _named(self, observed: FileObservation) -> Checkpoint | None:
        """Return the generation that was last seen under the name, unless inodes tell which one the file is."""
        here, inode = self._by_name.get(observed.name.plain), observed.file.inode
        return None if inode in self._by_inode or (here and here.inode and inode) else here


def _unknown_file(observed: FileObservation, checkpoint: Checkpoint, newest: int) -> PendingFile | None:
    """A file that could not be looked into; None where all of it was kept before.

    `newest` is the last number of a generation. Of a blocked file that is compressed the bytes on the node are told.
    """
    file = observed.file
    kept = _accounted(checkpoint) if file.inode == checkpoint.inode else 0
    kind = PendingKind.LISTED if observed.state is ContentState.VANISHED else PendingKind.BLOCKED
    if file.size < kept and not observed.name.compressed:
        kept = 0  # it was truncated, or is another file under that name
    missing = file.size - kept
    if observed.name.compressed and (kept or kind is PendingKind.LISTED):
        missing = 0
    if kept and not missing:
        return None
    position = checkpoint.position
    found = PendingFile(
        kind=kind,
        family=observed.name.family,
        position=position,
        generation=newest,
        name=file.name,
        inode=file.inode,
        size=missing,
        mtime_ns=file.mtime_ns,
    )
    return (
        replace(found, head=observed.head, tail=observed.tail, stored=observed.size) if observed.head.length else found
    )


def _accounted(checkpoint: Checkpoint) -> int:
    """Bytes of the file that are kept, or were found to be no content: NULs at its end."""
    return max(checkpoint.kept, checkpoint.size)


def _grown_file(observed: FileObservation, checkpoint: Checkpoint) -> PendingFile | None:
    """A generation that had grown, and was gone from its file before that was looked into, as by copy and truncation.

    None where nothing says that it was the generation: an inode may be that of another file.
    """
    file = observed.file
    if observed.name.compressed or file.size <= _accounted(checkpoint) or not checkpoint.kept:
        return None
    family, position, number = checkpoint.family, checkpoint.position, checkpoint.generation
    return PendingFile(
        kind=PendingKind.GROWN,
        family=family,
        position=position,
        generation=number,
        name=file.name,
        inode=file.inode,
        size=file.size,
        mtime_ns=file.mtime_ns,
    )
