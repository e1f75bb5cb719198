"""So many requests and bytes a second, on the average of one second; who asks for more waits."""

from __future__ import annotations

import asyncio

_BURST_SECONDS = 1.0


class Pace:
    def __init__(self, requests_a_second: float, bytes_a_second: float) -> None:
        self._requests, self._bytes = requests_a_second, bytes_a_second
        self._free_at = 0.0  # of the loop's clock, when all that was asked for would be over at this pace

    async def wait(self, size: int) -> None:
        """Count a request and so many bytes of its answer, and wait where that is too fast."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(now, self._free_at) + 1 / self._requests + size / self._bytes
        pause = self._free_at - now - _BURST_SECONDS
        if pause > 0:
            await asyncio.sleep(pause)
