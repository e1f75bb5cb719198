"""Lockout after failed sign-ins, counted per name and address, so that nobody can lock out another.

A password that failed too often is refused for a while. A signature never is: its secret cannot be guessed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from ipaddress import ip_network

LIMIT = 5  # failures in a row (docs/contract.md, "Gateway codes")
LOCKED_MS = 300_000  # 5 minutes
_MAX_KNOWN = 10_000  # names with addresses; about 3 MB


class Lockout:
    """Counts failures in memory; beyond its bound it forgets the pair that failed longest ago."""

    def __init__(self, max_known: int = _MAX_KNOWN) -> None:
        self._max_known = max_known
        self._failures: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()  # count, Unix ms of the last
        self._lock = threading.Lock()

    def is_locked(self, name: str, address: str, now_ms: int) -> bool:
        """Return whether passwords of this name from this address are refused now."""
        if not self._failures:  # nearly always
            return False
        count, last = self._failures.get((name, _place(address)), (0, 0))
        return count >= LIMIT and now_ms - last < LOCKED_MS

    def failed(self, name: str, address: str, now_ms: int) -> int:
        """Count a failure and return how many there are in a row; a pause of `LOCKED_MS` starts a new row."""
        pair = (name, _place(address))
        with self._lock:
            count, last = self._failures.pop(pair, (0, 0))
            count = 1 if now_ms - last >= LOCKED_MS else count + 1
            self._failures[pair] = (count, now_ms)
            if len(self._failures) > self._max_known:
                self._failures.popitem(last=False)
        return count

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of this name from this address."""
        if self._failures:
            with self._lock:
                self._failures.pop((name, _place(address)), None)


def _place(address: str) -> str:
    """Return the address, or for IPv6 its /64 network: one machine may use any address of its network."""
    if ":" not in address:
        return address
    try:
        return str(ip_network((address, 64), strict=False))
    except ValueError:
        return address
