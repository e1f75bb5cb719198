"""What answers while the service is still being put together: its imports alone take longer than a probe waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_PAUSE = 0.01  # seconds between two looks whether the application is there; only in the first moments
_PROBES = {
    "/healthz": (200, b'{"status":"ok"}'),
    "/readyz": (503, b'{"status":"not ready","problems":["the service is starting"]}'),
}
_ENDING = (503, b'{"status":"not ready","problems":["the service is ending"]}')


class Starting:
    """An ASGI application that stands in for another until `begin` is called from the thread that makes it.

    Probes are answered at once, any other request waits.
    """

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._ended = False

    def begin(self, app: ASGIApp) -> None:
        self._app = app

    def end(self) -> None:
        """There will be no application."""
        self._ended = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            import asyncio

            answer = _PROBES.get(scope.get("path", ""))
            while self._app is None and answer is None:
                answer = _ENDING if self._ended else await asyncio.sleep(_PAUSE)
            if answer:
                await _answer(send, *answer)
                return
        assert self._app is not None
        await self._app(scope, receive, send)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
