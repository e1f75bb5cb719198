"""Which records of a log are wanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from logkeep.domain.manifest import Frame
from logkeep.domain.span import Place, Span

_EVER = Span()


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Records of a span of time, and of some levels; without levels those that show none too."""

    span: Span = _EVER
    levels: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.span or self.levels)

    def holds(self, time: str, level: str | None) -> bool:
        """Return whether a record with this head is wanted."""
        return self.span.holds(time) and (not self.levels or level in self.levels)

    def place(self, first: str, last: str, levels: Collection[str] | None) -> Place:
        """Return whether all or none are wanted of records as a frame tells of them; see `annotate`."""
        if not self:
            return Place.INSIDE
        place = self.span.place(first, last) if self.span else Place.INSIDE
        if place is Place.OUTSIDE or not self.levels:
            return place
        if levels is None:
            return Place.UNCLEAR
        if self.levels.isdisjoint(levels):
            return Place.OUTSIDE
        return place if self.levels.issuperset(levels) else Place.UNCLEAR


def place_of(frame: Frame, wanted: RecordFilter) -> Place:
    """Return whether all or none are wanted of the records that begin in a frame."""
    return wanted.place(frame.first_time, frame.last_time, frame.levels)
