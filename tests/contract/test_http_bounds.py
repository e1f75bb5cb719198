"""What is too large or no HTTP at all is refused, and the service goes on."""

from __future__ import annotations

import gc
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logkeep.domain.cluster import Cluster
from logkeep.http import bodies
from logkeep.http.connections import Limits
from tests.contract.service import SETTING, Service, running_service
from tests.contract.test_api import assert_error

LIMIT = 12 * 1024 * 1024
LAST = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def refusal(answer: bytes) -> tuple[int, dict[str, str]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", head)
    assert b"content-type: application/json" in head
    return int(head.split(b" ")[1]), json.loads(body)


@pytest.mark.parametrize("chunked", [False, True])
def test_body_over_the_limit_is_413_and_the_connection_serves_on(
    service: Service, cluster: Cluster, chunked: bool
) -> None:
    path = service.path(cluster, "/logs/open")
    reply = service.call("POST", path, b" " * (LIMIT + 1), chunked=chunked)
    assert_error(reply, 413, "APIGW.0201", "12 MB")
    assert service.call("POST", path, SETTING).status == 200


def test_body_up_to_the_limit_is_read(service: Service, cluster: Cluster) -> None:
    body = json.dumps(SETTING).encode()
    path = service.path(cluster, "/logs/open")
    assert service.call("POST", path, body + b" " * (LIMIT - len(body)), chunked=True).status == 200


def test_body_of_someone_who_does_not_sign_is_not_waited_for(service: Service, cluster: Cluster) -> None:
    path = service.path(cluster, "/logs/open")
    answer = service.raw(f"POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: 9\r\n\r\n".encode())
    assert refusal(answer)[0] == 401


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nX: " + "x" * 17_000 + "\r\n\r\n",
        "GET / HTTP/1.1\r\nX: " + "x" * 5_000_000,
        "GET / HTTP/1.1\r\n" + "X: y\r\n" * 50_000 + "\r\n",
        "GET /" + "x" * 17_000 + " HTTP/1.1\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + "X: y\r\n" * 50_000,
    ],
)
def test_head_over_16_kilobytes_is_refused(service: Service, head: str) -> None:
    answer = service.raw(head.encode())
    if answer:  # the reset that follows may overtake the answer
        assert b"431" in answer or b"404" in answer
    assert service.send("GET", "/healthz").status == 200


def test_refusal_of_a_large_head_is_json(service: Service) -> None:
    status, body = refusal(service.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000 + b"\r\n\r\n"))
    assert (status, body["errCode"], body["error_msg"]) == (431, "APIGW.0201", "Request headers too large.")


@pytest.mark.parametrize("size", [500, 16_000, 16_383])
def test_large_head_is_refused_however_it_is_cut(service: Service, size: int) -> None:
    data = b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000 + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(data[:size])
        time.sleep(0.2)
        connection.sendall(data[size:])
        assert connection.recv(65_536).startswith(b"HTTP/1.1 431 ")


def test_head_below_the_limit_is_served_again_and_again(service: Service) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 15_000 + b"\r\n\r\n"
    assert service.raw(request * 5 + LAST).count(b"HTTP/1.1 200") == 6


def test_large_body_is_not_taken_for_a_large_head(service: Service, cluster: Cluster) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    target = service.path(cluster, "/logs/open")
    request = f"POST {target} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    answer = service.raw(request + chunk * 20 + b"0\r\n\r\n" + LAST)
    assert answer.count(b"HTTP/1.1 401") == 1
    assert answer.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xe6\x97\xa5 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nX\x00: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_in_json(service: Service, data: bytes) -> None:
    status, body = refusal(service.raw(data))
    assert (status, body["error_code"], body["error_msg"]) == (400, "APIGW.0201", "API request error.")
    assert body["externalMessage"] == "APIGW.0201 : API request error."


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET http://example.org/healthz HTTP/1.1", b"200"),
        (b"OPTIONS * HTTP/1.1", b"404"),
        (b"GET /nothing HTTP/1.0", b"404"),
        (b"GET /healthz?x=%00%ff HTTP/1.1", b"200"),
        (b"HEAD /healthz HTTP/1.1", b"404"),
    ],
)
def test_unusual_http_is_served(service: Service, request_line: bytes, status: bytes) -> None:
    assert service.raw(request_line + b"\r\nHost: h\r\nConnection: close\r\n\r\n").split(b" ")[1] == status


def test_upgrade_to_a_web_socket_is_not_offered(service: Service) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    assert service.raw(request).split(b" ")[1] == b"200"


def test_client_that_leaves_in_mid_request_harms_nobody(service: Service, cluster: Cluster) -> None:
    path = service.path(cluster, "/logs/open")
    headers = service.signed("POST", path, b"x" * 1000)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    assert service.raw(f"POST {path} HTTP/1.1\r\n{head}Content-Length: 1000\r\n\r\nabc".encode(), silence=0.2) == b""
    assert service.call("GET", service.path(cluster)).status == 200


