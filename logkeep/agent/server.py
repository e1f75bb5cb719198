"""The HTTPS server around the agent."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import msgspec
import uvicorn

from logkeep.agent.app import Agent
from logkeep.errors import SettingError
from logkeep.http.connections import Limits
from logkeep.http.server import make_server as make_bounded_server

# A service opens at most 8. TLS takes some 300 KiB a connection, so that strangers have 15 MiB at most.
LIMITS = Limits(connections=64, known_seconds=120, stranger_seconds=10, strangers_bytes=1024 * 1024)
_FINISH_SECONDS = 1


def listen(host: str, port: int) -> socket.socket:
    """Raises `OSError`."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.create_server(address[:2], family=family)
    # Connections inherit it; asyncio would not set it on them, and each answer would wait 40 ms to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def make_server(agent: Agent, certificate: Path, key: Path, limits: Limits = LIMITS) -> uvicorn.Server:
    """To be run on a socket that listens. Raises `SettingError` where these are no certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise SettingError(f"{certificate} and {key} are no certificate and its key in PEM: {error}") from error
    # Not uvloop, which waits for clients that keep a TLS connection open, when it is to end.
    return make_bounded_server(agent, limits, _refuse, _FINISH_SECONDS, loop="asyncio", tls=context)


def _refuse(too_large: bool) -> tuple[int, bytes, bytes]:
    status, message = (431, "the head is too large") if too_large else (400, "this is no HTTP")
    body = msgspec.json.encode({"error": "path", "message": message})
    return status, b"content-type: application/json\r\n", body
