"""The port on which metrics are read: of its own, since a scraper signs nothing."""

from __future__ import annotations

import socket
import threading

from prometheus_client import CollectorRegistry, make_asgi_app

from logkeep.api.protocol import make_server
from logkeep.errors import SettingError
from logkeep.http.connections import Limits
from logkeep.http.server import listen

_LIMITS = Limits(connections=64, stranger_seconds=120)  # all are strangers: who scrapes shows no key
_END_SECONDS = 2


class MetricsServer:
    """Answers each GET, in a thread of its own."""

    def __init__(self, listen: str, registry: CollectorRegistry) -> None:
        """Listen on host and port, `127.0.0.1:9475` or `[::1]:9475`. Raises `SettingError`."""
        self._listener = _listen(listen)
        host, port = self._listener.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._server = make_server(make_asgi_app(registry), _END_SECONDS, _LIMITS)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), name="metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)
        self._listener.close()


def _listen(text: str) -> socket.socket:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise SettingError(f"metrics.listen: {text!r} is no address; write it as 127.0.0.1:9475")
    try:
        return listen(host.strip("[]"), int(port))
    except OSError as error:
        raise SettingError(
            f"metrics.listen: {text} cannot be listened on: {error.strerror}; choose another address, or '' for none"
        ) from error
