"""Answers that are sent whole."""

from __future__ import annotations

from starlette.types import Send

_SLICE = 16 * 1024  # bytes handed over in one piece; more would lie in memory for who does not read


async def send_whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    while len(body) > _SLICE:
        await send({"type": "http.response.body", "body": body[:_SLICE], "more_body": True})
        body = body[_SLICE:]
    await send({"type": "http.response.body", "body": body})
