"""Search of what is kept: what is looked for, and what a search tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from logkeep.domain.histogram import Bucket, Interval
from logkeep.domain.instant import instant
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.removed_span import RemovedSpan


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Place of a line in the order of a search: by time, where that is the same by node, log and place."""

    time: float  # Unix seconds, negative where the newest come first; -inf for a line of which no time is known
    node: str
    generation: int
    start: int


START = Position(-inf, "", -1, -1)  # before all


@dataclass(frozen=True, slots=True)
class ArchiveQuery:
    """Lines that match, of records that are wanted."""

    text: str
    regex: bool  # whether `text` is a regular expression
    ignore_case: bool  # of ASCII letters
    node: str  # '' for all, as `family`
    family: str
    wanted: RecordFilter
    limit: int  # hits, before the search ends
    count: bool  # hits are only counted, without a limit
    newest_first: bool = False
    after: Position = START  # only what comes behind it
    use_index: bool = True
    live: bool = False  # also what is not kept yet
    context: int = 0  # lines before and after each hit
    max_bytes: int = 0  # plain bytes that are read before the search ends; 0 for no limit, as `max_seconds`
    max_seconds: float = 0
    dry_run: bool = False  # only tell what would be read
    interval: Interval | None = None  # only count, by interval and level; without a text all records

    def order(self, time: str) -> float:
        """Return the place of a time in the order of the search; -inf for an unknown one."""
        if not time:
            return -inf
        return -instant(time) if self.newest_first else instant(time)


@dataclass(frozen=True, slots=True, kw_only=True)
class HitSource:
    """Where a line lies: in an object of a bucket, or in a file of its node."""

    bucket: str = ""
    object: str = ""
    file: str = ""
    offset: int  # of plain bytes in the object or file


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches."""

    node: str
    family: str
    generation: int  # number within the node
    name: str  # of the file when it was last seen
    start: int  # offset of the line in the generation
    time: str  # of its record, as written in the log; '' if unknown
    level: str
    text: str  # without the line end; what is no UTF-8 is replaced
    cut: bool  # whether the line is longer
    source: HitSource
    component: str = ""  # logger of its record's first line; '' where the line shows none, as `message`
    message: str = ""
    before: tuple[str, ...] = ()  # lines around it, where they are asked for
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a search is."""

    hits: int
    logs: int  # generations in which it may be
    frames: int  # of these
    frames_read: int
    bytes: int  # plain bytes of `frames`
    bytes_read: int  # of `frames_read`
    partly: int  # lines so long that the expression was held against their beginning alone, and found nothing


@dataclass(frozen=True, slots=True)
class SearchDamage:
    """Part of a log that could not be searched."""

    node: str
    family: str  # '' where a node could not be read
    generation: int  # 0 then
    problem: str
    live: bool = False  # whether it is of what is not kept yet


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """What it came to, and whether all that was asked for was looked at, as far as it is not removed."""

    completed: bool
    total: SearchProgress
    after: Position | None = None  # where it is to go on, if it was not completed
    not_indexed: int = 0  # frames of which no index tells, though one could have


SearchEvent = Hit | Bucket | SearchProgress | SearchDamage | RemovedSpan | SearchEnd


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far the making of an index is, and at its end what it came to."""

    segments: int
    segments_total: int
    bytes: int  # plain
    bytes_total: int
    unreadable: int  # segments that could not be read back
    done: bool = False
