"""What is kept: generations, their checkpoints, segments, and the manifest of a job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from msgspec import field

from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster, Project
from logkeep.domain.instant import earliest, latest
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.warning import JobWarning

# Bytes of one frame, plain and stored: what says it is larger was not written by Logkeep.
LARGEST_FRAME = 64 * 1024 * 1024
LARGEST_STORED_FRAME = LARGEST_FRAME + LARGEST_FRAME // 128  # zstd grows what it cannot compress by less than this


class _Many(msgspec.Struct, frozen=True, gc=False):  # decoded in half the time that a dataclass takes
    """A record without circles, of which a manifest has a hundred thousand."""


class Fingerprint(_Many, frozen=True):
    """A hash over a known number of bytes. It is written as it stands too: see `Frame`."""

    length: int = field(name="length")  # bytes
    sha256: str = field(name="sha256")  # hex


EMPTY = Fingerprint(0, "")
LEAD = 256  # bytes by which a generation is looked up; fewer prove nothing over the border of a log


class Flaw(StrEnum):
    """What is wrong with the end of a compressed file."""

    NONE = ""
    CUT = "cut"  # it ends in the middle of a member
    GARBAGE = "garbage"  # after its last whole member stands something else
    DAMAGED = "damaged"  # the bytes of its last member may be wrong: nothing tells from where on
    REFUSED = "refused"  # it asks for too much memory to be read
    FOREIGN = "foreign"  # it is no compressed file, and no text either


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one generation is kept, and by what it is known again."""

    generation: int  # number within the node
    family: str
    position: float  # place in the order of writing within the family
    name: str  # plain name (without .gz) at its last sighting
    kept: int  # bytes [start, kept) are in the archive
    head: Fingerprint  # of the first bytes
    tail: Fingerprint  # of the bytes just before `kept`
    first_time: str = ""  # oldest and newest time of the lines kept, '' where unknown
    last_time: str = ""
    present: bool = True  # seen in the last listing
    # Hints: how the file looked when it was last read to its end; size -1 where that is not so.
    size: int = -1
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: str = ""
    joined: bool = True  # False: what was written before it and after its elder may have gone, and was not judged yet
    lead: str = ""  # SHA-256 of its first `LEAD` bytes, '' where it has fewer: by it a file is looked up
    checked: int = 0  # the byte up to which what is kept was compared with the file, by turns
    start: int = 0  # above 0 where bytes of a file that is kept changed: from there on it was kept again
    flaw: Flaw = Flaw.NONE  # of the file when it was last read to its end

    @property
    def unproven(self) -> bool:
        """Whether its bytes may be other than those that were written: they prove nothing."""
        return self.flaw is Flaw.DAMAGED or self.flaw is Flaw.FOREIGN  # asked of each: faster than a set

    @property
    def settled(self) -> bool:
        """Read to its end at its last sighting."""
        return self.size >= 0


