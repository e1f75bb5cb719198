"""Generations, their checkpoints and segments, and the manifest of a job."""

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

# Limits of one frame, in plain and in stored bytes: a larger one was not written by Logkeep.
LARGEST_FRAME = 64 * 1024 * 1024
LARGEST_STORED_FRAME = LARGEST_FRAME + LARGEST_FRAME // 128  # zstd expands incompressible data by less than this


class _Many(msgspec.Struct, frozen=True, gc=False):  # decoded in half the time that a dataclass takes
    """Record of which a manifest has a hundred thousand; it has no reference cycles, hence `gc=False`."""


class Fingerprint(_Many, frozen=True):
    """Hash over a known number of bytes, written into manifests as it stands (see `Frame`)."""

    length: int = field(name="length")  # bytes
    sha256: str = field(name="sha256")  # hex


EMPTY = Fingerprint(0, "")
LEAD = 256  # bytes by which a generation is looked up; fewer do not identify it in another family


class Flaw(StrEnum):
    """Defect at the end of a compressed file."""

    NONE = ""
    CUT = "cut"  # it ends in the middle of a member
    GARBAGE = "garbage"  # other bytes follow its last complete member
    DAMAGED = "damaged"  # bytes of its last member may be wrong; from which one on is unknown
    REFUSED = "refused"  # decompressing it would take too much memory
    FOREIGN = "foreign"  # it is neither a compressed file nor text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Progress of archiving one generation, and the fingerprints that identify its file."""

    generation: int  # number within the node
    family: str
    position: float  # order of writing within the family
    name: str  # plain name (without .gz) when it was last seen
    kept: int  # archived up to here: bytes [start, kept)
    head: Fingerprint  # of the first bytes
    tail: Fingerprint  # of the bytes that end at `kept`
    first_time: str = ""  # oldest and newest time of the archived lines, '' if unknown
    last_time: str = ""
    present: bool = True  # seen in the last listing
    # Hints: stat of the file when it was last read to its end; size -1 if it has not been.
    size: int = -1
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: str = ""
    joined: bool = True  # False: a gap between it and the next older generation is possible, and not judged yet
    lead: str = ""  # SHA-256 of its first `LEAD` bytes, by which it is looked up; '' if it has fewer
    checked: int = 0  # file compared with the archive up to here; each job compares the next part
    start: int = 0  # above 0: archived bytes of the file changed, and it was archived again from here on
    flaw: Flaw = Flaw.NONE  # of the file when it was last read to its end
    removed: int = 0  # bytes before this were removed by a rule of retention

    @property
    def first(self) -> int:
        """Return the first byte that is held; `kept` where nothing is held any more."""
        return max(self.start, self.removed)

    @property
    def is_gone(self) -> bool:
        """Return whether all that was archived of it was removed by rules of retention."""
        return self.start < self.kept <= self.removed

    @property
    def unproven(self) -> bool:
        """Return whether the archived bytes may differ from those written; then they identify no file."""
        return self.flaw is Flaw.DAMAGED or self.flaw is Flaw.FOREIGN  # asked of every checkpoint: faster than a set

    @property
    def settled(self) -> bool:
        """Return whether the file was read to its end when it was last seen."""
        return self.size >= 0


