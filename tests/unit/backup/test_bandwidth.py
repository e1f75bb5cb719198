"""The limit on how fast logs are read."""

from __future__ import annotations

import pytest

from logkeep.backup import bandwidth
from logkeep.backup.bandwidth import UNLIMITED, Bandwidth


class Clock:
    """Monotonic time that passes only by sleeping."""

    now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(bandwidth, "time", clock)
    return clock


def test_pieces_come_no_faster_than_allowed(clock: Clock) -> None:
    limit = Bandwidth(1000)
    assert list(limit.limit(iter([b"x" * 500] * 5))) == [b"x" * 500] * 5
    assert clock.now == pytest.approx(102.0)  # the fifth piece goes out when the four before it are paid for


def test_jobs_share_the_limit(clock: Clock) -> None:
    limit = Bandwidth(1000)
    list(limit.limit(iter([b"x" * 1000])))
    list(limit.limit(iter([b"x" * 1000])))
    assert clock.now == pytest.approx(101.0)


def test_time_that_was_not_used_is_not_saved_up(clock: Clock) -> None:
    limit = Bandwidth(1000)
    list(limit.limit(iter([b"x" * 1000])))
    clock.now += 50
    list(limit.limit(iter([b"x" * 1000] * 2)))
    assert clock.now == pytest.approx(151.0)


def test_without_a_limit_nothing_stands_between() -> None:
    pieces = iter([b"x"])
    assert UNLIMITED.limit(pieces) is pieces
