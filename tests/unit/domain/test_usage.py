"""The rules of usage: which days are recorded, and growth and forecast from them."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.domain.usage import (
    EVERY_DAY,
    DayUsage,
    Growth,
    RequestKind,
    Sums,
    UsageRow,
    day_text,
    ends_of_days,
    ends_of_months,
    forecast,
    growth_of,
    is_kept,
    is_last_of_month,
    month_ends,
)
from logkeep.domain.usage_table import HEADS, csv_lines

TODAY = (date(2026, 11, 24) - date(1970, 1, 1)).days
KEEP = 400
sums = st.builds(Sums, st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 1000))


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(TODAY - 500, TODAY), sums, max_size=40),
    st.none() | st.integers(TODAY - 500, TODAY - 1),
    sums,
)
def test_each_day_that_is_kept_ends_with_what_jobs_until_then_stored(
    stored: dict[int, Sums], last: int | None, older: Sums
) -> None:
    now = sum(stored.values(), older)
    since = TODAY - KEEP if last is None else last + 1
    found = list(ends_of_days(now, {day: one for day, one in stored.items() if day >= since}, last, TODAY, KEEP))
    assert [one.day for one in found] == sorted({one.day for one in found})
    for one in found:
        assert one.sums == sum((each for day, each in stored.items() if day <= one.day), older)
        assert is_kept(one.day, TODAY, KEEP)
    begin = found[0].day if found and last is None else since
    assert [one.day for one in found] == [day for day in range(begin, TODAY) if is_kept(day, TODAY, KEEP)]
    if last is None:
        assert found[-1].day == TODAY - 1  # something is recorded of a cluster that is empty, too


def test_of_old_days_only_the_ends_of_months_are_kept() -> None:
    kept = [day for day in range(TODAY - 800, TODAY) if is_kept(day, TODAY, KEEP)]
    old = [day_text(day) for day in kept if day < TODAY - EVERY_DAY]
    assert (old[0], old[-1], len(old)) == ("2025-10-31", "2026-08-31", 11)
    assert len(kept) == EVERY_DAY + len(old)
    assert month_ends(TODAY - 30, TODAY) == [day for day in range(TODAY - 30, TODAY + 1) if is_last_of_month(day)]


def series(*stored: int, last: int = TODAY - 1) -> list[DayUsage]:
    return [DayUsage(last - len(stored) + 1 + at, Sums(0, one, 0)) for at, one in enumerate(stored)]


def test_growth_is_the_mean_of_the_last_thirty_days_that_are_over() -> None:
    days = series(*range(0, 6000, 100))  # sixty days
    assert growth_of(days, TODAY) == Growth(100.0, 30)
    assert growth_of([*days, DayUsage(TODAY, Sums(0, 10**9, 0))], TODAY) == Growth(100.0, 30)  # today is not over
    assert growth_of(series(0, 0, 0, 70, 70, 70, 70, 140), TODAY) == Growth(20.0, 7)


def test_growth_of_too_few_or_too_old_days_is_not_known() -> None:
    assert growth_of([], TODAY) is None
    assert growth_of(series(1, 2, 3, 4, 5, 6, 7), TODAY) is None
    assert growth_of(series(*range(10), last=TODAY - 40), TODAY) is None


def test_a_forecast_never_falls_below_nothing() -> None:
    assert [forecast(1000, Growth(rate, 30), 30) for rate in (10.0, 0.0, -50.0)] == [1300, 1000, 0]


def test_a_month_ends_with_its_last_day_that_is_known() -> None:
    days = series(*range(50))
    assert [(day_text(one.day), one.sums.stored) for one in ends_of_months(days)] == [
        ("2026-10-31", 26),
        ("2026-11-23", 49),
    ]


def test_csv_has_a_cell_for_each_head_and_computes_nothing() -> None:
    row = UsageRow(
        cluster="=1+1", cluster_id="c", log="prod.log", sums=Sums(3, 2, 1), requests={RequestKind.PUT: 5}, added=-7
    )
    heads, line = csv_lines([row])
    assert heads.rstrip("\r\n").split(",") == list(HEADS)
    assert line == "'=1+1,c,,prod.log,,3,2,1,,,5,0,0,0,0,,'-7\r\n"
