"""Compressed files that do not end as they should: which may still be being written, and what was learned of others."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from logkeep.backup.compressed import Ending
from logkeep.backup.observation import file_key
from logkeep.clock import Clock
from logkeep.domain.manifest import Flaw, PendingFile, PendingKind
from logkeep.domain.warning import WarningCode
from logkeep.logformat.names import is_compressed
from logkeep.sources.base import LogFile

STILL_MS = 60_000  # so long unchanged, nobody is compressing it any more
_YOUNG_MS = 600_000  # in which most files are compressed, and for which a gap may wait
_KINDS = {PendingKind.FLAWED, PendingKind.PASSED, PendingKind.REFUSED}

_CODES = {
    Flaw.CUT: WarningCode.LOG_CUT,
    Flaw.GARBAGE: WarningCode.LOG_GARBAGE,
    Flaw.DAMAGED: WarningCode.LOG_DAMAGED,
    Flaw.FOREIGN: WarningCode.LOG_DAMAGED,
    Flaw.REFUSED: WarningCode.LOG_REFUSED,
}


@dataclass(frozen=True, slots=True)
class _Look:
    """State of a file, and when this job saw it first."""

    note: PendingFile
    seconds: float  # monotonic; 0.0 where an earlier job saw it


class FlawedFiles:
    """Flawed files of a node, told apart by inode, size and time: hints that save reading."""

    def __init__(self, clock: Clock, noted: Iterable[PendingFile], pause: float) -> None:
        """`noted` is what `notes` gave to an earlier job; `pause` how many seconds lie between two looks at least."""
        self._clock = clock
        self._pause = pause
        self._looks = {one.inode or one.name: _Look(one, 0.0) for one in noted}

    def stands(self, file: LogFile) -> bool:
        """Return whether the file has not changed for a minute.

        Its own time and the clock of the service must say so, and a second look; or an earlier job saw it as it is,
        which holds whatever the clock of the node says. Without a second look, a clock of the node that is behind would
        make each file that is being compressed one that was left a minute ago.
        """
        look = self._looks.get(file_key(file))
        if look is None or not _is_as(file, look.note) or time.monotonic() - look.seconds < self._pause:
            return False
        now = self._clock.now_ms()
        return now - file.mtime_ns // 1_000_000 >= STILL_MS or now - look.note.since_ms >= STILL_MS

    def kind(self, file: LogFile) -> PendingKind | None:
        """Return the verdict on the file in its present state, None where there is none."""
        look = self._looks.get(file_key(file)) if self._looks else None
        return look.note.kind if look and _is_as(file, look.note) else None

    def is_young(self, file: LogFile) -> bool:
        """Return whether the file appeared a short time ago, though it may have changed since."""
        look = self._looks.get(file_key(file))
        return look is None or self._clock.now_ms() - look.note.stored < _YOUNG_MS

    def wait_for(self, file: LogFile, family: str) -> None:
        """Remember how it looks, to see whether it changes."""
        if self.kind(file) is not PendingKind.FLAWED:
            self._note(PendingKind.FLAWED, file, family)

    def pass_over(self, file: LogFile, family: str) -> None:
        """As it is, it need not be looked into again: nothing of it is to be kept."""
        self._note(PendingKind.PASSED, file, family)

    def refuse(self, file: LogFile, family: str) -> None:
        """As it is, it need not be looked into again: it cannot be read."""
        self._note(PendingKind.REFUSED, file, family)

    def notes(self, listing: Iterable[LogFile]) -> list[PendingFile]:
        """Return what a later job needs to know."""
        there = {file_key(file) for file in listing} if self._looks else set[str]()
        return [look.note for key, look in self._looks.items() if key in there]

    def _note(self, kind: PendingKind, file: LogFile, family: str) -> None:
        now, known = self._clock.now_ms(), self._looks.get(file_key(file))
        note = PendingFile(
            kind=kind,
            family=family,
            position=0.0,
            generation=0,
            name=file.name,
            inode=file.inode,
            size=file.size,
            mtime_ns=file.mtime_ns,
            since_ms=now,
            stored=known.note.stored if known else now,
        )
        self._looks[file_key(file)] = _Look(note, time.monotonic())


def split_notes(noted: Iterable[PendingFile]) -> tuple[list[PendingFile], list[PendingFile]]:
    """Split notes into pending files and what was learned of flawed files."""
    all_of_them = list(noted)
    return [one for one in all_of_them if one.kind not in _KINDS], [one for one in all_of_them if one.kind in _KINDS]


def without(pending: Sequence[PendingFile], left_out: Iterable[LogFile]) -> list[PendingFile]:
    """Owe nothing more of files that hold nothing but what is kept, and that an earlier listing could not tell.

    One that could not be read may have been written to since; one that was gone when it was looked into was renamed.
    """
    if not pending:
        return []
    files: dict[str, LogFile] = {}
    packed: set[str] = set()  # plain names of those that were compressed meanwhile
    for file in left_out:
        files |= {file.name: file, file_key(file): file}
        if is_compressed(file.name):
            packed.add(file.name.rpartition(".")[0])

    def is_there(one: PendingFile) -> bool:
        if one.kind is PendingKind.LISTED and one.name in packed:
            return True
        file = files.get(one.inode) or files.get(one.name)  # inodes may be believed no more
        if file is None or (one.inode and file.inode not in {one.inode, ""}):
            return False
        return one.kind is PendingKind.BLOCKED or (one.kind is PendingKind.LISTED and file.mtime_ns == one.mtime_ns)

    return [one for one in pending if not is_there(one)]


def code_of(flaw: Flaw) -> WarningCode:
    return _CODES[flaw]


def tell(name: str, ending: Ending) -> str:
    """A sentence for who must act."""
    kept = (
        f"the {ending.length} plain bytes that come out of it are kept" if ending.length else "nothing comes out of it"
    )
    match ending.flaw:
        case Flaw.CUT:
            remedy = "where a whole one is put beside it, the next backup keeps the rest"
        case Flaw.GARBAGE:
            remedy = "it was left out, as gzip leaves it out"
        case Flaw.REFUSED:
            remedy = "compress it anew, with a smaller window"
        case Flaw.FOREIGN:
            kept, remedy = "it is kept as it is", "where it was damaged, put a whole one beside it"
        case _:
            unproven = f"nothing proves those from byte {ending.proven} on"
            kept = f"{kept}, but {unproven}" if ending.length else kept
            remedy = "put a whole one beside it, and that is kept as well; look at the disk of the node"
    return f"{name!r}: {ending.detail}; {kept}; {remedy}"


def _is_as(file: LogFile, note: PendingFile) -> bool:
    return (file.size, file.mtime_ns) == (note.size, note.mtime_ns)
