"""The files that the agent has open for its client: bounded in number, and closed when nobody reads them any more."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from logkeep.sources.base import OpenLog

MOST = 256
IDLE_SECONDS = 600.0  # a client that stores slowly reads on after minutes; a deleted log keeps its space meanwhile


@dataclass(slots=True)
class _Handle:
    log: OpenLog
    used: float
    # Held while it is read, so that it is not closed meanwhile: its number would then be that of another open file.
    busy: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False


class Handles:
    """Safe to use from any thread."""

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
        """Raises `KeyError` where it is not open any more."""
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
        before = self._clock() - IDLE_SECONDS
        for number in [number for number, handle in list(self._handles.items()) if handle.used < before]:
            self.close(number)


def _close(handle: _Handle) -> None:
    with handle.busy:
        handle.closed = True
        handle.log.close()
