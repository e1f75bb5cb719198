"""Whole answers, and how they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from starlette.types import Send

from logkeep.contract.operation import JSON as JSON_TYPE
from logkeep.http.streams import StartedStream

JSON = JSON_TYPE.encode()
_SLICE = 16 * 1024  # bytes of an answer handed over in one piece; more would lie in memory for who does not read


class Answer(NamedTuple):
    """A whole response."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    code: str = ""  # of an error


async def send_answer(send: Send, request_id: str, answer: Answer) -> None:
    body = answer.body
    if answer.status == HTTPStatus.NO_CONTENT:  # which tells neither type nor length
        await send({"type": "http.response.start", "status": 204, "headers": [(b"x-request-id", request_id.encode())]})
        await send({"type": "http.response.body", "body": b""})
        return
    headers = [
        (b"content-type", JSON),
        (b"x-request-id", request_id.encode()),
        (b"content-length", str(len(body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    while len(body) > _SLICE:
        await send({"type": "http.response.body", "body": body[:_SLICE], "more_body": True})
        body = body[_SLICE:]
    await send({"type": "http.response.body", "body": body})


def discard(answer: Answer | StartedStream) -> None:
    """Close an answer that nobody waits for any more."""
    if isinstance(answer, StartedStream):
        answer.close()
