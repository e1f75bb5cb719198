"""Calls that may hang, each in a thread that nobody waits for longer than it may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_MOST = 128  # threads that hang at a time; a name that is not answered holds one for half a minute
_slots = threading.BoundedSemaphore(_MOST)


def run_within(seconds: float, action: Callable[[], _T]) -> _T:
    """Return what an action returns, or raise what it raises. Raises `TimeoutError` if it takes longer.

    Its thread goes on by itself then; there are only so many of them.
    """
    if not _slots.acquire(blocking=False):
        raise TimeoutError(f"{_MOST} calls before it still hang")
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(action())
        except BaseException as error:  # raised again in the thread that waits
            failed.append(error)
        finally:
            _slots.release()

    thread = threading.Thread(target=run, name="notice", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError(f"no end within {seconds:.0f} s")
    return done[0]
