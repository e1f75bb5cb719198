"""What strangers and slow things do to a service, and how it answers meanwhile."""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from logkeep.cli.access import Access, read_access
from logkeep.signing.sdk_hmac import sign

PAUSE = 0.05  # seconds, before a connection of a flood asks again


@dataclass
class Caller:
    """Signs requests, and sends them over one connection that it keeps."""

    access: Access
    _connection: http.client.HTTPConnection | None = None

    @classmethod
    def of(cls, directory: Path) -> Caller:
        access = read_access(directory)
        assert access
        return cls(access)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.access.endpoint.removeprefix("http://").rpartition(":")
        return host, int(port)

    def signed(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The whole request, as it goes over the wire."""
        url = self.access.endpoint + path
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}
        now_ms = time.time_ns() // 1_000_000
        signed = sign(self.access.ak, self.access.sk, method, url, now_ms=now_ms, headers=headers, body=body)
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any, dict[str, str]]:
        """Status, document and headers."""
        data = json.dumps(body).encode() if body is not None else b""
        now_ms = time.time_ns() // 1_000_000
        headers = {"Content-Type": "application/json"} if data else {}
        headers = sign(
            self.access.ak,
            self.access.sk,
            method,
            self.access.endpoint + path,
            now_ms=now_ms,
            headers=headers,
            body=data,
        )
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self.address, timeout=120)
        self._connection.request(method, path, data or None, headers)
        answer = self._connection.getresponse()
        found = answer.read()
        return answer.status, json.loads(found) if found else None, dict(answer.getheaders())

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


@dataclass
class Times:
    """How long answers took, in seconds."""

    all: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.all)

    def __str__(self) -> str:
        return f"median {self.median * 1000:6.2f} ms, most {max(self.all) * 1000:7.1f} ms"


def time_calls(caller: Caller, path: str, calls: int = 60) -> Times:
    """One call after the other; each must be answered well."""
    times: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        status, document, _ = caller.call("GET", path)
        times.append(time.perf_counter() - began)
        assert status == 200, document
        time.sleep(0.01)
    return Times(times)


@dataclass
class Flood:
    """Connections that send the same again and again, each as soon as it was answered; counts the answers."""

    address: tuple[str, int]
    requests: Sequence[bytes]
    answers: dict[int, int] = field(default_factory=dict[int, int])  # by status
    _ending: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        due = [(time.monotonic(), request) for request in self.requests]
        with selectors.DefaultSelector() as selector, ExitStack() as stack:
            while not self._ending.is_set():
                now = time.monotonic()
                for moment, request in [one for one in due if one[0] <= now]:
                    due.remove((moment, request))
                    connection = socket.create_connection(self.address, 10)
                    stack.callback(connection.close)
                    connection.sendall(request)
                    connection.setblocking(False)
                    selector.register(connection, selectors.EVENT_READ, request)
                for key, _ in selector.select(PAUSE):
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    with suppress(BlockingIOError, ConnectionError):
                        head = connection.recv(4096)
                        status = int(head.split(b" ")[1]) if head else 0
                        self.answers[status] = self.answers.get(status, 0) + 1
                    selector.unregister(connection)
                    connection.close()
                    due.append((now + PAUSE, key.data))

    def end(self) -> None:
        self._ending.set()


@contextmanager
def flooding(address: tuple[str, int], requests: Sequence[bytes], *, ahead: float = 1.0) -> Iterator[Flood]:
    """So many connections, which are at it for some time before the block begins."""
    flood = Flood(address, requests)
    thread = threading.Thread(target=flood.run)
    thread.start()
    try:
        time.sleep(ahead)
        assert thread.is_alive()
        yield flood
    finally:
        flood.end()
        thread.join()


@contextmanager
def dripping(drip: bytes, seconds: float) -> Iterator[int]:
    """The port of a server that sends a byte of `drip` each so many seconds, after it was asked; '' is nothing at all."""
    ending = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            at = 0
            while not ending.wait(seconds):
                connection.sendall(drip[at : at + 1])
                at += 1

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ending.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")
