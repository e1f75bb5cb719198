"""What span of each log is held, and what is missing from it."""

from __future__ import annotations

from dataclasses import dataclass

from logkeep.domain.manifest import Gap
from logkeep.domain.warning import JobWarning


@dataclass(frozen=True, slots=True)
class ToldGap:
    """A gap, and the job that told it."""

    gap: Gap
    job_id: str


@dataclass(frozen=True, slots=True)
class ToldWarning:
    """A warning, and the last job that told it."""

    warning: JobWarning
    job_id: str


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of one log of one node."""

    node: str
    family: str  # name of the active file; '' for a node of which nothing is held
    first_time: str = ""  # oldest and newest time of its lines as written there, '' where unknown
    last_time: str = ""
    generations: int = 0
    lines: int = 0
    raw: int = 0  # plain bytes
    stored: int = 0  # bytes in the bucket
    safe_until: int | None = None  # Unix ms: forecast of when what is not kept begins to go; None where there is none
    gaps: tuple[ToldGap, ...] = ()  # in the order of time
    warnings: tuple[ToldWarning, ...] = ()  # in the order in which jobs told them last
