"""Hits on their way from the order in which they are found to the order in which they are told. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from logkeep.domain.archive_search import ArchiveQuery, Hit, Position

_HELD = 8 * 1024 * 1024  # characters of lines that wait for their turn
_OF_EACH = 512  # characters' worth of a hit besides its line


class HitOrder:
    """Holds hits until none that comes before them can be found any more."""

    def __init__(self, query: ArchiveQuery) -> None:
        self._after = query.after
        self._left = query.limit
        self._waiting: list[tuple[Position, Hit]] = []
        self._sorted = True
        self._size = 0
        self._edge: Position | None = None  # of the first that was left out
        self.last = query.after  # the last one that was told

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def left_out(self) -> bool:
        """Return whether some were found that are not told, as there were too many."""
        return self._edge is not None

    @property
    def can_go_on(self) -> bool:
        """Return whether fewer are told than are asked for, as no more could be held at a time."""
        return self._edge is not None and self._left > 0

    def go_on(self) -> None:
        """Take what comes behind the last one that was told, in another pass."""
        self._after, self._edge = self.last, None

    def takes(self, position: Position) -> bool:
        """Return whether a hit of this place may still be told."""
        return position > self._after and (self._edge is None or position < self._edge)

    def add(self, position: Position, hit: Hit) -> None:
        """Take a hit, unless it is one of those before the search goes on, or too many come before it."""
        if not self.takes(position):
            return
        self._waiting.append((position, hit))
        self._size += len(hit.text) + _OF_EACH
        self._sorted = False
        if len(self._waiting) > 2 * self._left or self._size > 2 * _HELD:
            self._leave_out()

    def before(self, time: float) -> Iterator[Hit]:
        """Yield the hits that come before a time, in their order."""
        self._leave_out()
        told = 0
        for position, hit in self._waiting:
            if position.time >= time:
                break
            told, self.last = told + 1, position
            self._size -= len(hit.text) + _OF_EACH
            yield hit
        self._left -= told
        del self._waiting[:told]

    def has_ended(self, time: float) -> bool:
        """Return whether nothing from this time on will be told."""
        return self._edge is not None and time > self._edge.time

    def _leave_out(self) -> None:
        """Sort, and leave out what comes behind as many as are asked for or as can be held."""
        if not self._sorted:
            self._waiting.sort(key=_position)
            self._sorted = True
        while self._waiting and (len(self._waiting) > self._left or (self._size > _HELD and len(self._waiting) > 1)):
            self._edge, hit = self._waiting.pop()
            self._size -= len(hit.text) + _OF_EACH


def _position(one: tuple[Position, Hit]) -> Position:
    return one[0]
