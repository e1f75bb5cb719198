"""Who failed too often in a row is refused for a while; by name and address, so that nobody locks out another."""

from __future__ import annotations

import threading
from collections import OrderedDict

LIMIT = 5  # failures in a row (contract.md 2.4)
LOCKED_MS = 300_000  # 5 minutes
_MAX_KNOWN = 10_000  # names with addresses; about 3 MB


class Lockout:
    """Counts failures in memory; beyond its bound the pair that failed longest ago is forgotten."""

    def __init__(self, max_known: int = _MAX_KNOWN) -> None:
        self._max_known = max_known
        self._failures: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()  # how many, and when the last
        self._lock = threading.Lock()

    def is_locked(self, name: str, address: str, now_ms: int) -> bool:
        if not self._failures:  # nearly always
            return False
        count, last = self._failures.get((name, address), (0, 0))
        return count >= LIMIT and now_ms - last < LOCKED_MS

    def failed(self, name: str, address: str, now_ms: int) -> None:
        """Failures count together while no more than the time of a lock lies between them."""
        pair = (name, address)
        with self._lock:
            count, last = self._failures.pop(pair, (0, 0))
            self._failures[pair] = (1 if now_ms - last >= LOCKED_MS else count + 1, now_ms)
            if len(self._failures) > self._max_known:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        if self._failures:
            with self._lock:
                self._failures.pop((name, address), None)
