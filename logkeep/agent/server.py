"""The HTTPS server around the agent."""

from __future__ import annotations

import socket
from pathlib import Path

import uvicorn

from logkeep.agent.app import Agent
from logkeep.errors import SettingError

_CONNECTIONS = 64
_FINISH_SECONDS = 1


def listen(host: str, port: int) -> socket.socket:
    """Raises `OSError`."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.create_server(address[:2], family=family)
    # Connections inherit it; asyncio would not set it on them, and each answer would wait 40 ms to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def make_server(agent: Agent, certificate: Path, key: Path) -> uvicorn.Server:
    """To be run on a socket that listens. Raises `SettingError` where these are no certificate and its key."""
    config = uvicorn.Config(
        agent,
        http="h11",  # which bounds the head of a request
        loop="asyncio",  # uvloop waits for clients that keep a TLS connection open, when it is to end
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_FINISH_SECONDS,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise SettingError(f"{certificate} and {key} are no certificate and its key in PEM: {error}") from error
    return uvicorn.Server(config)
