"""A server that bounds its connections, to be run on a socket that listens."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn

from logkeep.http.connections import Connections, Limits
from logkeep.http.door import Door, TlsDoor
from logkeep.http.protocol import BoundedHttpProtocol, Refusal

_MOST_FILES = 1024 * 1024
_OTHER_FILES = 1024  # logs, buckets, databases and what libraries open
_DEFAULT_CONNECTIONS = 4096


def listen(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """Open the listening socket. Raises `OSError`."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.create_server(address[:2], family=family, backlog=backlog)
    # Inherited by connections, on which asyncio does not set it; without it each answer is delayed by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def make_server(
    app: Any,
    limits: Limits,
    refuse: Refusal,
    finish_seconds: int,
    *,
    loop: str = "uvloop",
    backlog: int = 2048,
    tls: Callable[[], ssl.SSLContext] | None = None,
) -> uvicorn.Server:
    """Create the server; of its own messages it logs only warnings and errors. `tls` is asked at each connection."""
    connections = Connections(limits)

    def make_protocol(**given: Any) -> asyncio.BaseProtocol:
        def make_http() -> BoundedHttpProtocol:
            return BoundedHttpProtocol(connections, refuse, **given)

        return TlsDoor(connections, tls(), make_http) if tls else Door(connections, make_http())

    config = uvicorn.Config(
        app,
        http=make_protocol,  # pyright: ignore[reportArgumentType]  # it is only called
        ws="none",
        loop=loop,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=backlog,
        timeout_graceful_shutdown=finish_seconds,
    )
    return uvicorn.Server(config)


def raise_open_files() -> int:
    """Let this process open as many files as it may; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def most_connections(files: int) -> int:
    """Return how many connections a process may have that may open `files` files."""
    return max(files - _OTHER_FILES, files // 2)


def default_connections(files: int) -> int:
    return min(_DEFAULT_CONNECTIONS, most_connections(files))
