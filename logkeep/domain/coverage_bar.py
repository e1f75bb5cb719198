"""Bars that show of each log which span of time is held, on one axis for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from logkeep.domain.coverage import LogCoverage, ReportedGap
from logkeep.domain.instant import instant

DAY_MS = 86_400_000
_LEAST_SPAN_MS = 60_000
_LEAST_WIDTH = 0.4  # percent, which can be seen
_PARTS_OF_AXIS = 3


@dataclass(frozen=True, slots=True)
class Axis:
    """Span of time that all bars share, in Unix ms."""

    begin: int
    end: int

    def place(self, moment: int) -> float:
        """Return where a moment lies, in percent; what lies beyond an end is put at it."""
        return min(max(100.0 * (moment - self.begin) / (self.end - self.begin), 0.0), 100.0)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Return places on the axis, in percent, and their times in UTC."""
        written = "%Y-%m-%d" if self.end - self.begin > _PARTS_OF_AXIS * DAY_MS else "%m-%d %H:%M"
        found: list[tuple[float, str]] = []
        for number in range(_PARTS_OF_AXIS + 1):
            moment = self.begin + (self.end - self.begin) * number // _PARTS_OF_AXIS
            found.append(
                (100.0 * number / _PARTS_OF_AXIS, datetime.fromtimestamp(moment / 1000, UTC).strftime(written))
            )
        return found


class PartKind(StrEnum):
    """What a part of a bar tells."""

    HELD = "held"
    OPEN = "open"  # since the newest line that is held: what came after it is on the node only
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a bar, in percent of the axis."""

    kind: PartKind
    x: float
    width: float
    gap: ReportedGap | None = None


def find_axis(logs: Iterable[LogCoverage], now: int, since: int | None = None) -> Axis:
    """Return the axis from `since`, or the oldest line of these logs, until now (Unix ms)."""
    if since is None:
        times = [time for log in logs for time in (log.first_time, *(told.gap.after for told in log.gaps))]
        since = min((moment for time in times if (moment := _moment(time)) is not None), default=now - DAY_MS)
    return Axis(max(0, min(since, now - _LEAST_SPAN_MS)), now)


def draw_bar(log: LogCoverage, axis: Axis, gaps: Sequence[ReportedGap]) -> list[Part]:
    """Return the parts of the bar of a log: what is held, these gaps in it, and what is not held yet."""
    first, last = _moment(log.first_time), _moment(log.last_time)
    if first is None or last is None:
        return [part for told in gaps if (part := _draw_gap(told, axis))]
    parts = [_part(PartKind.HELD, first, last, axis), _part(PartKind.OPEN, last, axis.end, axis)]
    return [part for part in (*parts, *(_draw_gap(told, axis) for told in gaps)) if part]


def _draw_gap(told: ReportedGap, axis: Axis) -> Part | None:
    """Return where a gap lies; one of which one end is known only is shown there."""
    after, until = _moment(told.gap.after), _moment(told.gap.until)
    begin, end = (after if after is not None else until), (until if until is not None else after)
    return None if begin is None or end is None else _part(PartKind.GAP, begin, end, axis, told)


def _part(kind: PartKind, begin: int, end: int, axis: Axis, gap: ReportedGap | None = None) -> Part | None:
    if end < axis.begin or begin > axis.end or (kind is PartKind.OPEN and end <= begin):
        return None
    x = axis.place(begin)
    width = max(axis.place(end) - x, _LEAST_WIDTH)
    return Part(kind, min(x, 100.0 - width), width, gap)


def _moment(time: str) -> int | None:
    """Return a time of a log as Unix ms; None where it has none that a calendar holds."""
    try:
        return round(instant(time) * 1000) if time else None
    except (ValueError, OverflowError):
        return None
