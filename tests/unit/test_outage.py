"""Log lines of an outage, however often and from wherever it is met."""

from __future__ import annotations

from structlog.testing import capture_logs

from logkeep.errors import CatalogueError
from logkeep.service.outage import DatabaseOutage

AWAY = CatalogueError("database: its server does not answer: refused; check it (LK-DATABASE-UNREACHABLE)")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_outage_ends_when_the_last_thread_that_failed_works() -> None:
    outage = DatabaseOutage(clock := Clock())
    with capture_logs() as logged:
        for _ in range(100):
            outage.failed(AWAY, "a")
            outage.failed(AWAY, "b")
            outage.failed(AWAY)
        clock.now = 12.5
        outage.worked("a")
        assert len(logged) == 1
        outage.worked("b")
        outage.worked("b")
    assert [one["event"] for one in logged] == [
        "the database fails; work goes on when it is back",
        "the database is back",
    ]
    assert logged[0]["code"] == "LK-DATABASE-UNREACHABLE"
    assert logged[1]["seconds"] == 12.5


def test_database_that_comes_and_goes_is_told_once_a_minute() -> None:
    outage = DatabaseOutage(clock := Clock())
    with capture_logs() as logged:
        for _ in range(600):  # ten minutes
            outage.failed(AWAY, "a")
            clock.now += 0.5
            outage.worked("a")
            clock.now += 0.5
    assert 18 <= len(logged) <= 22


def test_outage_that_lasts_is_told_though_one_was_told_just_before() -> None:
    outage = DatabaseOutage(clock := Clock())
    outage.failed(AWAY, "a")
    outage.worked("a")
    with capture_logs() as logged:
        for _ in range(100):
            outage.failed(AWAY, "a")
            clock.now += 1
    assert len(logged) == 1
