"""uvicorn with a bound on the head of a request, and JSON for what is no HTTP at all.

uvicorn's own protocol collects headers of any length, and answers a malformed request with plain text, which the Java
SDK cannot read (clients.md 7).
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from logkeep.contract.faults import HEAD_TOO_LARGE, render_fault
from logkeep.errors import RequestError

HEAD_SECONDS = 30  # for a head to come, and for a client that connected to say anything
MAX_HEAD = 64 * 1024  # bytes of request line and headers, and of the trailers of a chunked body


def make_server(app: Any, finish_seconds: int, **bounds: int) -> uvicorn.Server:
    """A server without TLS, to be run on a socket that listens; it logs nothing of its own below a warning."""
    config = uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        ws="none",
        loop="uvloop",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=finish_seconds,
        **bounds,  # pyright: ignore[reportArgumentType]
    )
    return uvicorn.Server(config)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers 431 to a head over `MAX_HEAD` and 400 to what cannot be parsed, both APIGW.0201 (contract.md 2.4).

    Hangs up where a head does not come; a body has a time of its own (app.py), and uvicorn ends idle connections.
    """

    _in_head = False  # in the middle of a head, or of the trailers after a chunked body
    _head = 0  # bytes of it, from reads that held nothing else
    _first = 0  # bytes of the read in which it began, whatever else that held
    _begun = False  # it began within the present read
    _read = 0  # bytes of the present read
    _too_large = False
    _hang_up: asyncio.TimerHandle | None = None  # set while a head is waited for

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._begun, self._read = False, len(data)
        super().data_received(data)
        if not self._in_head:
            self._stop_waiting()
        elif self._hang_up is None:
            self._wait_for_head()
        if self._in_head and self._begun:
            self._first = len(data)
        elif self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                self._too_large = True
                self.send_400_response("")

    def on_message_begin(self) -> None:
        self._begin_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._first + self._head + self._read > MAX_HEAD:  # only then is it worth counting
            head = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            self._too_large = head > MAX_HEAD
            if self._too_large:
                raise ValueError("too large")  # the parser has it answered by `send_400_response`
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._begin_head()  # the last chunk has no body: what follows it are trailers, which are kept like headers

    def on_body(self, body: bytes) -> None:
        self._in_head = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = False
        super().on_message_complete()

    def _wait_for_head(self) -> None:
        self._hang_up = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._hang_up is not None:
            self._hang_up.cancel()
            self._hang_up = None

    def _begin_head(self) -> None:
        self._in_head, self._first, self._head, self._begun = True, 0, 0, True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse what could not be parsed, or is too large, and close the connection."""
        status, text = HEAD_TOO_LARGE if self._too_large else (400, "API request error.")
        request_id = os.urandom(16).hex()
        _, body = render_fault(RequestError(text), request_id)
        head = f"content-type: application/json\r\nx-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()
