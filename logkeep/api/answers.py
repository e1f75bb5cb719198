"""Whole answers, and how they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from starlette.types import Send

from logkeep.contract.operation import JSON as JSON_TYPE
from logkeep.http.whole import send_whole

JSON = JSON_TYPE.encode()


class Answer(NamedTuple):
    """A whole response."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    code: str = ""  # of an error


async def send_answer(send: Send, request_id: str, answer: Answer) -> None:
    body = answer.body
    if answer.status == HTTPStatus.NO_CONTENT:  # which tells neither type nor length
        await send_whole(send, answer.status, [(b"x-request-id", request_id.encode())], b"")
        return
    headers = [
        (b"content-type", JSON),
        (b"x-request-id", request_id.encode()),
        (b"content-length", str(len(body)).encode()),
        *answer.headers,
    ]
    await send_whole(send, answer.status, headers, body)
