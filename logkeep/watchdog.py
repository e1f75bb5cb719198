"""Directories that may hang for ever, as a dead mount does, used in threads that are left behind where they hang.

No call of the system has a time limit, and a thread that waits for a dead NFS server cannot be ended. So another thread
makes the call, and who asked waits only as long as there are signs of progress. A directory of which a call hangs is
refused at once until that call comes back, so that no more threads are lost to it. Who makes many calls, as a job does,
moves into the other thread whole: to change threads for each call took longer than all else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from logkeep.mounts import find_mount

_T = TypeVar("_T")
_LATE_SECONDS = 5.0
_MOST_LATE = 8  # calls of one directory, by whoever asks, that may wait longer than that


class Left(BaseException):
    """Unwinds what was left behind, past all that handles errors: nobody waits for it, and others are told by now."""

    began = True


class Watched(NamedTuple):
    """A directory, and the mount that it lies on: once that is mounted anew, nothing of it hangs any more."""

    directory: Path
    mount: int = 0  # its id; 0 where the system does not tell
    point: Path = Path("/")


def watch(directory: Path) -> Watched:
    """Return the directory with the mount that its path leads to, without a call to that mount."""
    number, mount = find_mount(directory)
    return Watched(directory, number, mount.point) if mount else Watched(directory)


@dataclass(slots=True, eq=False)
class _Call:
    watched: Watched
    action: Callable[[], Any]
    late: Callable[[Any], object] = lambda _result: None
    moved_at: float = inf  # while nothing is asked of the directory
    beside: list[_Call] = field(default_factory=list["_Call"])  # all of this directory that have not come back
    ended: threading.Event = field(default_factory=threading.Event)
    left: bool = False  # behind, by who asked
    result: Any = None
    error: BaseException | None = None


class Watchdog:
    """Makes calls for which nobody waits longer than they show progress. Safe to use from any thread."""

    def __init__(self, seconds: float, hanging: Callable[[Watched, bool], Exception]) -> None:
        """Wait at most `seconds` without progress, then raise what `hanging` makes.

        It gets True for a call that hangs itself, False for one that was refused as an earlier one hangs.
        """
        self._seconds = seconds
        self._hanging = hanging
        self._lock = threading.Lock()
        self._calls: dict[Watched, list[_Call]] = {}  # that have not come back
        self._idle: list[SimpleQueue[_Call]] = []  # of each thread that has nothing to do
        self._own = threading.local()

    def note_progress(self) -> None:
        """Report progress, from within a call."""
        call: _Call | None = getattr(self._own, "call", None)
        if call:
            call.moved_at = time.monotonic()

    def count_hanging(self) -> int:
        """Count the abandoned threads that have not come back."""
        with self._lock:
            return sum(call.left for calls in self._calls.values() for call in calls)

    def call(
        self, watched: Watched, action: Callable[[], _T], late: Callable[[_T | None], object] = lambda _result: None
    ) -> _T:
        """Return what `action` returns. If that comes too late, `late` gets it instead, or None if `action` raised.

        Raises what `action` raises, or an error of `hanging` if it or an earlier call of the same directory hangs.
        """
        whole: _Call | None = getattr(self._own, "call", None)
        if whole and whole.watched == watched and whole.moved_at == inf:
            return self._call_within(whole, action, late)
        return self._run_call(_Call(watched, action, late, time.monotonic()))

    def run(self, watched: Watched, action: Callable[[], _T]) -> _T:
        """Run `action`, which makes many calls, in one other thread.

        Switching threads for each call would take longer than most calls. Between calls `action` may take any time. If
        a call hangs, this raises an error of `hanging`, and the thread unwinds when that call comes back.
        """
        return self._run_call(_Call(watched, action))

    def _run_call(self, call: _Call) -> Any:
        self._begin(call).put(call)
        self._wait(call)
        if call.error:
            raise call.error
        return call.result

    def _call_within(self, whole: _Call, action: Callable[[], _T], late: Callable[[_T | None], object]) -> _T:
        """Make the call in this thread, which already belongs to `run`."""
        result: _T | None = None
        with self._lock:
            moved_at = time.monotonic()
            if len(whole.beside) > 1 and not whole.left:
                self._check(whole.watched, whole.beside, moved_at)
            whole.moved_at = moved_at
        try:
            result = action()
            return result
        finally:
            with self._lock:
                whole.moved_at = inf
            if whole.left:
                with suppress(Exception):
                    late(result)
                raise Left

    def _begin(self, call: _Call) -> SimpleQueue[_Call]:
        """Register the call and return the queue of an idle or new thread. Raises `MemoryError` if there is none."""
        with self._lock:
            call.beside = self._calls.get(call.watched, [])
            self._check(call.watched, call.beside, time.monotonic())
            call.beside.append(call)
            self._calls[call.watched] = call.beside
            if self._idle:
                return self._idle.pop()
        worker: SimpleQueue[_Call] = SimpleQueue()
        try:
            threading.Thread(target=self._work, args=(worker,), name="watched", daemon=True).start()
        except RuntimeError as error:
            self._end(call)
            raise MemoryError("no thread can be started") from error
        return worker

    def _check(self, watched: Watched, calls: list[_Call], now: float) -> None:
        """Raise an error if an earlier call of the directory hangs."""
        late = sum(now - one.moved_at > _LATE_SECONDS for one in calls)
        if late >= _MOST_LATE or any(one.left for one in calls):
            raise self._hanging(watched, False)

    def _wait(self, call: _Call) -> None:
        while not call.ended.wait(max(0.0, min(call.moved_at - time.monotonic(), 0.0) + self._seconds)):
            with self._lock:
                if not call.ended.is_set() and time.monotonic() - call.moved_at >= self._seconds:
                    call.left = True
                    raise self._hanging(call.watched, True)

    def _work(self, own: SimpleQueue[_Call]) -> None:
        while True:
            self._own.call = call = own.get()
            try:
                call.result = call.action()
            except BaseException as error:
                call.error = error
            self._end(call)
            if call.left:
                with suppress(Exception):
                    call.late(call.result)
            self._own.call = call = None  # which may hold a listing
            with self._lock:
                self._idle.append(own)

    def _end(self, call: _Call) -> None:
        with self._lock:
            call.beside.remove(call)
            if not call.beside:
                del self._calls[call.watched]
            call.ended.set()
