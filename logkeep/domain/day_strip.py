"""The last days of a cluster, one state each: what its backups came to, day by day."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

DAY_MS = 24 * 60 * 60 * 1000
MOST_DAYS = 90
MOST_CLUSTERS = 100  # of which the days are read by one statement: 0.4 s with 3,000 jobs of each


class DayState(StrEnum):
    """What the backups of one day came to."""

    NONE = "none"  # no job ended, and none was due
    KEPT = "kept"  # the last job that ended succeeded: an earlier failure of the day was mended
    FAILED = "failed"  # the last job that ended failed
    MISSED = "missed"  # nothing ran, though a daily run was due
    RUNNING = "running"  # no job ended, as one was running that runs still


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a cluster."""

    date: str  # 2026-11-24
    state: DayState
    jobs: int  # that ended
    failed: int  # of them

    @property
    def mended(self) -> bool:
        """Return whether something failed, and what ended after it succeeded."""
        return self.state is DayState.KEPT and self.failed > 0


@dataclass(frozen=True, slots=True)
class DayEnds:
    """The jobs that ended on one day; times are Unix ms."""

    jobs: int
    failed: int
    kept_at: int | None  # the last end of one that succeeded
    failed_at: int | None
    begun_at: int  # when the first of them began, on that day or before

    @property
    def state(self) -> DayState:
        """Return what the last one came to; of two that ended in one millisecond, the failure counts."""
        failed = self.failed_at is not None and (self.kept_at is None or self.failed_at >= self.kept_at)
        return DayState.FAILED if failed else DayState.KEPT

    def after(self, earlier: DayEnds) -> DayEnds:
        """Return the day with the jobs of `earlier` as well, which ended before these."""
        return DayEnds(
            jobs=self.jobs + earlier.jobs,
            failed=self.failed + earlier.failed,
            kept_at=earlier.kept_at if self.kept_at is None else self.kept_at,
            failed_at=earlier.failed_at if self.failed_at is None else self.failed_at,
            begun_at=earlier.begun_at,
        )


@dataclass(frozen=True, slots=True)
class DaySpan:
    """The days of a strip, as numbers of days since 1970 in a zone of fixed offset."""

    first: int
    today: int
    offset_ms: int

    @property
    def since(self) -> int:
        """Return when the first day begins (Unix ms)."""
        return self.start_of(self.first)

    @property
    def until(self) -> int:
        """Return when today ends (Unix ms)."""
        return self.start_of(self.today + 1)

    def start_of(self, day: int) -> int:
        return day * DAY_MS - self.offset_ms

    def day_of(self, moment: int) -> int:
        return (moment + self.offset_ms) // DAY_MS

    def numbers(self) -> range:
        return range(self.first, self.today + 1)


def span_of(now: int, days: int, offset_minutes: int) -> DaySpan:
    """Return the last `days` days, today the last of them."""
    offset_ms = offset_minutes * 60_000
    today = (now + offset_ms) // DAY_MS
    return DaySpan(today - days + 1, today, offset_ms)


def make_strip(
    span: DaySpan, ends: Mapping[int, DayEnds], running_since: int | None, missed: Collection[int]
) -> list[Day]:
    """Return the days of a cluster, oldest first. `ends` and `missed` are by number of day.

    A day on which a job was under way without ending is not missed, whatever is said of it.
    """
    under_way = {day for number, one in ends.items() for day in _before(span, one.begun_at, number)}
    runs_on = span.today + 1 if running_since is None else span.day_of(running_since)
    return [_day(number, ends.get(number), under_way, number >= runs_on, number in missed) for number in span.numbers()]


def _before(span: DaySpan, begun_at: int, ended_on: int) -> range:
    """Return the days of the strip on which a job was under way before the one on which it ended."""
    return range(max(span.first, span.day_of(begun_at)), ended_on)


def _day(number: int, ends: DayEnds | None, under_way: Collection[int], runs: bool, missed: bool) -> Day:
    date = datetime.fromtimestamp(number * DAY_MS / 1000, UTC).strftime("%Y-%m-%d")
    if ends:
        return Day(date, ends.state, ends.jobs, ends.failed)
    if runs:
        return Day(date, DayState.RUNNING, 0, 0)
    state = DayState.MISSED if missed and number not in under_way else DayState.NONE
    return Day(date, state, 0, 0)


# Of several clusters a day shows what needs a look first.
_WORST_FIRST = (DayState.FAILED, DayState.MISSED, DayState.RUNNING, DayState.KEPT, DayState.NONE)


def add_days(strips: Iterable[Sequence[Day]]) -> list[Day]:
    """Return the strips of several clusters as one: of each day the worst state, and all its jobs."""
    return [
        Day(
            days[0].date,
            min((one.state for one in days), key=_WORST_FIRST.index),
            sum(one.jobs for one in days),
            sum(one.failed for one in days),
        )
        for days in zip(*strips, strict=True)
    ]
