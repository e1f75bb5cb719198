"""Counts of records by interval and level, as they come in from tables, frames and lines. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

import numpy as np

from logkeep.domain.histogram import Bucket, Interval
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Place, Span
from logkeep.errors import InvalidField
from logkeep.logformat.minutes import MinuteCounts, write_minute

_MOST_COUNTS = 200_000  # of an answer; a level in an interval has one


class Tally:
    """Takes counts of records, in any order."""

    def __init__(self, interval: Interval, wanted: RecordFilter) -> None:
        self._interval = interval
        self._levels = wanted.levels
        self._counts: dict[tuple[str, str], int] = {}
        self.total = 0

    def add(self, time: str, level: str | None, count: int = 1) -> None:
        """Count records of a time as a log writes it. Raises `InvalidField` where there are too many intervals."""
        self._add(self._interval.cut(time), level or "", count)

    def add_minutes(self, counts: MinuteCounts) -> None:
        """Count the records of these that have a level that is wanted. Raises as `add`."""
        if not len(counts.minutes):
            return
        size = {Interval.MINUTE: 1, Interval.HOUR: 60, Interval.DAY: 1500}[self._interval]
        keys = counts.minutes // size * len(counts.kinds) + counts.of
        found, places = np.unique(keys, return_inverse=True)
        sums = np.bincount(places, counts.counts).astype(np.int64)
        numbers, kinds = np.divmod(found, len(counts.kinds))
        for number, of_number in groupby(
            zip(numbers.tolist(), kinds.tolist(), sums.tolist(), strict=True), lambda entry: entry[0]
        ):
            begin = write_minute(number * size)[: self._interval.length]
            for _, kind, count in of_number:
                zone, level = counts.kinds[kind]
                if not self._levels or level in self._levels:
                    self._add(begin + zone, level, count)

    def _add(self, cut: str, level: str, count: int) -> None:
        self.total += count
        self._counts[cut, level] = self._counts.get((cut, level), 0) + count
        if len(self._counts) > _MOST_COUNTS:
            raise InvalidField(
                "histogram",
                f"more than {_MOST_COUNTS:,} counts would be given; ask for a larger interval, or a shorter span",
            )

    def buckets(self, order: Callable[[str], float]) -> Iterator[Bucket]:
        """Yield what was counted, by the place of the begin of each interval in `order`."""
        found: dict[str, dict[str, int]] = {}
        for (cut, level), count in self._counts.items():
            found.setdefault(cut, {})[level] = count
        places = {cut: order(self._interval.begin(cut)) for cut in found}
        for cut in sorted(found, key=lambda cut: (places[cut], cut)):
            yield Bucket(cut, dict(sorted(found[cut].items())))


def take_span(counts: MinuteCounts, span: Span) -> MinuteCounts | None:
    """Return the counts of the minutes in a span; None if it cuts one of them."""
    taken = np.zeros(len(counts.minutes), np.bool_)
    places: dict[tuple[int, str], Place] = {}
    for at, (number, kind) in enumerate(zip(counts.minutes.tolist(), counts.of.tolist(), strict=True)):
        key = number, counts.kinds[kind][0]
        place = places.get(key)
        if place is None:
            minute = write_minute(number)
            place = places[key] = span.place(f"{minute}:00,000{key[1]}", f"{minute}:59,999{key[1]}")
        if place is Place.UNCLEAR:
            return None
        taken[at] = place is Place.INSIDE
    return MinuteCounts(counts.kinds, counts.minutes[taken], counts.of[taken], counts.counts[taken])
