"""Observation of a file: what a listing and its content say of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from logkeep.clock import Clock
from logkeep.domain.manifest import EMPTY, Fingerprint, PendingFile
from logkeep.logformat.names import LogName
from logkeep.sources.base import LogFile

# A file that changed this short a time before it was looked at may change again within one tick of its clock.
SETTLE_NS = 2_000_000_000


class ContentState(IntEnum):
    """State of what is known of a file's content; the lower, the surer."""

    UNCHANGED = 0  # looks exactly as when it was last read to its end
    READABLE = 1
    BLOCKED = 2  # cannot be read now; taken for what stood under its name, so that nothing is said to be gone
    VANISHED = 3  # was gone when it was to be looked into; the next listing tells where it went


def file_key(file: LogFile) -> str:
    """Return the key of a file from one listing to the next."""
    return file.inode or file.name


@dataclass(frozen=True, slots=True)
class Changed:
    """A file whose bytes were changed after they were kept, before the last that are kept."""

    generation: int
    start: int  # of the first frame that differs; from here on it is kept again


@dataclass(frozen=True, slots=True)
class FileObservation:
    """One file of the listing and what its content says."""

    file: LogFile
    name: LogName
    continues: frozenset[int] = frozenset()  # generations whose kept bytes it begins with
    state: ContentState = ContentState.READABLE
    first_time: str = ""  # of the first record in its head, '' where unknown
    last_time: str = ""  # of the last one, '' where unknown; of a compressed file where its head has no time
    lead: str = ""  # hash of its first bytes by which it is looked up, '' where it has fewer
    size: int = 0  # plain bytes, 0 where unknown
    head: Fingerprint = EMPTY  # of its first bytes
    tail: Fingerprint = EMPTY  # of those before `size`; of a plain file only
    matches_pending: frozenset[PendingFile] = frozenset()  # what an earlier listing showed and it begins with
    foreign: frozenset[int] = frozenset()  # generations of other logs than its name proposes, that it begins with
    copy: int = 0  # generation of which it holds nothing but what is kept, 0 where that is not known
    changed: Changed | None = None  # what is kept of it is no longer what it holds

    @property
    def time(self) -> str:
        """Return the time by which it is placed among generations that do not overlap; '' where none is known."""
        return self.first_time or self.last_time

    @property
    def readable(self) -> bool:
        return self.file.size > 0 and self.state <= ContentState.READABLE


def is_settled(file: LogFile, clock: Clock, settle_ns: int = SETTLE_NS) -> bool:
    """Return whether any later write to the file will change its times."""
    return clock.now_ms() * 1_000_000 - max(file.mtime_ns, file.ctime_ns) > settle_ns
