"""How often a process looks for what nobody works on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast

import pytest

from logkeep.work.takeover import Takeover
from tests.support.installation import Installation


class FakeQueue:
    """Notes when it was asked; a search for stranded jobs takes its time."""

    def __init__(self, search_seconds: float) -> None:
        self.now = 100.0
        self.searches: list[float] = []
        self.looks = 0
        self._search_seconds = search_seconds

    def enqueue_stranded(self, running: Iterable[str], served: Collection[str]) -> None:
        self.searches.append(self.now)
        self.now += self._search_seconds

    def take_over(self, worker_id: str, running: Collection[str], alive: Collection[str]) -> None:
        self.looks += 1


@pytest.mark.parametrize(("search_seconds", "searches"), [(0.01, 100), (4.0, 8)])
def test_search_of_a_long_queue_takes_a_twentieth_of_the_time_and_holds_no_takeover_up(
    installation: Installation, search_seconds: float, searches: int
) -> None:
    queue = FakeQueue(search_seconds)
    takeover = Takeover(installation.runtime, cast("Any", queue), "w", set(), now=lambda: queue.now)
    for _ in range(300):  # ten minutes
        takeover.look()
        queue.now += 2
    assert len(queue.searches) == searches
    assert queue.looks == 300
