"""The threads in which the nodes of a job are read, which may hang in a dead mount for ever."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

_LOOK_SECONDS = 1.0


def run_some_at_once(actions: Iterable[Callable[[], None]], at_once: int, look: Callable[[], None]) -> None:
    """Carry all of them out, so many at a time; after one that failed none begins, and its error is raised.

    Each second `look` is called; what it raises leaves behind what still runs. The threads keep no process alive.
    """
    waiting = deque(actions)
    failed: list[BaseException] = []

    def work() -> None:
        while not failed:
            try:
                action = waiting.popleft()
            except IndexError:
                return
            try:
                action()
            except BaseException as error:
                failed.append(error)

    names = [f"node-{number}" for number in range(min(at_once, len(waiting)))]
    threads = [threading.Thread(target=work, name=name, daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(_LOOK_SECONDS)
            if thread.is_alive():
                look()
    if failed:
        raise failed[0]
