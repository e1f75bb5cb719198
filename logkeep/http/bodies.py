"""Reading bodies: little for strangers, within a budget of memory for all, and in a time that grows with the size."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from starlette.types import Receive

from logkeep.errors import BodyTooLarge, Overloaded, RequestError

MAX_BODY = 12 * 1024 * 1024  # bytes, as the gateway's (docs/contract.md, "Gateway codes")
SMALL = 16 * 1024  # bytes, of who is not known yet; larger ones wait for their turn
_SECONDS = 10.0  # for a body to come, and one more for each so many bytes
_BYTES_A_SECOND = 256 * 1024
_TURN_SECONDS = 10.0  # for a turn


class Budget:
    """Bytes of memory that many share, each only so many; belongs to one running loop."""

    def __init__(self, total: int, each: int) -> None:
        self._left, self._each = total, each
        self._of: Counter[str] = Counter()
        self._waiting: list[tuple[str, int, asyncio.Future[None]]] = []

    async def take(self, owner: str, size: int) -> None:
        """Wait for a turn; raises `Overloaded` where it does not come."""
        if self._fits(owner, size):
            self._give(owner, size)
            return
        turn = asyncio.get_running_loop().create_future()
        waiting = (owner, size, turn)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await turn
        except BaseException as error:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif turn.done() and not turn.cancelled():
                self.put_back(owner, size)
            if isinstance(error, TimeoutError):
                raise Overloaded("Too many large bodies are being read just now.") from None
            raise

    def put_back(self, owner: str, size: int) -> None:
        self._left += size
        self._of[owner] -= size
        if not self._of[owner]:
            del self._of[owner]
        for waiting in list(self._waiting):
            waits, wanted, turn = waiting
            if self._fits(waits, wanted):
                self._waiting.remove(waiting)
                if not turn.done():
                    self._give(waits, wanted)
                    turn.set_result(None)

    def _fits(self, owner: str, size: int) -> bool:
        return size <= self._left and self._of[owner] + size <= self._each

    def _give(self, owner: str, size: int) -> None:
        self._left -= size
        self._of[owner] += size


class Reader:
    """Reads one body; what it takes of the budget it holds until it is closed."""

    def __init__(self, budget: Budget, owner: str, most: int) -> None:
        self._budget, self._owner, self._most = budget, owner, most
        self._taken = 0

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
        """Read the body, with or without an announced length; None if the client has disconnected.

        Raises `BodyTooLarge`, `Overloaded`, or `RequestError` if it does not arrive in time.
        """
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return b""
        if length is not None and not length.isdigit():
            raise RequestError("Content-Length must be a number.")
        announced = int(length) if length is not None else None
        if announced is not None and announced > self._most:
            raise self._too_large()
        if announced is not None and announced > SMALL:
            await self._take(announced)
        seconds = _SECONDS + (announced or 0) / _BYTES_A_SECOND
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._collect(receive, limit)
        except TimeoutError:
            raise RequestError(f"The body did not come within {seconds:.0f} seconds.") from None

    def close(self) -> None:
        if self._taken:
            self._budget.put_back(self._owner, self._taken)
            self._taken = 0

    async def _collect(self, receive: Receive, limit: asyncio.Timeout) -> bytes | None:
        chunks, size, more = list[bytes](), 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._most:
                raise self._too_large()
            more = message.get("more_body", False)
            if size > SMALL and not self._taken:  # its length was not announced
                until = limit.when()
                limit.reschedule(None)
                await self._take(self._most)
                limit.reschedule((until or 0) + _TURN_SECONDS + self._most / _BYTES_A_SECOND)
        return b"".join(chunks)

    async def _take(self, size: int) -> None:
        await self._budget.take(self._owner, size)
        self._taken = size

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(None if self._most == MAX_BODY else f"The body is larger than {self._most // 1024} kB.")
