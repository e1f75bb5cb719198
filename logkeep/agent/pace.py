"""Rate limit on requests and bytes per second, averaged over one second; excess requests wait."""

from __future__ import annotations

import asyncio

_BURST_SECONDS = 1.0


class Pace:
    """Rate limiter, used on one event loop."""

    def __init__(self, requests_a_second: float, bytes_a_second: float) -> None:
        self._requests, self._bytes = requests_a_second, bytes_a_second
        self._free_at = 0.0  # loop time at which everything served so far would be finished at this rate

    async def wait(self, size: int) -> None:
        """Count a request with `size` bytes of answer, and sleep if the rate is exceeded."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(now, self._free_at) + 1 / self._requests + size / self._bytes
        pause = self._free_at - now - _BURST_SECONDS
        if pause > 0:
            await asyncio.sleep(pause)
