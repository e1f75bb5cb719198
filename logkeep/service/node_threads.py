"""Threads that read the nodes of a job; a thread may hang in a dead mount for ever."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

_LOOK_SECONDS = 1.0


def run_some_at_once(actions: Iterable[Callable[[], None]], at_once: int, look: Callable[[], None]) -> None:
    """Run all actions, `at_once` in parallel. After a failure no further one begins, and the error is raised.

    While actions run, `look` is called every second; if it raises, running actions are abandoned. The threads are
    daemons, so a hanging one does not keep the process alive.
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
