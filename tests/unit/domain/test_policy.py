"""When a cluster starts, and how well its policy is kept."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from logkeep.domain.log_setting import parse_period
from logkeep.domain.policy import (
    FORESEEN,
    LATE_MS,
    PolicyHistory,
    PolicyRules,
    PolicyState,
    foresee_runs,
    judge_policy,
    missed_moments,
    next_start,
    next_starts,
    spread,
)

HOUR = 3_600_000
DAY = 24 * HOUR
STALE = PolicyRules().stale_ms

moments = st.integers(0, 4_000_000_000_000)
windows = st.integers(0, 12 * HOUR)
ids = st.uuids().map(str)
periods = st.builds(
    "{:02}:{:02} GMT{}{:02}:{:02}".format,
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from("+-"),
    st.integers(0, 11),
    st.sampled_from([0, 30, 45]),
)
runs = st.builds(PolicyHistory, moments, moments, st.none() | moments, st.booleans(), st.none() | moments)


@given(periods, ids, moments, windows)
def test_no_run_starts_before_its_moment_nor_after_the_window(period: str, cluster: str, now: int, window: int) -> None:
    start = next_start(period, cluster, now, window)
    moment = parse_period(period).next_due(now)
    assert now < moment <= start <= moment + window
    assert start < moment + max(1, window)


@given(periods, ids, moments, windows)
def test_a_cluster_starts_once_a_day_at_the_same_time(period: str, cluster: str, now: int, window: int) -> None:
    first = next_start(period, cluster, now, window)
    assert next_start(period, cluster, first, window) == first + DAY


@given(periods, ids, moments, windows, windows)
def test_another_window_neither_repeats_nor_skips_a_day(
    period: str, cluster: str, now: int, window: int, later: int
) -> None:
    first = next_start(period, cluster, now, window)
    second = next_start(period, cluster, first, later)
    moments = [parse_period(period).last_due(start) for start in (first, second)]
    assert moments[1] - moments[0] == DAY


@given(periods, ids, moments, windows)
def test_the_next_runs_are_those_that_start_one_after_the_other(
    period: str, cluster: str, now: int, window: int
) -> None:
    starts, after = [], now
    for _ in range(7):
        after = next_start(period, cluster, after, window)
        starts.append(after)
    assert next_starts(period, cluster, now, window, 7) == starts
    assert next_starts(period, cluster, now, window, 0) == []


def test_an_extra_run_is_told_among_the_daily_ones() -> None:
    daily = "00:00 GMT+00:00", "c"
    assert foresee_runs(*daily, DAY, None, 0, 0) == (DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY)
    assert foresee_runs(*daily, DAY, 2 * DAY - 1, 0, 0) == (DAY, 2 * DAY - 1, 2 * DAY, 3 * DAY, 4 * DAY)
    assert foresee_runs(None, "c", None, 9, 0, 0) == (9,)
    assert foresee_runs(None, "c", None, None, 0, 0) == ()


@given(periods, ids, moments, moments, windows)
def test_after_a_run_that_is_late_the_daily_ones_go_on(
    period: str, cluster: str, set_at: int, now: int, window: int
) -> None:
    due = next_start(period, cluster, set_at, window)
    runs = foresee_runs(period, cluster, due, None, now, window)
    assert runs[0] == max(due, now)
    assert list(runs[1:]) == next_starts(period, cluster, runs[0], window, FORESEEN - 1)


def test_ten_thousand_clusters_fill_the_window_evenly() -> None:
    seconds = Counter(spread(str(UUID(int=number)), 600_000) // 1000 for number in range(10_000))
    assert len(seconds) == 600
    assert max(seconds.values()) < 50  # 17 on average


@given(runs, moments)
def test_one_state_holds_and_its_reason_is_true(known: PolicyHistory, now: int) -> None:
    state = judge_policy(known, now, STALE)
    # What lies more than two hours ahead was written while the clock was wrong.
    past = [at for at in (known.since, known.last_success) if at is not None and at <= now + 2 * HOUR]
    old = now - max(past, default=-STALE - 1) > STALE
    late = known.missed_at is not None or now - known.due_at > LATE_MS
    assert state is not PolicyState.OFF
    assert (state is PolicyState.STALE) == old
    assert (state is PolicyState.MISSED) == (late and not old)
    assert (state is PolicyState.NEVER_RAN) == (not (known.ran or late or old))


@given(runs, moments, st.integers(0, DAY))
def test_a_policy_that_nobody_serves_only_gets_worse(known: PolicyHistory, now: int, later: int) -> None:
    order = [PolicyState.OK, PolicyState.NEVER_RAN, PolicyState.MISSED, PolicyState.STALE]
    assume(max(known.since, known.last_success or 0) <= now)
    before, after = (order.index(judge_policy(known, at, STALE)) for at in (now, now + later))
    assert after >= before


@given(periods, ids, moments, windows)
def test_a_policy_that_is_served_on_time_is_never_bad(period: str, cluster: str, now: int, window: int) -> None:
    """Each run takes an hour and succeeds; looked at just before it starts, and just before it ends."""
    due = next_start(period, cluster, now, window)
    known = PolicyHistory(now, due, None, False, None)
    assert judge_policy(known, due, 26 * HOUR + window) is PolicyState.NEVER_RAN
    for day in range(3):
        start = due + day * DAY
        success = start - DAY + HOUR if day else None
        known = PolicyHistory(now, start + DAY, None, True, success)
        assert judge_policy(known, start + HOUR, 26 * HOUR + window) is PolicyState.OK


def test_a_cluster_without_a_policy_is_off() -> None:
    assert judge_policy(None, 0, STALE) is PolicyState.OFF


@pytest.mark.parametrize(
    ("late_ms", "missed"),
    [(0, []), (LATE_MS, []), (LATE_MS + 1, [0]), (DAY + LATE_MS, [0]), (DAY + LATE_MS + 1, [0, 1])],
)
def test_each_daily_moment_is_missed_once_it_is_late(late_ms: int, missed: list[int]) -> None:
    due_at = 1_796_083_200_000
    assert list(missed_moments(due_at, due_at + late_ms)) == [due_at + day * DAY for day in missed]


def test_of_years_of_missed_moments_the_newest_are_told() -> None:
    moments = missed_moments(0, 3000 * DAY + LATE_MS + 1)
    assert (len(moments), moments[-1]) == (366, 3000 * DAY)
    assert len(missed_moments(5 * DAY, 0)) == 0
