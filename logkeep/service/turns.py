"""Time slices of jobs: a job that has had its slot for long gives it up if others wait for one.

A job may take days, such as the first backup of many terabytes, and there are few slots. At the end of its turn it
stops after a commit, stays RUNNING, and queues behind all jobs that wait then. What it has stored stays stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_LOOK_SECONDS = 5.0  # between two queries of the queue


class Turn:
    """Time slice of one job, shared by the threads of its nodes."""

    def __init__(
        self, seconds: float, others_wait: Callable[[], bool], now: Callable[[], float] = time.monotonic
    ) -> None:
        """Set the minimum length to `seconds`; it lasts longer while nobody waits."""
        self._others_wait = others_wait
        self._now = now
        self._pause = min(seconds, _LOOK_SECONDS)
        self._next_look = now() + seconds
        self._over = False

    def is_over(self) -> bool:
        """Return whether the turn is over. It never becomes False again, so that all nodes of the job stop."""
        if not self._over and self._now() >= self._next_look:
            self._next_look = self._now() + self._pause
            self._over = self._others_wait()
        return self._over


ENDLESS = Turn(float("inf"), lambda: False)
