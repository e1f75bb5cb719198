"""A span of time as a person writes it, held against times as logs write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

DAY = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]{3})?)?"
ZONE = r"(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)"
MOMENT = f"{DAY}(T{CLOCK}{ZONE}?)?"

_PARTS = re.compile(f"(?P<day>{DAY})(T(?P<clock>{CLOCK})(?P<zone>{ZONE})?)?")
_MIDNIGHT = "00:00:00,000"
_WRITTEN = 23  # characters of yyyy-MM-ddTHH:mm:ss,SSS; a zone follows them


@dataclass(frozen=True, slots=True)
class Moment:
    """A bound of a span; an instant where it has a zone."""

    written: str  # yyyy-MM-ddTHH:mm:ss,SSS
    instant: datetime | None = None

    def is_after(self, time: str) -> bool:
        """Whether `time`, as a log writes it, comes before; by what is written where one of the two has no zone."""
        if self.instant and len(time) > _WRITTEN:
            return datetime.fromisoformat(time) < self.instant
        return time[:_WRITTEN] < self.written


def read_moment(text: str) -> Moment:
    """`2026-11-24`, `2026-11-24T06:40`, `2026-11-24T06:40:21,123+08:00`. Raises `ValueError`."""
    found = _PARTS.fullmatch(text)
    if not found:
        raise ValueError("write it as 2026-11-24, 2026-11-24T06:40 or 2026-11-24T06:40:21,123, with or without a zone")
    clock = (found["clock"] or "").replace(".", ",")
    written = f"{found['day']}T{clock}{_MIDNIGHT[len(clock) :]}"
    try:
        instant = datetime.fromisoformat(written + (found["zone"] or ""))
    except ValueError:
        raise ValueError(f"the calendar has no {found['day']}") from None
    return Moment(written, instant if found["zone"] else None)


class Place(Enum):
    """Where the records of a frame lie."""

    OUTSIDE, INSIDE, UNCLEAR = range(3)


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` on, and before `until`; None for no bound."""

    since: Moment | None = None
    until: Moment | None = None

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None

    @property
    def is_of_instants(self) -> bool:
        """Whether each bound has a zone."""
        return all(bound is None or bound.instant for bound in (self.since, self.until))

    def holds(self, time: str) -> bool:
        if self.since is not None and self.since.is_after(time):
            return False
        return self.until is None or self.until.is_after(time)

    def place(self, first: str, last: str) -> Place:
        """Of records with no other times than from `first` to `last`, all in one zone; '' where nothing is known."""
        if not first or not last:
            return Place.UNCLEAR
        early = self.since is not None and self.since.is_after(first)
        late = self.until is not None and not self.until.is_after(last)
        if not early and not late:
            return Place.INSIDE
        if (self.since is not None and self.since.is_after(last)) or (
            self.until is not None and not self.until.is_after(first)
        ):
            return Place.OUTSIDE
        return Place.UNCLEAR
