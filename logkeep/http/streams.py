"""Bodies that are made while they are sent, chunk after chunk."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from starlette.types import Receive, Send

from logkeep.errors import Overloaded
from logkeep.http.pools import Pool

T = TypeVar("T")

_CHUNK_SLICE = 64 * 1024  # bytes handed over in one piece
_CHUNK_SECONDS = 600.0  # for the next chunk of a stream; one object of a verification may take minutes


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is made while it is sent."""

    content_type: str
    chunks: Iterator[bytes]
    headers: tuple[tuple[bytes, bytes], ...] = ()
    # What to send as the last chunk where it breaks in the middle; without it the connection is broken off,
    # so that the client does not take a part for the whole.
    error_trailer: Callable[[Exception], bytes] | None = None


class StartedStream(NamedTuple):
    """A response whose first chunk has been made, so that errors before it have their proper status."""

    stream: Stream
    first: bytes | None
    pool: Pool | None = None  # whose threads make the next chunks
    owner: str = ""  # for whom


class StreamSlots:
    """Counts the streams that are open at a time; belongs to one running loop."""

    def __init__(self, most: int, each: int, refusal: str) -> None:
        """Allow `most` in all and `each` of one owner; `refusal` is what a further one is told."""
        self._most, self._each, self._refusal = most, each, refusal
        self._open: Counter[str] = Counter()  # by owner

    async def begin(
        self,
        pool: Pool,
        owner: str,
        make: Callable[..., T | StartedStream],
        *arguments: Any,
        seconds: float | None = None,
    ) -> T | StartedStream:
        """Have an answer begun by a thread of the pool; where it is a stream, it is counted until its `end`.

        Raises `Overloaded`, and what `make` raises.
        """
        if self._open.total() >= self._most or self._open[owner] >= self._each:
            raise Overloaded(self._refusal)
        self._open[owner] += 1
        begun: StartedStream | None = None
        try:
            answer = await pool.run(owner, make, *arguments, seconds=seconds, discard=discard)
            if not isinstance(answer, StartedStream):
                return answer
            begun = answer._replace(pool=pool, owner=owner)
            return begun
        finally:
            if not begun:
                self.end(owner)

    def end(self, owner: str) -> None:
        self._open[owner] -= 1
        if not self._open[owner]:
            del self._open[owner]


def discard(answer: object) -> None:
    """Close the answer of a call for which nobody waits any more, where it is a stream."""
    if isinstance(answer, StartedStream):
        close_chunks(answer.stream.chunks)


async def send_stream(
    receive: Receive, send: Send, request_id: str, begun: StartedStream, broke: Callable[[Exception], None]
) -> None:
    """Send chunk after chunk; make the next one only when the client has taken the last.

    The server gives up on a client that takes none; `broke` hears of an error. A stream that breaks ends the
    connection without the end of the body.
    """
    stream, pool, owner = begun.stream, begun.pool, begun.owner
    chunk: bytes | None = begun.first
    assert pool
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        named = (b"content-type", stream.content_type.encode()), (b"x-request-id", request_id.encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*named, *stream.headers]})
        while chunk is not None and not gone.done():
            for at in range(0, len(chunk), _CHUNK_SLICE):
                piece = chunk[at : at + _CHUNK_SLICE] if len(chunk) > _CHUNK_SLICE else chunk
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            chunk = await pool.run(owner, next, stream.chunks, None, seconds=_CHUNK_SECONDS, goes_on=True)
    except Exception as error:
        broke(error)
        if stream.error_trailer is None:
            return
        await send({"type": "http.response.body", "body": stream.error_trailer(error), "more_body": True})
    finally:
        gone.cancel()
        await pool.run(owner, close_chunks, stream.chunks, goes_on=True)
    await send({"type": "http.response.body", "body": b""})


def close_chunks(chunks: Iterator[bytes]) -> None:
    """Let go of what the stream holds, where it is a generator."""
    if isinstance(chunks, Generator):
        with suppress(ValueError):  # a chunk is just being made for a server that shuts down
            chunks.close()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
