"""Connections that clients keep are not closed under a request; `serve` as a process, with its times shortened."""

from __future__ import annotations

import random
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.cli.installed import CONFIGURATION, Served, init, serving
from tests.support.strangers import Caller

KNOWN, STRANGER = 1.0, 0.4  # seconds
CLIENTS = 48
CLUSTERS = "/api/v1/clusters"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("kept") / "installation"
    limits = f"[server]\nkeep_alive_seconds = {KNOWN}\nstranger_seconds = {STRANGER}\n\n"
    init(directory, limits + CONFIGURATION)
    with serving(directory) as served:
        yield served


def whole_answer(connection: socket.socket) -> bytes:
    """Head and body; what there is of it where the connection ends."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
        head, found, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if found and length and len(body) >= int(length[1]):
            break
    return received


class Polling(threading.Thread):
    """A client as SDKs are: it keeps one connection, and opens another one where it sees that this was closed."""

    def __init__(self, served: Served, period: float, ends_at: float, *, known: bool) -> None:
        super().__init__()
        self._caller, self._period, self._ends_at, self._known = Caller.of(served.directory), period, ends_at, known
        self._connection: socket.socket | None = None
        self.answers, self.opened, self.failures = 0, 0, list[str]()

    def run(self) -> None:
        time.sleep(random.random() * self._period)
        while time.monotonic() < self._ends_at:
            try:
                self._ask()
            except OSError as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                self._close()
            time.sleep(self._period)
        self._close()

    def _ask(self) -> None:
        if self._connection and select.select([self._connection], [], [], 0)[0]:
            assert self._connection.recv(1) == b"", "the server speaks unasked"
            self._close()
        if self._connection is None:
            self._connection = socket.create_connection(self._caller.address, 10)
            self.opened += 1
        request = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
        if self._known:
            request = self._caller.signed("GET", CLUSTERS)
        self._connection.sendall(request)
        if not whole_answer(self._connection).startswith(b"HTTP/1.1 200 "):
            raise ConnectionError("closed without an answer")
        self.answers += 1

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


def poll(served: Served, period: float, *, known: bool = True, seconds: float = 4.0) -> list[Polling]:
    ends_at = time.monotonic() + seconds
    clients = [Polling(served, period, ends_at, known=known) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return clients


@pytest.mark.parametrize("share", [0.8, 1.0, 1.1, 1.5])
@pytest.mark.parametrize("known", [True, False])
def test_no_request_is_lost_whatever_the_period_of_who_polls(served: Served, share: float, known: bool) -> None:
    """Each connection ends at a moment of its own from 1 to 1.2 times its time on.

    Who sends in that very moment cannot be served: both ends act before they can know of each other.
    """
    clients = poll(served, share * (KNOWN if known else STRANGER), known=known)
    answers = sum(client.answers for client in clients)
    failures = [failure for client in clients for failure in client.failures]
    print(f"\n{answers} answers over {sum(client.opened for client in clients)} connections", end="")
    assert len(failures) <= (answers // 100 if 1.0 <= share < 1.2 else 0), failures
    assert answers >= CLIENTS * 2


def test_who_is_known_keeps_a_connection_longer_than_a_stranger(served: Served) -> None:
    assert sum(client.opened for client in poll(served, KNOWN * 0.7, seconds=3)) == CLIENTS
    assert sum(client.opened for client in poll(served, STRANGER * 1.6, known=False, seconds=3)) > CLIENTS


def test_idle_connections_end_in_their_time(served: Served) -> None:
    caller = Caller.of(served.directory)
    for request, seconds in ((b"", STRANGER), (caller.signed("GET", CLUSTERS), KNOWN)):
        with closing(socket.create_connection(caller.address, 10)) as connection:
            connection.sendall(request)
            if request:
                assert whole_answer(connection)
            began = time.monotonic()
            assert connection.recv(1) == b""
            assert seconds * 0.9 <= time.monotonic() - began < seconds * 1.5 + 1


def test_a_body_that_goes_on_after_its_answer_is_not_drained_for_ever(served: Served) -> None:
    """It has been answered with 401: what comes is thrown away, but not without an end."""
    head = b"POST /v1.0/p/clusters/c/logs/open HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
    with closing(socket.create_connection(Caller.of(served.directory).address, 10)) as connection:
        connection.sendall(head)
        assert whole_answer(connection).startswith(b"HTTP/1.1 401 ")
        connection.settimeout(0.2)
        ends_at = time.monotonic() + 40
        while time.monotonic() < ends_at:
            try:
                connection.sendall(b"x")
                if connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("it is drained still")
