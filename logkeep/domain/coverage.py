"""Coverage: the span of time held of each log, and its gaps."""

from __future__ import annotations

from dataclasses import dataclass

from logkeep.domain.manifest import Gap
from logkeep.domain.removed_span import RemovedSpan
from logkeep.domain.warning import JobWarning


@dataclass(frozen=True, slots=True)
class ReportedGap:
    """A gap, and the job that reported it."""

    gap: Gap
    job_id: str


@dataclass(frozen=True, slots=True)
class ToldWarning:
    """A warning, and the last job that reported it."""

    warning: JobWarning
    job_id: str


@dataclass(frozen=True, slots=True)
class LogCoverage:
    """Coverage of one log of one node."""

    node: str
    family: str  # name of the active file; '' for a node of which nothing is archived
    first_time: str = ""  # oldest and newest time of its lines as written in the log, '' if unknown
    last_time: str = ""
    generations: int = 0
    lines: int = 0
    raw: int = 0  # plain bytes
    stored: int = 0  # bytes in the bucket
    safe_until: int | None = None  # Unix ms: forecast of when the node deletes lines not backed up; None if unknown
    gaps: tuple[ReportedGap, ...] = ()  # oldest first
    removed: tuple[RemovedSpan, ...] = ()  # by rules of retention, one for each rule
    warnings: tuple[ToldWarning, ...] = ()  # ordered by when a job last reported them