class UnreadKind(StrEnum):
    PLANNED = "planned"  # to be read
    LISTED = "listed"  # gone before it was looked into
    BLOCKED = "blocked"  # it cannot be read
    EMPTY = "empty"  # nothing is in it yet
    # Not owed, but what was learned of compressed files that do not end as they should:
    FLAWED = "flawed"  # such a file, waited for as long as it may be being written
    PASSED = "passed"  # it holds nothing that is to be kept, and that was told
    REFUSED = "refused"  # it asks for more memory than it may, and that was told
    GROWN = "grown"  # a known generation that had grown, gone before it was looked into
    COPY = "copy"  # holds nothing but what is kept of another file


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that was listed and of which not all is kept yet: a gap, should it go before it is read."""

    kind: UnreadKind
    family: str
    position: float  # place in the order of writing, as it was planned
    generation: (
        int  # PLANNED: under which it is to be kept, 0 for none; LISTED, BLOCKED: the newest; GROWN, COPY: its own
    )
    name: str  # of the file
    inode: str
    size: int  # bytes that are missing if it goes, 0 where unknown
    mtime_ns: int
    head: Fingerprint = EMPTY  # of the first bytes, where they are known
    tail: Fingerprint = EMPTY  # of those just before `size`; of a plain file only
    since_ms: int = 0  # FLAWED, COPY: when it was first seen as it is, by the clock of the service
    # COPY: size of the file; EMPTY: 1 where its time tells it from others; BLOCKED: plain bytes that came out of it;
    # FLAWED: ms when it came
    stored: int = 0
    first_time: str = ""  # PLANNED: of its first record


class Frame(_Many, frozen=True):
    """One independent zstd frame of a segment.

    It is written into manifests as it stands, as copying a hundred thousand takes as long as encoding them. The names
    in the bucket are those given here, whatever a field is called.
    """

    offset: int = field(name="offset")  # in the object, bytes
    stored: int = field(name="stored")  # bytes in the object
    start: int = field(name="start")  # first byte in the generation
    raw: int = field(name="raw")  # plain bytes
    # Smallest and largest time of its lines as written there, '' where unknown.
    first_time: str = field(name="first_time")
    last_time: str = field(name="last_time")
    levels: tuple[str, ...] | None = field(name="levels")  # levels that occur; None where unknown
    lines: int = field(name="lines")  # ends of lines in it
    # The last 4 bytes of the frame, in hex: zstd's checksum, the low half of the XXH64 of its plain bytes.
    check: str = field(name="check", default="")


def earliest_time(frames: Iterable[Frame]) -> str:
    """As written, '' where none is known."""
    return earliest(frame.first_time for frame in frames)


def latest_time(frames: Iterable[Frame]) -> str:
    """As written, '' where none is known."""
    return latest(frame.last_time for frame in frames)


def sum_lines(frames: Iterable[Frame]) -> int:
    """Ends of lines in the frames."""
    return sum(frame.lines for frame in frames)


class Segment(_Many, frozen=True):
    """Bytes [start, end) of one generation, one immutable object."""

    node: str
    family: str
    generation: int
    position: float
    name: str  # the file's plain name when it was read
    start: int
    end: int
    bucket: str
    object: str  # object name in the bucket
    stored: int  # bytes
    sha256: str  # of the object
    head: Fingerprint  # of the generation, at `end`
    tail: Fingerprint  # just before `end`
    frames: tuple[Frame, ...] = ()
    lead: str = ""  # SHA-256 of the first 256 bytes of the generation, '' where `end` is less
    flaw: Flaw = Flaw.NONE  # of the compressed file that it was read from

    @property
    def lines(self) -> int:
        return sum_lines(self.frames)

    @property
    def first_time(self) -> str:
        return earliest_time(self.frames)

    @property
    def last_time(self) -> str:
        return latest_time(self.frames)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A generation that was seen first, under another name than before, or no longer, without new bytes of its own."""

    node: str
    family: str
    generation: int
    position: float
    name: str
    present: bool = True  # False: no file has it any more
    flaw: Flaw = Flaw.NONE  # of the compressed file that it was read from


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that went before they could be kept."""

    node: str
    family: str
    after: str  # time of the last line kept before the gap, '' where unknown
    until: str  # time of the first line kept after it, '' where unknown
    at_least: int  # bytes known to be missing
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """A job that ended without a manifest of its own, as when its bucket failed, and what it met."""

    job: BackupJob
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[JobWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one job stored, and all that a new catalogue needs to know of its cluster."""

    version: int
    cluster_id: str
    cluster_name: str
    object: str  # its own name in the bucket, so that a copy elsewhere is told from it
    job: BackupJob
    number: int  # 1, 2, … over all manifests of the cluster
    previous: str  # sha256 of the proven manifest before it, '' for the first
    key: str  # public key of what it is signed with, in hex
    project: Project
    cluster: Cluster
    setting: LogSetting | None
    segments: tuple[Segment, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    earlier: tuple[Told, ...] = ()  # jobs that ended without a manifest since the one before, oldest first
    warnings: tuple[JobWarning, ...] = ()
    unproven: str = ""  # sha256 of the last of the manifests just before it whose origin nothing proves; '' for none
