"""The bars of logs: where on the axis each part lies."""

from __future__ import annotations

from logkeep.domain.coverage import LogCoverage, ReportedGap
from logkeep.domain.coverage_bar import DAY_MS, Axis, Part, PartKind, draw_bar, find_axis
from logkeep.domain.instant import instant
from logkeep.domain.manifest import Gap

NOW = round(instant("2026-11-11T00:00:00,000") * 1000)
AXIS = Axis(NOW - 10 * DAY_MS, NOW)


def gap(after: str, until: str) -> ReportedGap:
    return ReportedGap(Gap("n1", "es.log", after, until, 0, "why"), "job")


def day(number: int) -> str:
    return f"2026-11-{number:02}T00:00:00,000"


def log(first: str = "", last: str = "", *gaps: ReportedGap) -> LogCoverage:
    return LogCoverage("n1", "es.log", first_time=first, last_time=last, gaps=gaps)


def drawn(one: LogCoverage) -> list[tuple[PartKind, float, float]]:
    return [(part.kind, round(part.x, 2), round(part.width, 2)) for part in draw_bar(one, AXIS, one.gaps)]


def test_what_is_held_and_what_came_after_it() -> None:
    assert drawn(log(day(3), day(8))) == [(PartKind.HELD, 20, 50), (PartKind.OPEN, 70, 30)]


def test_a_gap_lies_over_what_is_held() -> None:
    parts = drawn(log(day(1), day(11), gap(day(4), day(6))))
    assert parts == [(PartKind.HELD, 0, 100), (PartKind.GAP, 30, 20)]


def test_a_gap_of_which_one_end_is_known_is_shown_there_and_one_without_a_time_is_not() -> None:
    parts = drawn(log("", "", gap(day(4), ""), gap("", day(6)), gap("", "")))
    assert parts == [(PartKind.GAP, 30, 0.4), (PartKind.GAP, 50, 0.4)]


def test_what_lies_beyond_the_axis_is_cut_off() -> None:
    assert drawn(log("2025-01-01T00:00:00,000", "2099-01-01T00:00:00,000")) == [(PartKind.HELD, 0, 100)]
    assert drawn(log("2025-01-01T00:00:00,000", "2025-02-01T00:00:00,000")) == [(PartKind.OPEN, 0, 100)]


def test_no_part_leaves_the_bar() -> None:
    parts: list[Part] = draw_bar(log(day(11), day(11)), AXIS, [gap(day(11), day(11))])
    assert all(part.x >= 0 and part.x + part.width <= 100 for part in parts)


def test_the_axis_goes_from_the_oldest_time_until_now() -> None:
    logs = [log(day(5), day(6)), log(), log(day(7), day(8), gap(day(2), day(3)))]
    assert find_axis(logs, NOW) == Axis(NOW - 9 * DAY_MS, NOW)
    assert find_axis([log()], NOW) == Axis(NOW - DAY_MS, NOW)
    assert find_axis([log("9999-12-31T23:59:59,999", "")], NOW).end == NOW
    assert find_axis([log("0001-01-01T00:00:00,000", "")], NOW).begin == 0


def test_the_axis_is_written_by_days_or_by_hours() -> None:
    assert [text for _, text in AXIS.ticks] == ["2026-11-01", "2026-11-04", "2026-11-07", "2026-11-11"]
    assert Axis(NOW - DAY_MS, NOW).ticks[0][1] == "11-10 00:00"