def slowly(service: Service, parts: list[bytes], pause: float) -> bytes:
    """Send the parts with pauses between them, and read what comes after them within a second."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        return connection.recv(65536)


def head_of(service: Service, path: str, body: bytes, extra: str) -> bytes:
    headers = service.signed("POST", path, body)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}{extra}\r\n\r\n".encode()


@pytest.mark.parametrize("chunked", [False, True])
def test_body_that_comes_slowly_is_read(service: Service, cluster: Cluster, chunked: bool) -> None:
    path, body = service.path(cluster, "/logs/open"), json.dumps(SETTING).encode()
    pieces = [body[start : start + 10] for start in range(0, len(body), 10)]
    if chunked:
        head = head_of(service, path, body, "Transfer-Encoding: chunked")
        pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n", b"\r\n"]
    else:
        head = head_of(service, path, body, f"Content-Length: {len(body)}")
    answer = slowly(service, [head[:30], head[30:], *pieces], 0.01)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_body_that_does_not_come_is_not_waited_for_for_ever(
    service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_SECONDS", 0.2)
    head = head_of(service, service.path(cluster, "/logs/open"), b"x" * 1000, "Content-Length: 1000")
    status, body = refusal(slowly(service, [head, b"x", b"x"], 0.05))
    assert (status, body["error_code"]) == (400, "APIGW.0201")
    assert "did not come within" in body["error_msg"]
    assert service.call("GET", service.path(cluster)).status == 200


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that gives strangers 0.3 seconds."""
    limits = Limits(known_seconds=1, stranger_seconds=0.3)
    with running_service(tmp_path_factory.mktemp("impatient"), limits) as service:
        yield service


@pytest.mark.parametrize("parts", [[], [b"GET /healthz HT"], [LAST[:30], b"X: y\r\n", b"X: y\r\n"]])
def test_head_that_does_not_come_is_not_waited_for_for_ever(impatient: Service, parts: list[bytes]) -> None:
    assert slowly(impatient, parts, 0.02) == b""
    assert impatient.send("GET", "/healthz").status == 200


def test_later_request_of_a_connection_has_the_same_time_for_its_head(impatient: Service) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=10) as connection:
        for part in (request, request[:9], request[9:], request[:9]):
            connection.sendall(part)
            time.sleep(0.1)
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n" + b"X:y\r\n" * 120, b"GET / HTTP/1.1\r\n" + b"X:y\r\n" * 101 + b"\r\n"]
)
def test_head_of_more_than_100_headers_is_refused(service: Service, data: bytes) -> None:
    assert refusal(service.raw(data))[0] == 431


def test_requests_sent_far_ahead_by_a_stranger_are_not_kept(service: Service) -> None:
    slow = b"POST /v3/auth/tokens HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
    assert service.raw(slow * 9 + LAST).count(b"HTTP/1.1 ") in {0, 1, 9, 10}
    assert service.raw(slow * 500).count(b"HTTP/1.1 ") < 500
    assert service.send("GET", "/healthz").status == 200


def resident() -> int:
    """Bytes of memory of this process, which is also the server's."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_two_thousand_bad_requests_leave_nothing_behind(service: Service, cluster: Cluster) -> None:
    path = service.path(cluster, "/logs/open")

    def bad(number: int) -> list[bytes]:
        tag = f"{number:032x}"
        deep = b'{"agency":' + b"[" * 20_000
        wrong = f"SDK-HMAC-SHA256 Access=AK{tag}, SignedHeaders=x-sdk-date, Signature={tag * 2}"
        return [
            b"\x16\x03\x01" + tag.encode() + b"\r\n\r\n",
            f"GET /{tag}/{tag} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode(),
            f"GET {path} HTTP/1.1\r\nX: {tag * 520}\r\n\r\n".encode(),
            f"GET {path} HTTP/1.1\r\nAuthorization: {wrong}\r\nX-Sdk-Date: 20251124T000000Z\r\n"
            "Connection: close\r\n\r\n".encode(),
            head_of(service, path, deep, f"Connection: close\r\nContent-Length: {len(deep)}") + deep,
            head_of(service, path, tag.encode(), "Connection: close\r\nContent-Length: 12582913"),
        ]

    def send(numbers: range) -> int:
        answers = [service.raw(request, silence=5) for number in numbers for request in bad(number)]
        assert all(answer.split(b" ")[1][:1] == b"4" for answer in answers if answer)
        return len(answers)

    send(range(60))  # fills what is kept on purpose
    before = resident()
    assert send(range(60, 394)) >= 2000
    assert resident() - before < 8 * 2**20
    assert service.call("GET", service.path(cluster)).status == 200
