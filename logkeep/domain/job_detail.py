"""Details of one job, by node and file."""

from __future__ import annotations

from dataclasses import dataclass

from logkeep.domain.backup_job import BackupJob
from logkeep.domain.forecast import Forecast
from logkeep.domain.manifest import Gap
from logkeep.domain.warning import JobWarning


@dataclass(frozen=True, slots=True)
class JobNode:
    """Progress of a job on one node."""

    node: str
    started_at: int | None  # Unix ms; None before the node is begun, and for a job restored by `rebuild`
    finished_at: int | None  # Unix ms; None while it runs, and if the bucket failed first
    planned: int | None  # plain bytes to read, an estimate for compressed files; None if unknown
    done: int | None  # of `planned`
    files: int  # objects stored
    lines: int
    raw: int  # plain bytes of the files
    stored: int  # bytes in the bucket
    failures: int = 0  # that the job met on it


@dataclass(frozen=True, slots=True)
class JobFile:
    """One object stored by a job: bytes [start, end) of a log file."""

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
    first_time: str  # smallest and largest time of its lines as written in the log, '' if unknown
    last_time: str
    verified_at: int | None  # Unix ms: when its object was last read back and found whole; None for not yet
    damaged: bool  # a verification found it missing or damaged


@dataclass(frozen=True, slots=True)
class JobRemoved:
    """What rules of retention removed of what a job stored."""

    objects: int = 0
    raw: int = 0  # plain bytes
    stored: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with its nodes, findings, and one page of its files."""

    job: BackupJob
    attempts: int
    nodes: list[JobNode]
    files: list[JobFile]
    gaps: tuple[Gap, ...]
    failures: tuple[str, ...]
    warnings: tuple[JobWarning, ...]
    forecasts: tuple[Forecast, ...]
    removed: JobRemoved = JobRemoved()
