"""Spans of time as a person writes them, compared with times as logs write them."""

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
_NO_DAY = re.compile(rf"(?!{DAY})[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?![0-9])")
_MIDNIGHT = "00:00:00,000"
_WRITTEN = 23  # length of yyyy-MM-ddTHH:mm:ss,SSS; a zone may follow


@dataclass(frozen=True, slots=True)
class Moment:
    """Bound of a span; an instant if it was written with a zone."""

    written: str  # yyyy-MM-ddTHH:mm:ss,SSS
    instant: datetime | None = None

    def is_after(self, time: str) -> bool:
        """Return whether `time`, as a log writes it, is earlier; compared as text if either has no zone."""
        if self.instant and len(time) > _WRITTEN:
            return datetime.fromisoformat(time) < self.instant
        return time[:_WRITTEN] < self.written


def read_moment(text: str) -> Moment:
    """Parse `2026-11-24`, `2026-11-24T06:40` or `2026-11-24T06:40:21,123+08:00`. Raises `ValueError`."""
    found = _PARTS.fullmatch(text)
    if not found:
        if impossible := _NO_DAY.match(text):
            raise ValueError(f"the calendar has no {impossible[0]}")
        raise ValueError("write it as 2026-11-24, 2026-11-24T06:40 or 2026-11-24T06:40:21,123, with or without a zone")
    clock = (found["clock"] or "").replace(".", ",")
    written = f"{found['day']}T{clock}{_MIDNIGHT[len(clock) :]}"
    try:
        instant = datetime.fromisoformat(written + (found["zone"] or ""))
    except ValueError:
        raise ValueError(f"the calendar has no {found['day']}") from None
    return Moment(written, instant if found["zone"] else None)


class Place(Enum):
    """Position of a frame's records relative to a span."""

    OUTSIDE, INSIDE, UNCLEAR = range(3)


@dataclass(frozen=True, slots=True)
class Span:
    """Time from `since` on and before `until`; None for no bound."""

    since: Moment | None = None
    until: Moment | None = None

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None

    @property
    def is_reversed(self) -> bool:
        """Return whether it begins after its end; if only one bound has a zone, as both are written."""
        if self.since is None or self.until is None:
            return False
        if self.since.instant and self.until.instant:
            return self.since.instant > self.until.instant
        return self.since.written > self.until.written

    def holds(self, time: str) -> bool:
        """Return whether the span contains `time`, as a log writes it."""
        if self.since is not None and self.since.is_after(time):
            return False
        return self.until is None or self.until.is_after(time)

    def place(self, first: str, last: str) -> Place:
        """Return where records lie whose times are from `first` to `last`, in one zone; '' if unknown."""
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
