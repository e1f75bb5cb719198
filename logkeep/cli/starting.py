"""What answers while the service is still being put together: its imports alone take longer than a probe waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_PAUSE = 0.01  # seconds between two looks whether the application is there; only in the first moments
_READING = frozenset({"GET", "HEAD"})
_PROBES = {
    "/healthz": (200, b'{"status":"ok"}'),
    "/readyz": (503, b'{"status":"not ready","problems":["the service is starting"]}'),
}
_ENDING = (503, b'{"status":"not ready","problems":["the service is ending"]}')


class Starting:
    """An ASGI application that stands in for another until that is there; called on from the thread that makes it.

    Probes are answered at once. What reads waits for the application, what changes something also for the queue.
    """

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._working = False
        self._ended = False

    def begin_reading(self, app: ASGIApp) -> None:
        self._app = app

    def begin_working(self) -> None:
        self._working = True

    def end(self) -> None:
        """What waits still is refused."""
        self._ended = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if app is None or not self._working:
            app = await self._wait(scope, send)
        if app:
            await app(scope, receive, send)

    async def _wait(self, scope: Scope, send: Send) -> ASGIApp | None:
        """The application, once it can do this; None where the request has been answered."""
        import asyncio  # slow to import, and all commands import this file

        reads = scope.get("method") in _READING
        while self._app is None or not (reads or self._working):
            answer = _ENDING if self._ended else _PROBES.get(scope["path"]) if self._app is None else None
            if answer:
                await _answer(send, *answer)
                return None
            await asyncio.sleep(_PAUSE)
        return self._app


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
