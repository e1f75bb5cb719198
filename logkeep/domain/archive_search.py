"""Search of what is kept: what is looked for, and what a search tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from logkeep.domain.record_filter import RecordFilter


@dataclass(frozen=True, slots=True)
class ArchiveQuery:
    """Lines with a text, of records that are wanted."""

    text: bytes
    ignore_case: bool  # of ASCII letters
    node: str  # '' for all, as `family`
    family: str
    wanted: RecordFilter
    limit: int  # hits, before the search ends
    count: bool  # hits are only counted, without a limit


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that contains the text."""

    node: str
    family: str
    generation: int  # number within the node
    name: str  # of the file when it was last seen
    start: int  # offset of the line in the generation
    time: str  # of its record, as written in the log; '' if unknown
    level: str
    text: str  # without the line end; what is no UTF-8 is replaced
    cut: bool  # whether the line is longer


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a search is."""

    hits: int
    logs: int  # generations that were looked at
    frames: int  # of these
    frames_read: int
    bytes_read: int  # plain bytes of those


@dataclass(frozen=True, slots=True)
class SearchDamage:
    """A log that could not be searched to its end."""

    node: str
    family: str
    generation: int
    problem: str


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """What it came to, and whether all that is kept was looked at."""

    completed: bool
    total: SearchProgress


SearchEvent = Hit | SearchProgress | SearchDamage | SearchEnd
