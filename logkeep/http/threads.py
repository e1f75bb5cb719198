"""Runs plain functions in threads for the event loop, at a fraction of the executor's cost per call.

What costs is two threads fighting for one interpreter lock. So short calls share few threads, and while more of them
wait the loop is left asleep: it collects results when none waits, or after a millisecond. Where calls wait and none
ends, they get more threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Task = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]
_TICK_SECONDS = 0.001  # how long a result lies while other calls wait
_STUCK_TICKS = 5  # without a result while calls wait: then one thread more works


class Threads:
    """At most `size` threads, `few` of them while calls are short. All methods belong to one running loop."""

    def __init__(self, size: int, name: str, *, few: int = 2) -> None:
        self._size, self._few, self._name = size, few, name
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()  # over the five below
        self._tasks: deque[_Task] = deque()
        self._busy = 0  # threads that work
        self._limit = few  # of them, for now; changed by the loop only
        self._idle: list[threading.Lock] = []  # what idle threads wait for; the last one to fall idle works first
        self._closed = False
        self._results: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False  # the loop will look at the results
        self._ticking = False
        self._still = 0  # ticks since the last result
        self._started = 0

    def run(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Call the function in a thread; the future has its result or exception."""
        future: asyncio.Future[T] = self._loop.create_future()
        with self._lock:
            self._tasks.append((future, function, arguments))
            if self._busy < self._few:
                self._limit = self._few
            full = self._busy >= self._limit
        if not full:
            self._employ()
        elif not self._ticking:
            self._tick_later()
        return future

    def close(self) -> None:
        """Let the threads end after what they are doing."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for wake in idle:
            wake.release()

    def _employ(self) -> None:
        """Wake an idle thread, or start a new one."""
        with self._lock:
            self._busy += 1
            wake = self._idle.pop() if self._idle else None
        if wake:
            wake.release()
            return
        self._started += 1
        try:
            threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
        except RuntimeError:
            self._go_on_without()

    def _go_on_without(self) -> None:
        """Leave what waits to the threads that work, as no other can be started; fail it where there are none."""
        with self._lock:
            self._busy -= 1
            stranded = [] if self._busy else [self._tasks.popleft() for _ in range(len(self._tasks))]
        for future, *_ in stranded:
            if not future.done():
                future.set_exception(MemoryError("no thread can be started"))
        if not self._ticking:
            self._tick_later()

    def _tick_later(self) -> None:
        self._ticking = True
        self._loop.call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        self._still += 1
        self._deliver()
        if not self._tasks:
            return  # who carries out the last one wakes the loop
        if self._still >= _STUCK_TICKS and self._limit < self._size:
            self._still = 0
            self._limit += 1
            self._employ()
        self._tick_later()

    def _work(self) -> None:
        wake = threading.Lock()
        wake.acquire()
        while (task := self._next_task(wake)) or (wake.acquire() and not self._closed):
            if task:
                self._run_call(*task)

    def _next_task(self, wake: threading.Lock) -> _Task | None:
        """Return the next task; None if there is none, and the thread then counts as idle."""
        with self._lock:
            if self._tasks:
                return self._tasks.popleft()
            self._busy -= 1
            if self._closed:
                wake.release()
            else:
                self._idle.append(wake)
        return None

    def _run_call(self, future: asyncio.Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        result, error = None, None
        try:
            result = function(*arguments)
        except BaseException as caught:
            error = caught
        self._results.append((future, result, error))
        if not self._tasks and not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._closed = True

    def _deliver(self) -> None:
        self._woken = False  # before looking: what is appended from here on wakes the loop again
        while self._results:
            future, result, error = self._results.popleft()
            self._still = 0
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
