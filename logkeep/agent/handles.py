"""Open files of the agent's clients: bounded in number, and closed when idle."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from logkeep.sources.base import OpenLog

MOST = 256
IDLE_SECONDS = 600.0  # a client may pause for minutes while it stores; a deleted log takes up space meanwhile


@dataclass(slots=True)
class _Handle:
    log: OpenLog
    used: float
    # Held during a read, so that the file is not closed meanwhile and its descriptor reused for another file.
    busy: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False


class Handles:
    """Table of open files; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._handles: dict[str, _Handle] = {}
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return len(self._handles)

    def add(self, log: OpenLog) -> str | None:
        """Take an open file and return its id; None if too many are open."""
        self.close_idle()
        with self._changing:
            if len(self._handles) >= MOST:
                return None
            number = secrets.token_hex(16)
            self._handles[number] = _Handle(log, self._clock())
            return number

    @contextmanager
    def use(self, number: str) -> Generator[OpenLog]:
        """Lock a handle for reading. Raises `KeyError` if it is not open any more."""
        handle = self._handles[number]
        with handle.busy:
            if handle.closed:
                raise KeyError(number)
            yield handle.log
            handle.used = self._clock()

    def close(self, number: str) -> None:
        with self._changing:
            handle = self._handles.pop(number, None)
        if handle:
            _close(handle)

    def close_idle(self) -> None:
        """Close files that were not read for `IDLE_SECONDS`."""
        before = self._clock() - IDLE_SECONDS
        for number in [number for number, handle in list(self._handles.items()) if handle.used < before]:
            self.close(number)


def _close(handle: _Handle) -> None:
    with handle.busy:
        handle.closed = True
        handle.log.close()
