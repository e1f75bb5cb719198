"""What one job did, node by node and file by file."""

from __future__ import annotations

from dataclasses import dataclass

from logkeep.domain.backup_job import BackupJob
from logkeep.domain.forecast import Forecast
from logkeep.domain.manifest import Gap
from logkeep.domain.warning import JobWarning


@dataclass(frozen=True, slots=True)
class JobNode:
    """What a job does or did on one node."""

    node: str
    started_at: int | None  # Unix ms; None before it began, and where the catalogue was made anew
    finished_at: int | None  # None until then, and where the bucket failed before
    planned: int | None  # plain bytes to be read, an estimate while files are compressed; None where it is not known
    done: int | None  # of them
    files: int  # stored
    lines: int
    raw: int  # plain bytes of the files
    stored: int  # bytes in the bucket


@dataclass(frozen=True, slots=True)
class JobFile:
    """One object that a job stored: bytes [start, end) of a log file."""

    node: str
    family: str  # name of the active file
    name: str  # the file's name when it was read, without '.gz'
    generation: int  # number within the node
    start: int
    end: int
    lines: int
    raw: int  # plain bytes
    stored: int
    bucket: str
    object: str
    sha256: str  # of the object
    first_time: str  # smallest and largest time of its lines as written there, '' where unknown
    last_time: str


@dataclass(frozen=True, slots=True)
class JobDetail:
    """All that is known of a job; of the files one page."""

    job: BackupJob
    attempts: int
    nodes: list[JobNode]
    files: list[JobFile]
    gaps: tuple[Gap, ...]
    failures: tuple[str, ...]
    warnings: tuple[JobWarning, ...]
    forecasts: tuple[Forecast, ...]
