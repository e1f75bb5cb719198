"""Nodes of a simulated year: what lies in their directories, and what fails, follows from a name and the time alone.

So they take no memory, however many there are, and any process can ask for any of them at any time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from logkeep.clock import Clock
from logkeep.errors import SourceUnreachable, SourceUnreadable, SourceVanished
from logkeep.sources.base import Listing, LogFile, LogSource

DAY_MS = 86_400_000
FIRST_MS = 1_767_225_600_000  # 2026-01-01
NODES = ("n1", "n2", "n3")
LOG = "es.log"
STAY = 4  # rotated files that a node keeps
LINE = 128  # bytes, so that a place in a file tells which line stands there
_OUTAGE = STAY + 3  # days for which a node is away, so that it deletes what was never kept
_CHANCES = {"unreachable": 0.01, "unreadable": 0.005, "bucket": 0.005, "killed": 0.005}  # of each cluster and day
_LONG = 0.05  # of each cluster: that a node is away for so long, once
_DENSER = 10  # all these at most, where there are fewer days than in a year
_WHOLE = 3  # days at the beginning on which nothing fails, so that each cluster has a first backup


class Failure(StrEnum):
    """What goes wrong with the backup of a cluster on a day."""

    NONE = ""
    UNREACHABLE = "unreachable"  # the first node
    UNREADABLE = "unreadable"  # a file of the first node
    BUCKET = "bucket"
    KILLED = "killed"  # the worker, in the middle of an attempt; another one goes on


class Written(NamedTuple):
    """A line that a node wrote."""

    day: int
    number: int


@dataclass(frozen=True)
class Sowing:
    """What fails, and when; the same for the same seed."""

    seed: int
    days: int

    def find(self, cluster: str, day: int) -> Failure:
        """Return what fails."""
        if day in self.outage(cluster):
            return Failure.UNREACHABLE
        drawn, reached = self._chance(f"{cluster} {day}").random(), 0.0
        for kind, chance in _CHANCES.items():
            reached += chance * self._density
            if drawn < reached:
                return Failure(kind) if day >= _WHOLE else Failure.NONE
        return Failure.NONE

    def outage(self, cluster: str) -> range:
        """Return the days on which the first node is away for longer than it keeps its files; mostly none."""
        chance = self._chance(cluster)
        last = self.days - _OUTAGE - 2
        if last <= _WHOLE or chance.random() >= _LONG * self._density:
            return range(0)
        first = chance.randrange(_WHOLE, last)
        return range(first, first + _OUTAGE)

    def is_away(self, day: int) -> bool:
        """Return whether the service does not run on a day: every hundredth, or one of a shorter time."""
        return day % min(100, self.days) == min(100, self.days) // 2

    @property
    def _density(self) -> float:
        return min(_DENSER, max(1.0, 365 / self.days))

    def _chance(self, of: str) -> random.Random:
        return random.Random(f"{self.seed} {of}")


class SimulatedLogs(LogSource):
    """Log directory of a node: one log, renamed each midnight; `STAY` of the older files are there."""

    def __init__(self, cluster: str, node: str, lines: int, clock: Clock, failure: Failure) -> None:
        self._seed = f"{cluster} {node}"
        self._lines = lines
        self._clock = clock
        self._failure = failure if node == NODES[0] else Failure.NONE

    def list(self) -> Listing:
        if self._failure is Failure.UNREACHABLE:
            raise SourceUnreachable("the simulated node is away")
        today = self._today()
        return Listing(self._file(day) for day in range(max(0, today - STAY), today + 1))

    def open(self, name: str) -> SimulatedLog:
        for day in range(max(0, self._today() - STAY), self._today() + 1):
            if self._name(day) == name:
                if self._failure is Failure.UNREADABLE:
                    raise SourceUnreadable(f"{name!r}: the simulated disk fails")
                return SimulatedLog(self._file(day), lambda first, end, day=day: self._read(day, first, end))
        raise SourceVanished(name)

    def _today(self) -> int:
        return (self._clock.now_ms() - FIRST_MS) // DAY_MS

    def _name(self, day: int) -> str:
        return LOG if day == self._today() else f"es-{_date(day)}-1.log"

    def _file(self, day: int) -> LogFile:
        written = self._count(day)
        at = self.time(day, written - 1) if written else FIRST_MS + day * DAY_MS
        return LogFile(self._name(day), written * LINE, at * 1_000_000, at * 1_000_000, f"1:{day + 1}")

    def _count(self, day: int) -> int:
        """Return how many lines of a day are written by now."""
        passed = self._clock.now_ms() - FIRST_MS - day * DAY_MS
        return max(0, min(self._lines, passed * (self._lines + 1) // DAY_MS))

    def time(self, day: int, number: int) -> int:
        """Return when a line is written, Unix ms."""
        return FIRST_MS + day * DAY_MS + (number + 1) * DAY_MS // (self._lines + 1)

    def text_time(self, day: int, number: int) -> str:
        """Return the time that the line itself names."""
        return _text(self.time(day, number))

    def _read(self, day: int, first: int, end: int) -> bytes:
        return b"".join(self._line(day, number) for number in range(first, min(end, self._count(day))))

    def _line(self, day: int, number: int) -> bytes:
        head = f"[{self.text_time(day, number)}][INFO ][o.e.n.Node] [{self._seed}] {day}/{number} "
        return head.encode().ljust(LINE - 1, b"=") + b"\n"


class SimulatedLog:
    """One file, opened."""

    def __init__(self, file: LogFile, read: Callable[[int, int], bytes]) -> None:
        self._file = file
        self._read = read

    def stat(self) -> LogFile:
        return self._file

    def read_at(self, offset: int, length: int) -> bytes:
        first = offset // LINE
        data = self._read(first, -(-(offset + length) // LINE))
        return data[offset - first * LINE : offset - first * LINE + length]

    def close(self) -> None: ...


def source_url(cluster: str, node: str) -> str:
    return f"file:///simulated/{cluster}/{node}"


def names_of(url: str) -> tuple[str, str]:
    """Return cluster and node of such a URL."""
    _, _, cluster, node = urlsplit(url).path.split("/")
    return cluster, node


def line_of(data: bytes) -> Written:
    """Return which line it is."""
    day, _, number = data.rpartition(b"] ")[2].partition(b" ")[0].partition(b"/")
    return Written(int(day), int(number))


def all_lines(days: range, lines: int) -> set[Written]:
    """Return the lines that a node writes on some days."""
    return {Written(day, number) for day in days for number in range(lines)}


@lru_cache(4096)
def _text(at: int) -> str:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S},{moment.microsecond // 1000:03}"


@lru_cache(4096)
def _date(day: int) -> str:
    return f"{datetime.fromtimestamp((FIRST_MS + day * DAY_MS) / 1000, UTC):%Y-%m-%d}"
