"""Between a transport and the protocol of a connection: reads little of strangers, and shakes hands for TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from logkeep.http.connections import Connections
from logkeep.http.protocol import BoundedHttpProtocol

_FAREWELL_SECONDS = 1  # for a client to agree to the end of TLS


class Door(asyncio.BufferedProtocol):
    """Hands on what comes, in pieces that are small while nobody knows from whom."""

    __slots__ = ("_buffer", "_connections", "_early", "_http", "_open")

    def __init__(self, connections: Connections, http: BoundedHttpProtocol) -> None:
        self._connections = connections
        self._http = http
        self._buffer = connections.small
        self._early: list[bytes] = []  # what came in the moment between the end of a handshake and `connection_made`
        self._open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self._open = True
        self._http.connection_made(transport)
        for data in self._early:
            self._http.data_received(data)
        self._early.clear()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        self._buffer = self._connections.large if self._http.reads_much else self._connections.small
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._buffer[:nbytes])
        if self._open:
            self._http.data_received(data)
        else:
            self._early.append(data)

    def eof_received(self) -> None:
        if self._open:
            self._http.eof_received()

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._open:
            self._http.connection_lost(exc)


class TlsDoor(asyncio.Protocol):
    """Counts a connection from its first moment: one that never shakes hands is a stranger's like others."""

    owner = ""
    held = 0
    working = False

    def __init__(
        self, connections: Connections, context: ssl.SSLContext, make_http: Callable[[], BoundedHttpProtocol]
    ) -> None:
        self._connections = connections
        self._context = context
        self._make_http = make_http
        self._transport: asyncio.Transport | None = None
        self._entering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self._transport = transport
        transport.pause_reading()
        self._connections.add(self)
        self._entering = asyncio.get_running_loop().create_task(self._enter(transport))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.remove(self)

    def hang_up(self) -> None:
        if self._transport:
            self._transport.abort()

    async def _enter(self, transport: asyncio.Transport) -> None:
        door = Door(self._connections, self._make_http())
        try:
            inner = await asyncio.get_running_loop().start_tls(
                transport,
                door,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._connections.limits.stranger_seconds,
                ssl_shutdown_timeout=_FAREWELL_SECONDS,
            )
        except (OSError, RuntimeError):  # no TLS, no agreement, no time left, or gone
            inner = None
        self._connections.remove(self)
        if inner is None:
            with suppress(OSError, RuntimeError):
                transport.abort()
        else:
            door.connection_made(inner)
