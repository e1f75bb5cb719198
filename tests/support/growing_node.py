"""A node whose log grows at a constant pace: one line of the same length at a time, rotated after so many lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.rotation import SimulatedNode

SLOW = "es_index_search_slowlog.json"


class GrowingNode(SimulatedNode):
    """Keeps as many rotated files as `keep` says."""

    def __init__(
        self, directory: Path, family: str, *, lines: int, seconds: float, keep: int = 4, now_ms: int = 0
    ) -> None:
        super().__init__(directory)
        self.now = datetime.fromtimestamp(now_ms / 1000, UTC)
        self._name, self._lines, self._keep = family, lines, keep
        self._pace = timedelta(seconds=seconds)
        self._written = 0

    @property
    def now_ms(self) -> int:
        return round(self.now.timestamp() * 1000)

    def grow(self, lines: int = 1) -> None:
        for _ in range(lines):
            self.now += self._pace
            if self._written == self._lines:
                self._roll_over()
            self.write(self._name)
            self._written += 1

    def _roll_over(self) -> None:
        if "slowlog" in self._name:
            self.rotate(self._name, "index")
        else:
            self.rotate(self._name, "dated")
            while len(self.holds(self._name)) > self._keep + 1:
                self.rotate(self._name, "delete")
        self._written = 0

    def lost_since(self, start: int) -> bool:
        """Whether a byte from this place on is in no file any more."""
        return any(lost.end > start for lost in self.lost(self._name))

    def _line(self, family: str) -> bytes:
        return self._form(family, "INFO", "a line of the same length").encode() + b"\n"
