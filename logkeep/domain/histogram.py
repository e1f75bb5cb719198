"""Counts of records over time: intervals, and what an answer holds of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_WRITTEN = len("2026-11-24T06:40:21,123")


class Interval(StrEnum):
    """Part of a time, as a log writes it, that a count is of."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> int:
        """Characters of a time as far as the interval goes."""
        return {Interval.MINUTE: 16, Interval.HOUR: 13, Interval.DAY: 10}[self]

    def cut(self, time: str) -> str:
        """Return a time of a log down to the interval, with its zone; '' of an unknown one."""
        return time[: self.length] + time[_WRITTEN:]

    def begin(self, cut: str) -> str:
        """Return the first time of an interval, as a log would write it; '' for the one of unknown times."""
        return cut[: self.length] + "0001-01-01T00:00:00,000"[self.length :] + cut[self.length :] if cut else ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Records of an interval, or lines of these that match."""

    time: str  # as `Interval.cut` gives it
    levels: dict[str, int]  # by name; '' of records that show none
