"""Whoever answers at the URL of a cluster: he is read in bounds, and anything odd is a sentence."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from logkeep.errors import InvalidField
from logkeep.sources import discovery
from logkeep.sources.base import FoundNode
from logkeep.sources.discovery import describe_cluster

ABOUT = {"version": {"number": "2.19.6", "distribution": "opensearch"}, "cluster_name": "c"}
NODE = {"name": "n1", "ip": "10.0.0.1", "roles": ["data", "ingest"], "settings": {"path": {"logs": "/var/log/os"}}}

Answer = Callable[[socket.socket, str], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """The URL of a server that answers each request of a connection by this function, given its path."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=follow, args=[connection], daemon=True).start()

        def follow(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                while head := _head(connection):
                    answer(connection, head.split()[1].decode())

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(65536)
        if not piece:
            return b""
        head += piece
    return head


def send(connection: socket.socket, body: bytes, status: str = "200 OK", *headers: str) -> None:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)


def cluster(about: Any = ABOUT, nodes: Any = NODE) -> Answer:
    def answer(connection: socket.socket, path: str) -> None:
        document = {"nodes": {"id": nodes}} if path.startswith("/_nodes") else about
        send(connection, document if isinstance(document, bytes) else json.dumps(document).encode())

    return answer


def refused(answer: Answer) -> str:
    with answering(answer) as url, pytest.raises(InvalidField) as caught:
        describe_cluster(url)
    return caught.value.message


def test_nodes_are_told_with_their_directories() -> None:
    with answering(cluster()) as url:
        found = describe_cluster(url)
    assert (found.kind, found.version) == ("opensearch", "2.19.6")
    assert found.nodes == (FoundNode("n1", "/var/log/os", "10.0.0.1", "ess", "id"),)
    with answering(cluster({"version": {"number": "8.7.1"}}, NODE | {"roles": ["master"]})) as url:
        found = describe_cluster(url)
    assert (found.kind, found.nodes[0].role) == ("elasticsearch", "ess-master")


ODD: list[Any] = [
    None, 1, -1, 1e300, True, "", "x", [], {}, [[]], {"a": 1}, "a\0b", "x" * 100_000, [1], {"path": []}, {"path": {"logs": 1}}, "\U0001f600",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_any_odd_shape_is_a_sentence(odd: Any) -> None:
    answers = [
        cluster(odd),
        cluster({"version": odd}),
        cluster({"version": {"number": odd}}),
        cluster({"version": {"number": "1", "distribution": odd}}),
        cluster(ABOUT, odd),
        *(cluster(ABOUT, NODE | {key: odd}) for key in NODE),
        cluster(ABOUT, NODE | {"settings": {"path": {"logs": odd}}}),
        lambda connection, path: send(connection, json.dumps({"nodes": odd} if "_nodes" in path else ABOUT).encode()),
    ]
    for answer in answers:
        with answering(answer) as url, suppress(InvalidField):
            found = describe_cluster(url)
            assert all("\0" not in f"{found}" and len(node.name) <= 255 for node in found.nodes)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "does not answer as a search cluster"),
        (b"<html>", "does not answer as a search cluster"),
        (b"\xff\xfe", "does not answer as a search cluster"),
        (b"[" * 500_000, "does not answer as a search cluster"),
        (b'{"version": {"number": ' + b"9" * 100_000 + b"}}", "does not answer as a search cluster"),
        (b" " * (3 * 1024 * 1024), "answers with more than 2097152 bytes"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_answer_is_told(body: bytes, told: str) -> None:
    assert told in refused(cluster(body))


def test_compressed_answer_is_refused_before_it_is_inflated() -> None:
    bomb = gzip.compress(bytes(1024 * 1024 * 1024), 9)
    assert len(bomb) < 1_500_000
    tracemalloc.start()
    try:
        told = refused(lambda connection, _: send(connection, bomb, "200 OK", "content-encoding: gzip"))
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert "answers compressed" in told


def test_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def elsewhere(connection: socket.socket, path: str) -> None:
        asked.append(path)
        send(connection, b"", "302 Found", "location: /other")

    assert "answers with status 302" in refused(elsewhere)
    assert asked == ["/"]


def drip(piece: bytes, begin: bytes = b"") -> Answer:
    def answer(connection: socket.socket, _path: str) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(piece)
            time.sleep(0.1)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"x-a: b\r\n", b"HTTP/1.1 200 OK\r\n"),
        drip(b" ", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"),
        drip(b"H"),
        lambda _connection, _path: time.sleep(5),
    ],
    ids=["headers", "body", "status", "nothing"],
)
def test_answer_that_drips_ends(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "DEADLINE_SECONDS", 1.0)
    began = time.monotonic()
    refused(answer)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "url",
    ["", "x", "http://", "http://[::1", "http://h:99999", "http://h:x", "ftp://h", "http://a..b", "http://" + "a" * 300, "http://127.0.0.1:1/\0"],
)  # fmt: skip
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidField, match="url"):
        describe_cluster(url)


def test_wrong_password_is_told() -> None:
    told = refused(lambda connection, _: send(connection, b"", "401 Unauthorized"))
    assert told.startswith("user: the cluster refuses them for /")
