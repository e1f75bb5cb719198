"""How the state of a policy is told to a person."""

from __future__ import annotations

import pytest

from logkeep.cli.client import Policy
from logkeep.cli.logs import _state_text
from logkeep.cli.texts import moment_text

AT = 1_795_000_000_000


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (Policy(False, state="ok", last_success=AT), "ok"),
        (Policy(False, state="off"), "off"),
        (Policy(False, state="never_ran"), "never_ran"),
        (Policy(False, state="stale", last_success=AT), f"stale: last success {moment_text(AT)}"),
        (Policy(False, state="stale"), "stale: no success so far"),
        (Policy(False, state="missed", missed=AT), f"missed: the run of {moment_text(AT)} started late"),
        (Policy(False, state="missed"), "missed: a run should have started by now"),
    ],
)
def test_the_state_says_what_shows_it(policy: Policy, told: str) -> None:
    assert _state_text(policy) == told
