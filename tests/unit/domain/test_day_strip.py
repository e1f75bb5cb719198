"""What the backups of each of the last days came to."""

from __future__ import annotations

from logkeep.domain.day_strip import DAY_MS, DayEnds, DaySpan, DayState, add_days, make_strip, span_of

SPAN = DaySpan(first=100, today=104, offset_ms=0)


def ended(day: int, kept_at: int | None, failed_at: int | None, begun_at: int | None = None) -> dict[int, DayEnds]:
    number = sum(at is not None for at in (kept_at, failed_at))
    return {day: DayEnds(number, int(failed_at is not None), kept_at, failed_at, begun_at or day * DAY_MS)}


def states(ends: dict[int, DayEnds], running: int | None = None, missed: tuple[int, ...] = ()) -> str:
    marks = {"none": ".", "kept": "k", "failed": "f", "missed": "m", "running": "r"}
    return "".join(marks[day.state] for day in make_strip(SPAN, ends, running, missed))


def test_the_last_job_of_a_day_says_what_it_came_to() -> None:
    assert states(ended(101, kept_at=2, failed_at=1)) == ".k..."
    assert states(ended(101, kept_at=1, failed_at=2)) == ".f..."
    assert states(ended(101, kept_at=2, failed_at=2)) == ".f..."


def test_a_day_on_which_a_job_was_under_way_is_not_missed() -> None:
    long = ended(103, kept_at=1, failed_at=None, begun_at=101 * DAY_MS + 1)
    assert states(long, missed=(100, 101, 102)) == "m..k."
    assert states({}, running=102 * DAY_MS, missed=(100, 101, 102, 103)) == "mmrrr"


def test_days_are_those_of_the_zone() -> None:
    now = 1_795_500_000_000  # 2026-11-24T06:00Z
    dates = {minutes: make_strip(span_of(now, 2, minutes), {}, None, ()) for minutes in (-420, 0, 840)}
    assert [dates[minutes][-1].date for minutes in (-420, 0, 840)] == ["2026-11-23", "2026-11-24", "2026-11-24"]
    assert [day.state for day in dates[0]] == [DayState.NONE] * 2
    assert span_of(now, 1, 840).since == 1_795_428_000_000  # 2026-11-23T10:00Z


def test_of_several_clusters_a_day_shows_the_worst() -> None:
    one = make_strip(SPAN, ended(101, kept_at=1, failed_at=None) | ended(103, kept_at=1, failed_at=None), None, ())
    other = make_strip(SPAN, ended(103, kept_at=None, failed_at=1), None, (101, 102))
    assert [day.state for day in add_days([one, other])] == ["none", "missed", "missed", "failed", "none"]
    assert [(day.jobs, day.failed) for day in add_days([one, other])][3] == (2, 1)
    assert add_days([]) == []
