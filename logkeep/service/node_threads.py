"""Threads that read the nodes of a job; a thread may hang in a dead mount for ever."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

_CHECK_SECONDS = 1.0


def run_concurrently(actions: Iterable[Callable[[], None]], limit: int, check: Callable[[], None]) -> None:
    """Run all actions, at most `limit` in parallel. After a failure no further one begins, and the error is raised.

    While actions run, `check` is called every second; if it raises, running actions are abandoned. The threads are
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

    names = [f"node-{number}" for number in range(min(limit, len(waiting)))]
    threads = [threading.Thread(target=work, name=name, daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(_CHECK_SECONDS)
            if thread.is_alive():
                check()
    if failed:
        raise failed[0]
