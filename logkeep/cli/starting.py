"""Answers while the service starts: its imports alone take longer than a probe waits."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from logkeep.contract.codes import find_fault
from logkeep.contract.faults import render_fault
from logkeep.errors import Overloaded

_MOST_WAITING = 256  # requests; nothing is known of who sent them yet
_WAIT_SECONDS = 30.0  # of each
_PAUSE = 0.01  # seconds between two looks whether the application is there; only in the first moments
_READING = frozenset({"GET", "HEAD"})
_PROBES = {
    "/healthz": (200, b'{"status":"ok"}'),
    "/readyz": (503, b'{"status":"not ready","problems":["the service is starting"]}'),
}
_ENDING = (503, b'{"status":"not ready","problems":["the service is ending"]}')


class StartupGate:
    """An ASGI application that stands in for another until that is there; called on from the thread that makes it.

    Probes are answered at once. What reads waits for the application, what changes something also for the queue.
    """

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._working = False
        self._ended = False
        self._waiting = 0

    def begin_reading(self, app: ASGIApp) -> None:
        self._app = app

    def begin_working(self) -> None:
        self._working = True

    def end(self) -> None:
        """Refuse what still waits."""
        self._ended = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if app is None or not self._working:
            app = await self._wait(scope, send)
        if app:
            await app(scope, receive, send)

    async def _wait(self, scope: Scope, send: Send) -> ASGIApp | None:
        """The application, once it can do this; None where the request has been answered."""
        reads = scope.get("method") in _READING
        late = time.monotonic() + _WAIT_SECONDS
        self._waiting += 1
        try:
            while self._app is None or not (reads or self._working):
                answer = _ENDING if self._ended else _PROBES.get(scope["path"]) if self._app is None else None
                if answer:
                    await _answer(send, *answer)
                    return None
                if self._waiting > _MOST_WAITING or time.monotonic() > late:
                    await _refuse(send)
                    return None
                await asyncio.sleep(_PAUSE)
        finally:
            self._waiting -= 1
        return self._app


async def _refuse(send: Send) -> None:
    """Answer as the service does where a call waits for too long."""
    request_id, error = os.urandom(16).hex(), Overloaded("The service is still starting; try again soon.")
    status, body = render_fault(error, request_id)
    retry_after = str(find_fault(error).retry_after).encode()
    await _answer(send, status, body, [(b"retry-after", retry_after), (b"x-request-id", request_id.encode())])


async def _answer(send: Send, status: int, body: bytes, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
