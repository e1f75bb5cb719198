"""What a listing and a look into the files say of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from logkeep.domain.manifest import EMPTY, Fingerprint, Unread
from logkeep.logformat.names import LogName
from logkeep.sources.base import LogFile


class Look(IntEnum):
    """What is known of a file's content; the lower, the surer."""

    UNCHANGED = 0  # looks exactly as when it was last read to its end
    READABLE = 1
    BLOCKED = 2  # cannot be read now; taken for what stood under its name, so that nothing is said to be gone
    VANISHED = 3  # was gone when it was to be looked into; the next listing tells where it went


def file_key(file: LogFile) -> str:
    """What a file is known by from one listing to the next."""
    return file.inode or file.name


@dataclass(frozen=True, slots=True)
class Sight:
    """One file of the listing and what its content says."""

    file: LogFile
    name: LogName
    continues: frozenset[int] = frozenset()  # generations whose kept bytes it begins with
    look: Look = Look.READABLE
    first_time: str = ""  # of its first line; only where names say nothing of age
    size: int = 0  # plain bytes, 0 where unknown
    head: Fingerprint = EMPTY  # of its first bytes
    tail: Fingerprint = EMPTY  # of those before `size`; of a plain file only
    holds: frozenset[Unread] = frozenset()  # what an earlier listing showed and it begins with

    @property
    def readable(self) -> bool:
        return self.file.size > 0 and self.look <= Look.READABLE
