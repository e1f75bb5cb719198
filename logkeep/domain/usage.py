"""How much the archive takes: sums, how they grow, and a forecast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

DAY_MS = 24 * 60 * 60 * 1000
EVERY_DAY = 62  # so many days are kept each by itself; of older ones the last of each month
GROWTH_DAYS = 30  # over which the mean growth is taken, or fewer where less is known
LEAST_DAYS = 7  # below which no growth is told
FORECAST_DAYS = (30, 365)
_FIRST = date(1970, 1, 1)


class UsageBy(StrEnum):
    """What the rows of a table of usage are."""

    CLUSTER = "cluster"
    NODE = "node"
    LOG = "log"
    MONTH = "month"


class RequestKind(StrEnum):
    """Kind of a request to an object store; prices are told so."""

    PUT = "put"
    GET = "get"
    LIST = "list"
    DELETE = "delete"
    HEAD = "head"


@dataclass(frozen=True, slots=True)
class Sums:
    """What segments take."""

    raw: int = 0  # plain bytes
    stored: int = 0  # bytes in the bucket
    objects: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.raw + other.raw, self.stored + other.stored, self.objects + other.objects)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.raw - other.raw, self.stored - other.stored, self.objects - other.objects)


@dataclass(frozen=True, slots=True)
class IndexSize:
    """What the index objects of clusters take, with their signatures."""

    stored: int = 0  # bytes
    objects: int = 0

    def __add__(self, other: IndexSize) -> IndexSize:
        return IndexSize(self.stored + other.stored, self.objects + other.objects)


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What there was at the end of a day."""

    day: int  # since 1970, in UTC
    sums: Sums


@dataclass(frozen=True, slots=True)
class Growth:
    """Mean growth of the stored bytes."""

    per_day: float  # bytes; below zero where more was removed than stored
    days: int  # over which it is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """One row of a table of usage; '' and None where the table does not tell."""

    cluster_id: str = ""
    cluster: str = ""  # its name
    node: str = ""
    log: str = ""
    month: str = ""  # 2026-11
    sums: Sums = Sums()
    index: IndexSize | None = None
    requests: Mapping[RequestKind, int] | None = None  # of the month; of this one where the rows are clusters
    growth: Growth | None = None
    added: int | None = None  # stored bytes more than at the end of the month before


@dataclass(frozen=True, slots=True)
class Usage:
    """A page of a table of usage, the largest row first, months the newest first; and what all rows come to."""

    rows: Sequence[UsageRow]
    total: UsageRow
    rows_total: int  # rows of all pages
    at: int  # Unix ms
    days: Sequence[DayUsage] = field(default_factory=tuple[DayUsage, ...])  # oldest first, the last one is now


def day_of(moment: int) -> int:
    """Return the day of UTC of a moment in Unix ms, counted from 1970."""
    return moment // DAY_MS


def day_text(day: int) -> str:
    """Return `2026-11-24`."""
    return (_FIRST + timedelta(days=day)).isoformat()


def month_of(day: int) -> str:
    """Return `2026-11`."""
    return day_text(day)[:7]


def month_at(moment: int) -> str:
    """Return the month of UTC of a moment in Unix ms."""
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m")


def is_last_of_month(day: int) -> bool:
    return month_of(day) != month_of(day + 1)


def month_ends(first: int, last: int) -> list[int]:
    """Return the days from `first` to `last` that are the last of their month."""
    return [day for day in range(first, last + 1) if is_last_of_month(day)]


def is_kept(day: int, today: int, keep_days: int) -> bool:
    """Return whether what is known of a day is kept: each of the last ones, and the ends of months before."""
    age = today - day
    return age <= EVERY_DAY or (age <= keep_days and is_last_of_month(day))


def ends_of_days(
    now: Sums, added: Mapping[int, Sums], last: int | None, today: int, keep_days: int
) -> Iterator[DayUsage]:
    """Yield what a cluster had at the end of each day behind `last`, up to yesterday, oldest first.

    It is what there is now without what jobs `added` that began later; `last` is None where no day is recorded yet.
    """
    known = min(added, default=today) - 1  # before it nothing changed, as far as what is left tells
    first = last + 1 if last is not None else max(today - keep_days, min(known, today - 1))
    later = Sums()
    found: list[DayUsage] = []
    for day in range(today, first - 1, -1):
        if day < today and is_kept(day, today, keep_days):
            found.append(DayUsage(day, now - later))
        later += added.get(day, Sums())
    return reversed(found)


def measure_growth(first: DayUsage | None, last: DayUsage | None) -> Growth | None:
    """Return the mean daily growth from the end of one day to that of another; None where that is too short a time."""
    if first is None or last is None or last.day - first.day < LEAST_DAYS:
        return None
    days = last.day - first.day
    return Growth((last.sums.stored - first.sums.stored) / days, days)


def growth_of(days: Sequence[DayUsage], today: int) -> Growth | None:
    """Return the growth of the last `GROWTH_DAYS` that are over, or as many as are known; `days` are oldest first."""
    recent = [one for one in days if growth_begin(today) <= one.day < today]
    return measure_growth(recent[0], recent[-1]) if recent else None


def growth_begin(today: int) -> int:
    """Return the day from whose end on growth is measured."""
    return today - 1 - GROWTH_DAYS


def forecast(stored: int, growth: Growth, days: int) -> int:
    """Return how many bytes will be stored after so many days, if it goes on as before."""
    return max(0, round(stored + growth.per_day * days))


def ends_of_months(days: Iterable[DayUsage]) -> list[DayUsage]:
    """Return the last day of each month of these, which are oldest first."""
    ends = {month_of(one.day): one for one in days}
    return list(ends.values())


def add_index(sizes: Iterable[IndexSize | None]) -> IndexSize | None:
    """Return the sum of those that are known; None where none is."""
    known = [size for size in sizes if size is not None]
    return sum(known, IndexSize()) if known else None


def add_requests(counts: Iterable[Mapping[RequestKind, int]]) -> dict[RequestKind, int]:
    found = dict.fromkeys(RequestKind, 0)
    for one in counts:
        for kind, number in one.items():
            found[kind] += number
    return found
