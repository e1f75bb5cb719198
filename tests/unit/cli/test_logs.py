"""How the state of a policy is told to a person."""

from __future__ import annotations

import pytest

from logkeep.cli.logs import _run_fields, _state_text
from logkeep.cli.texts import moment_text
from logkeep.contract.native.job_responses import PolicyView

AT = 1_795_000_000_000


def told_policy(state: str, *, missed: int | None = None, last_success_at: int | None = None) -> PolicyView:
    return PolicyView(
        period=None,
        adaptive=False,
        next_run=None,
        state=state,
        since=None,
        missed=missed,
        last_success_at=last_success_at,
        next_runs=[],
    )


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (told_policy("ok", last_success_at=AT), "ok"),
        (told_policy("off"), "off"),
        (told_policy("never_ran"), "never_ran"),
        (told_policy("stale", last_success_at=AT), f"stale: last success {moment_text(AT)}"),
        (told_policy("stale"), "stale: no success so far"),
        (told_policy("missed", missed=AT), f"missed: the run of {moment_text(AT)} started late"),
        (told_policy("missed"), "missed: a run should have started by now"),
    ],
)
def test_the_state_says_what_shows_it(policy: PolicyView, told: str) -> None:
    assert _state_text(policy) == told


def test_runs_are_told_in_utc_and_in_the_zone_of_the_period() -> None:
    day = 86_400_000
    assert _run_fields([20_000 * day, 20_001 * day], "05:30 GMT+05:30") == [
        ("next runs", "2024-10-04 00:00 UTC, 2024-10-04 05:30 GMT+05:30"),
        ("", "2024-10-05 00:00 UTC, 2024-10-05 05:30 GMT+05:30"),
    ]
    assert _run_fields([20_000 * day], "16:00 GMT-0800")[0][1] == "2024-10-04 00:00 UTC, 2024-10-03 16:00 GMT-08:00"
    assert _run_fields([20_000 * day], "00:00 GMT+00:00") == [("next runs", "2024-10-04 00:00 UTC")]
    assert _run_fields([], None) == [("next runs", "none is foreseen")]
