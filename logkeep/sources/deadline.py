"""HTTP with a limit for a whole exchange.

The library's own limit is one for each read, so that a server which sends a byte now and then is waited for for ever.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


class DeadlineTransport(httpx.HTTPTransport):
    """Ends each exchange after so many seconds, by the library's own `ReadTimeout`; it begins when it is sent.

    An exchange belongs to the thread that sent it.
    """

    def __init__(self, seconds: float, verify: ssl.SSLContext | bool, limits: httpx.Limits) -> None:
        super().__init__(verify=verify, trust_env=False, limits=limits)
        self._seconds = seconds
        self._exchange = threading.local()
        pool: Any = self._pool
        pool._network_backend = _Network(pool._network_backend, self._exchange)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._exchange.until = time.monotonic() + self._seconds
        return super().handle_request(request)


class _Network(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, exchange: threading.local) -> None:
        self._inner, self._exchange = inner, exchange

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = _left(self._exchange, timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options), self._exchange)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, exchange: threading.local) -> None:
        self._inner, self._exchange = inner, exchange

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._exchange, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._exchange, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = _left(self._exchange, timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._exchange)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(exchange: threading.local, timeout: float | None, late: type[Exception]) -> float:
    left = exchange.until - time.monotonic()
    if left <= 0:
        raise late("no whole answer came in time")
    return left if timeout is None else min(left, timeout)
