"""Answers, and how they are sent: whole, or chunk after chunk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

from starlette.types import Message, Receive, Send

from logkeep.api.call import Stream
from logkeep.api.pools import Pool
from logkeep.contract.operation import JSON as JSON_TYPE

JSON = JSON_TYPE.encode()
_SLICE = 16 * 1024  # bytes of an answer handed over in one piece; more would lie in memory for who does not read
_CHUNK_SLICE = 64 * 1024
_CHUNK_SECONDS = 600.0  # for the next chunk of a stream; one object of a verification may take minutes


class Answer(NamedTuple):
    """A whole response."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    code: str = ""  # of an error


class StartedStream(NamedTuple):
    """A response whose first chunk has been made, so that errors before it have their proper status."""

    stream: Stream
    first: bytes | None
    pool: Pool | None = None  # whose threads make the next chunks
    owner: str = ""  # for whom


async def send_answer(send: Send, request_id: str, answer: Answer) -> None:
    body = answer.body
    if answer.status == HTTPStatus.NO_CONTENT:  # which tells neither type nor length
        await send({"type": "http.response.start", "status": 204, "headers": [(b"x-request-id", request_id.encode())]})
        await send({"type": "http.response.body", "body": b""})
        return
    start = _start(answer.status, request_id, JSON)
    start["headers"] += [(b"content-length", str(len(body)).encode()), *answer.headers]
    await send(start)
    while len(body) > _SLICE:
        await send({"type": "http.response.body", "body": body[:_SLICE], "more_body": True})
        body = body[_SLICE:]
    await send({"type": "http.response.body", "body": body})


def _start(status: int, request_id: str, content_type: bytes) -> Message:
    headers = [(b"content-type", content_type), (b"x-request-id", request_id.encode())]
    return {"type": "http.response.start", "status": status, "headers": headers}


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
        start = _start(200, request_id, stream.content_type.encode())
        start["headers"] += stream.headers
        await send(start)
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


def discard(answer: Answer | StartedStream) -> None:
    """Close an answer that nobody waits for any more."""
    if isinstance(answer, StartedStream):
        close_chunks(answer.stream.chunks)


def close_chunks(chunks: Iterator[bytes]) -> None:
    """Let go of what the stream holds, where it is a generator."""
    if isinstance(chunks, Generator):
        with suppress(ValueError):  # a chunk is just being made for a server that shuts down
            chunks.close()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
