"""HTTPS server of the agent."""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec
import uvicorn

from logkeep.agent.app import Agent
from logkeep.domain.causes import Cause
from logkeep.errors import SettingError
from logkeep.http.connections import Limits
from logkeep.http.server import make_server as make_bounded_server

# A service opens at most 8. TLS takes some 300 KiB a connection, so clients without a token take 15 MiB at most.
LIMITS = Limits(connections=64, known_seconds=120, stranger_seconds=10, strangers_bytes=1024 * 1024)
_FINISH_SECONDS = 1


class Certificate:
    """Certificate and key, read from files; new connections use `context`."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both files. Raises `SettingError` if they are no certificate and its key."""
        self._certificate = certificate
        self._key = key
        self._held = self._tried = self._read()
        self.context = self._load()

    def take_up(self) -> bool:
        """Reload changed files; True if another certificate is used from now on.

        Raises `SettingError`, once per state of the files, if they do not fit; the previous certificate stays in use.
        """
        found = self._read()
        if found == self._tried:
            return False
        self._tried = found
        if found == self._held:
            return False
        # Into another context: one in use has for a moment a certificate without its key, and handshakes fail of it.
        self.context = self._load()
        self._held = found
        return True

    def _read(self) -> tuple[bytes, bytes]:
        try:
            return self._certificate.read_bytes(), self._key.read_bytes()
        except OSError:  # loading reports it
            return b"", b""

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._certificate, self._key)
        except (OSError, ValueError) as error:
            raise self._unfit(error) from error
        return context

    def _unfit(self, error: Exception) -> SettingError:
        for path in (self._certificate, self._key):
            try:
                path.read_bytes()
            except PermissionError as denied:
                return SettingError(Cause.KEY_DENIED.tell(path=path, said=denied.strerror))
            except OSError as missing:
                return SettingError(f"{path} cannot be read: {missing.strerror}; see --cert and --key")
        return SettingError(f"{self._certificate} and {self._key} are no certificate and its key in PEM: {error}")


def make_server(agent: Agent, certificate: Certificate, limits: Limits = LIMITS) -> uvicorn.Server:
    """Return the server, to be run on a listening socket."""
    # Not uvloop: it waits at shutdown for clients that keep a TLS connection open.
    return make_bounded_server(agent, limits, _refuse, _FINISH_SECONDS, loop="asyncio", tls=lambda: certificate.context)


def _refuse(too_large: bool) -> tuple[int, bytes, bytes]:
    status, message = (431, "the head is too large") if too_large else (400, "this is no HTTP")
    body = msgspec.json.encode({"error": "path", "message": message})
    return status, b"content-type: application/json\r\n", body
