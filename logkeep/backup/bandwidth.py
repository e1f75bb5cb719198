"""A limit on how fast logs are read, shared by all that are read under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator


class Bandwidth:
    """Lets through so many bytes a second; 0 lets through all."""

    def __init__(self, bytes_per_second: int = 0, within: Bandwidth | None = None) -> None:
        """`within` limits this one together with others."""
        self._within = within
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = 0.0  # monotonic time at which all that was let through so far has been paid for

    def limit(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the pieces, each once the rate allows it."""
        if self._within:
            pieces = self._within.limit(pieces)
        return self._delayed(pieces) if self._rate else pieces

    def _delayed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            time.sleep(max(0.0, self._take(len(piece))))
            yield piece

    def _take(self, size: int) -> float:
        """Return how long to wait, in seconds, before `size` bytes may go on."""
        with self._lock:
            now = time.monotonic()
            wait = self._free_at - now
            self._free_at = max(self._free_at, now) + size / self._rate
            return wait


UNLIMITED = Bandwidth()
