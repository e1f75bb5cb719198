"""Bounded end of a process: what a database or a mount holds up ends with the process."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

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


def end_process(code: int) -> NoReturn:
    """End at once, and not by way of the interpreter's end.

    That would wait for threads that a store or a node holds up, and abort where a thread of opendal comes back from a
    request meanwhile: before Python 3.14 such a thread is unwound through frames that cannot be.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads, or the disk is full, which `run` told
            stream.flush()
    os._exit(code)
