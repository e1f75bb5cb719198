"""Threads for calls that wait: bounded, and so is each owner's part of them.

A call that has no first byte in its time is refused with `Overloaded`, and its slot goes to others: its thread may hang
on in the kernel, counts against its owner until it comes back, and only so many may hang.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from logkeep.errors import Overloaded
from logkeep.http.threads import Threads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """The bounds of one pool."""

    threads: int  # at work at a time, those that are overdue not counted
    each: int  # of one tenant, overdue or not
    waiting: int  # calls
    waiting_each: int  # of one tenant
    seconds: float  # for a call until its first byte, waiting included
    overdue: int  # threads that may hang on beyond that

    @property
    def most_threads(self) -> int:
        return self.threads + self.overdue


class _Call:
    """One call, from its arrival to its end."""

    __slots__ = ("arguments", "discard", "function", "future", "overdue", "owner", "started", "timer")

    def __init__(
        self,
        owner: str,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        future: asyncio.Future[Any],
        discard: Callable[[Any], None] | None,
    ) -> None:
        self.owner, self.function, self.arguments, self.future, self.discard = (
            owner,
            function,
            arguments,
            future,
            discard,
        )
        self.started = self.overdue = False
        self.timer: asyncio.TimerHandle | None = None


class Pool:
    """All methods belong to one running loop."""

    def __init__(self, name: str, rule: Rule, what: str) -> None:
        """Create a pool whose threads are named `name`; a refused caller is told that it waited for `what`."""
        self._what, self._rule = what, rule
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(rule.most_threads, name)
        self._running = 0  # in time
        self._overdue = 0  # that gave their slot to others
        self._held: Counter[str] = Counter()  # threads, by tenant
        self._queues: dict[str, deque[_Call]] = {}  # by tenant, in turn
        self._waiting = 0

    def run(
        self,
        owner: str,
        function: Callable[..., T],
        *arguments: Any,
        seconds: float | None = None,
        goes_on: bool = False,
        discard: Callable[[T], None] | None = None,
    ) -> asyncio.Future[T]:
        """Call the function for a tenant; the future has its result, its exception, or `Overloaded`.

        What `goes_on`, as the next chunk of a stream, is not refused where many wait: there are only so many streams.
        `discard` is given, in a thread, a result for which nobody waits any more.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        call = _Call(owner=owner, function=function, arguments=arguments, future=future, discard=discard)
        free = self._running < self._rule.threads and self._held[owner] < self._rule.each
        if not free and not goes_on and self._is_full_for(owner):
            future.set_exception(Overloaded(f"Too many calls wait for {self._what} just now."))
            return future
        call.timer = self._loop.call_later(seconds or self._rule.seconds, self._give_up, call)
        if free:
            self._start(call)
        else:
            self._queues.setdefault(owner, deque()).append(call)
            self._waiting += 1
        return future

    def close(self) -> None:
        self._threads.close()

    def _is_full_for(self, owner: str) -> bool:
        mine = self._queues.get(owner)
        return self._waiting >= self._rule.waiting or (mine is not None and len(mine) >= self._rule.waiting_each)

    def _start(self, call: _Call) -> None:
        call.started = True
        self._running += 1
        self._held[call.owner] += 1
        self._threads.run(call.function, *call.arguments).add_done_callback(lambda done: self._end(call, done))

    def _end(self, call: _Call, done: asyncio.Future[Any]) -> None:
        if call.overdue:
            self._overdue -= 1
        else:
            self._running -= 1
        self._held[call.owner] -= 1
        if not self._held[call.owner]:
            del self._held[call.owner]
        if call.timer:
            call.timer.cancel()
        error = done.exception()
        if not call.future.done():
            if error:
                call.future.set_exception(error)
            else:
                call.future.set_result(done.result())
        elif call.discard and not error:
            self._threads.run(call.discard, done.result())
        self._start_waiting()

    def _give_up(self, call: _Call) -> None:
        """Refuse a call whose time is over; if its thread hangs, give the slot to others."""
        if not call.future.done():
            again = "" if not call.started else " It may still be carried out."
            call.future.set_exception(Overloaded(f"No answer came in time from {self._what}.{again}"))
        if call.started and self._overdue < self._rule.overdue:
            call.overdue = True
            self._running -= 1
            self._overdue += 1
            self._start_waiting()
        elif not call.started:
            self._forget(call)

    def _forget(self, call: _Call) -> None:
        queue = self._queues[call.owner]
        queue.remove(call)
        self._waiting -= 1
        if not queue:
            del self._queues[call.owner]

    def _start_waiting(self) -> None:
        """Start waiting calls, tenant by tenant in turn."""
        while self._waiting and self._running < self._rule.threads:
            owner = next((owner for owner in self._queues if self._held[owner] < self._rule.each), None)
            if owner is None:
                return
            queue = self._queues.pop(owner)
            call = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queues[owner] = queue
            if call.future.done():  # the server is ending
                if call.timer:
                    call.timer.cancel()
                continue
            self._start(call)
