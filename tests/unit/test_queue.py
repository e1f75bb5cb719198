"""In which order jobs are taken from the queue."""

from __future__ import annotations

from logkeep.work.queue import _priority

NOW = 1_795_000_000.0


def test_what_a_user_starts_goes_before_what_policies_started_within_the_hour() -> None:
    assert _priority(NOW, True) < _priority(NOW, False)
    assert _priority(NOW, True) < _priority(NOW - 3500, False)


def test_what_a_policy_started_does_not_wait_for_ever_behind_users() -> None:
    assert _priority(NOW + 3700, True) > _priority(NOW, False)


def test_the_oldest_goes_first_and_the_queue_takes_the_number_for_decades() -> None:
    assert _priority(NOW - 10, False) < _priority(NOW, False)
    assert 1 <= _priority(NOW + 40 * 365 * 86400, False) < 2**31
    assert _priority(0, True) == 1  # a clock that was never set