class PendingKind(StrEnum):
    """Reason why a file is not archived completely."""

    PLANNED = "planned"  # to be read
    LISTED = "listed"  # gone before it was looked into
    BLOCKED = "blocked"  # unreadable
    EMPTY = "empty"  # still without content
    # Nothing is pending of these; they remember compressed files that do not end as they should:
    FLAWED = "flawed"  # read later: it may still be being written
    PASSED = "passed"  # holds nothing to archive; the warning was given
    REFUSED = "refused"  # needs more memory than allowed; the warning was given
    GROWN = "grown"  # known generation that had grown, gone before it was looked into
    COPY = "copy"  # all of its bytes are archived from another file


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A listed file that is not archived completely; it becomes a gap if it disappears before it is read."""

    kind: PendingKind
    family: str
    position: float  # order of writing within the family, as planned
    generation: int  # PLANNED, GROWN, COPY: its own, 0 for none yet; LISTED, BLOCKED: the newest
    name: str  # of the file
    inode: str
    size: int  # bytes missing if it disappears, 0 if unknown
    mtime_ns: int
    head: Fingerprint = EMPTY  # of the first bytes, if known
    tail: Fingerprint = EMPTY  # of the bytes that end at `size`; of a plain file only
    since_ms: int = 0  # FLAWED, COPY: Unix ms when it was first seen in this state, by the clock of the service
    # COPY, compressed PLANNED: size of the file; EMPTY: 1 if its time is unlike others; BLOCKED: plain bytes
    # read from it; FLAWED: ms when it came
    stored: int = 0
    first_time: str = ""  # PLANNED: of its first record


class Frame(_Many, frozen=True):
    """One independent zstd frame of a segment.

    Manifests contain it as it stands, because copying a hundred thousand takes as long as encoding them. The names
    given here are the names in the bucket, whatever a field is called.
    """

    offset: int = field(name="offset")  # bytes, in the object
    stored: int = field(name="stored")  # bytes in the object
    start: int = field(name="start")  # first byte in the generation
    raw: int = field(name="raw")  # plain bytes
    # Smallest and largest time of its lines as written in the log, '' if unknown.
    first_time: str = field(name="first_time")
    last_time: str = field(name="last_time")
    levels: tuple[str, ...] | None = field(name="levels")  # levels that occur; None if unknown
    lines: int = field(name="lines")  # number of line ends
    # The last 4 bytes of the frame, in hex: zstd's checksum, the low half of the XXH64 of its plain bytes.
    check: str = field(name="check", default="")


def earliest_time(frames: Iterable[Frame]) -> str:
    """Return the earliest time in the frames, as written; '' if none is known."""
    return earliest(frame.first_time for frame in frames)


def latest_time(frames: Iterable[Frame]) -> str:
    """Return the latest time in the frames, as written; '' if none is known."""
    return latest(frame.last_time for frame in frames)


def sum_lines(frames: Iterable[Frame]) -> int:
    """Return the number of line ends in the frames."""
    return sum(frame.lines for frame in frames)


class Segment(_Many, frozen=True):
    """Bytes [start, end) of one generation, stored as one immutable object."""

    node: str
    family: str
    generation: int
    position: float
    name: str  # plain name of the file when it was read
    start: int
    end: int
    bucket: str
    object: str  # object name in the bucket
    stored: int  # bytes
    sha256: str  # of the object
    head: Fingerprint  # of the generation, at `end`
    tail: Fingerprint  # of the bytes that end at `end`
    frames: tuple[Frame, ...] = ()
    lead: str = ""  # SHA-256 of the first 256 bytes of the generation, '' if `end` is less
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
    """A generation newly seen, renamed or gone, without new bytes of its own."""

    node: str
    family: str
    generation: int
    position: float
    name: str
    present: bool = True  # False: its file is gone
    flaw: Flaw = Flaw.NONE  # of the compressed file that it was read from


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that the node deleted before they were archived."""

    node: str
    family: str
    after: str  # time of the last archived line before the gap, '' if unknown
    until: str  # time of the first archived line after it, '' if unknown
    at_least: int  # bytes known to be missing
    reason: str


@dataclass(frozen=True, slots=True)
class UnreportedJob:
    """A job that ended without a manifest of its own (its bucket failed, for example), and its findings."""

    job: BackupJob
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[JobWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """Record of one job's segments, and everything that `rebuild` needs to restore the cluster in an empty database."""

    version: int
    cluster_id: str
    cluster_name: str
    object: str  # its own name in the bucket, by which a copy elsewhere is recognized
    job: BackupJob
    number: int  # 1, 2, … over all manifests of the cluster
    previous: str  # SHA-256 of the proven manifest before it, '' for the first
    key: str  # public key that verifies its signature, in hex
    project: Project
    cluster: Cluster
    setting: LogSetting | None
    segments: tuple[Segment, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    earlier: tuple[
        UnreportedJob, ...
    ] = ()  # jobs that ended without a manifest since the previous manifest, oldest first
    warnings: tuple[JobWarning, ...] = ()
    unproven: str = ""  # SHA-256 of the last unproven manifest, if unproven ones come directly before this; '' if none
    removal: str = ""  # SHA-256 of the last removal entry that is stored, '' if none
