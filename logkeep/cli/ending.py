"""Bounded end of a process: what a database or a mount holds up ends with the process."""

from __future__ import annotations

import threading
from collections.abc import Callable

# For the slices that are read, so that others, or the next start, go on behind them. systemd kills after 30 seconds.
HAND_OVER_SECONDS = 15.0


def finish_within(seconds: float, task: Callable[[], None]) -> bool:
    """Run a task of the shutdown; return whether it came to its end without an error in time."""
    done = threading.Event()

    def run() -> None:
        try:
            task()
        except Exception:  # such as a database that is away: the outage is in the log already
            return
        done.set()

    thread = threading.Thread(target=run, name="stop", daemon=True)
    thread.start()
    thread.join(seconds)
    return done.is_set()
