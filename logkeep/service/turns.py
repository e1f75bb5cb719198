"""Whose turn it is: a job that has had a slot for long gives it up where others wait for one.

A job may take days, as of a first backup of many terabytes, and there are few slots. So its time is cut into turns. It
ends one after a commit, as a worker that ends does, stays RUNNING, and waits behind all that wait then; what it kept
stays kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_LOOK_SECONDS = 5.0  # between two looks at the queue


class Turn:
    """The turn of one job; the threads of its nodes share it."""

    def __init__(
        self, seconds: float, others_wait: Callable[[], bool], now: Callable[[], float] = time.monotonic
    ) -> None:
        """`seconds` it has in any case, and more where nobody waits."""
        self._others_wait = others_wait
        self._now = now
        self._pause = min(seconds, _LOOK_SECONDS)
        self._next_look = now() + seconds
        self._over = False

    def is_over(self) -> bool:
        """Once it is, it stays so: all nodes of the job stop."""
        if not self._over and self._now() >= self._next_look:
            self._next_look = self._now() + self._pause
            self._over = self._others_wait()
        return self._over


ENDLESS = Turn(float("inf"), lambda: False)
