"""The service: a page of records against the same server answering a constant, and how soon it answers."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from benchmarks.result import Result, middle, seconds
from logkeep import bootstrap
from logkeep.database.connection import writing
from logkeep.database.tables import job_counts, jobs
from logkeep.service import clusters
from logkeep.settings import load_settings
from logkeep.signing.sdk_hmac import parse_authorization, sign, verify

_RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
_CONNECTIONS = 8
_SECONDS = 3.0


def list_records() -> list[Result]:
    """Pages of 10 of a cluster with many records, signed, at the beginning and at the end; /healthz is the constant."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "installation"
        keys = _command("init", folder)
        cluster = _add_records(folder, keys["project_id"])
        with _Served(folder) as served:
            path = f"/v1.0/{keys['project_id']}/clusters/{cluster}/logs/records"
            rounds = [
                (
                    served.rate(served.request("/healthz")),
                    served.rate(served.request(path, keys)),
                    served.rate(served.request(f"{path}?offset={_RECORDS - 9}", keys)),
                )
                for _ in range(3)
            ]
    constant, page, last = (middle([one[n] for one in rounds]) for n in range(3))
    against = f"constant: {constant:,.0f}/s"
    size = f"{_RECORDS:,}"
    return [
        Result(f"page of 10 of {size} records", page, "/s", against, page / constant, ">= 0.5", page >= constant / 2),
        Result(f"last page of {size} records", last, "/s", f"first page: {page:,.0f}/s", last / page, "", True),
    ]


def signature() -> list[Result]:
    """Verifying the signature of a list call, the header taken apart included."""
    url, ak, sk, now = (
        f"http://host/v1.0/{'p' * 32}/clusters/{uuid4()}/logs/records",
        "AK",
        "SK" * 20,
        1_700_000_000_000,
    )
    headers = sign(ak, sk, "GET", url, now_ms=now, headers={"Host": "host", "User-Agent": "bench"})
    received = {name.lower().encode(): value.encode() for name, value in headers.items()}

    def verify_many() -> None:
        for _ in range(2000):
            parsed = parse_authorization(received[b"authorization"])
            path = url.removeprefix("http://host").encode()
            verify(parsed, sk, method="GET", raw_path=path, raw_query=b"", headers=received, body=b"", now_ms=now)

    micro = seconds(verify_many, 5) / 2000 * 1e6
    return [Result("verify a signature", micro, "us", "", None, "<= 60 us", micro <= 60)]


def start() -> list[Result]:
    """From the start of the process to the first answer, and to the first page of records."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "installation"
        keys = _command("init", folder)
        answers: list[float] = []
        pages: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            with _Served(folder) as served:
                answers.append(time.perf_counter() - began)
                served.answer(served.request(f"/v3/projects?name={keys['project_id']}", keys))
                pages.append(time.perf_counter() - began)
    first, page = middle(answers), middle(pages)
    return [
        Result("start to first answer", first, "s", "", None, "<= 1 s", first <= 1),
        Result("start to first signed answer", page, "s", "", None, "<= 1 s", page <= 1),
    ]


class _Served:
    """`logkeep serve` on a free port, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [_logkeep(), "--dir", str(folder), "serve", "--port", str(self.port)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def __enter__(self) -> _Served:
        """Wait for the first answer."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.answer(self.request("/healthz"))
                return self
            except ConnectionError:
                time.sleep(0.002)
        raise TimeoutError("the service did not answer within a minute")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def request(self, target: str, keys: dict[str, str] | None = None) -> bytes:
        """A request as bytes; signed once, as a signature is good for 15 minutes."""
        headers = {"Host": f"127.0.0.1:{self.port}", "User-Agent": "bench"}
        if keys:
            url = f"http://127.0.0.1:{self.port}{target}"
            headers = sign(keys["ak"], keys["sk"], "GET", url, now_ms=time.time_ns() // 1_000_000, headers=headers)
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def answer(self, request: bytes) -> bytes:
        """One whole response; it must be 200."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(request)
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            head, _, body = received.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
            return head + b"\r\n\r\n" + body

    def rate(self, request: bytes) -> float:
        """Answers per second with some connections kept busy; all answers of a request have one length."""
        size = len(self.answer(request))
        chooser = selectors.DefaultSelector()
        connections = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(_CONNECTIONS)]
        missing = dict.fromkeys(connections, size)
        for connection in connections:
            chooser.register(connection, selectors.EVENT_READ)
            connection.sendall(request)
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < _SECONDS:
            for key, _ in chooser.select(1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                missing[connection] -= len(connection.recv(65536))
                if not missing[connection]:
                    count += 1
                    missing[connection] = size
                    connection.sendall(request)
        rate = count / (time.perf_counter() - began)
        for connection in connections:
            connection.close()
        return rate


def _add_records(folder: Path, project_id: str) -> str:
    context = bootstrap.open_context(load_settings(folder, {}))
    logs = folder / "node"
    logs.mkdir()
    cluster = clusters.add_cluster(context, project_id, "bench", [clusters.NewNode("n", f"file://{logs}")])
    with writing(context.database) as connection:
        for start in range(0, _RECORDS, 10_000):
            rows = [_record(cluster.id, number) for number in range(start, min(start + 10_000, _RECORDS))]
            connection.execute(jobs.insert(), rows)
        connection.execute(job_counts.insert().values(cluster_id=cluster.id, status="SUCCESS", jobs=_RECORDS))
    context.database.dispose()
    return cluster.id


def _record(cluster_id: str, number: int) -> dict[str, object]:
    created = 1_600_000_000_000 + number * 60_000
    return {
        "id": str(uuid4()),
        "job_id": uuid4().hex,
        "cluster_id": cluster_id,
        "type": "Auto",
        "status": "SUCCESS",
        "bucket": "logs",
        "base_path": "css/log",
        "created_at": created,
        "finished_at": created + 5000,
    }


def _command(name: str, folder: Path) -> dict[str, str]:
    command = [_logkeep(), "--dir", str(folder), name, "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def _logkeep() -> str:
    beside = Path(sys.executable).with_name("logkeep")
    return str(beside) if beside.exists() else shutil.which("logkeep") or sys.exit("install logkeep first: make setup")
