"""The service: a page of records against the same server answering a constant, and how soon it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.load import SECONDS, Load, put_under_load
from benchmarks.logs import enlarge
from benchmarks.result import Result, judge, middle, not_measured, seconds
from benchmarks.site import new_database
from benchmarks.surroundings import find_program, scratch
from logkeep.bootstrap.runtime import open_runtime
from logkeep.database.connection import writing
from logkeep.database.tables import job_counts, jobs
from logkeep.service import clusters
from logkeep.settings import load_settings
from logkeep.signing.sdk_hmac import parse_authorization, sign, verify
from tests.integration.cli.installed import COMMAND, environment
from tests.real.postgres import PostgresServer
from tests.real.servers import free_port
from tests.support.processes import running

_RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
_FEW = 10_000
_BACKUP_BYTES = 2 * 2**30  # more than is stored while pages are asked for
_ROUNDS = 3


@dataclass(frozen=True)
class Filled:
    """An installation with one cluster that has many records."""

    folder: Path
    keys: dict[str, str]
    page: str  # path of the list
    last: str  # path of its last page


def list_records() -> list[Result]:
    """Pages of 10 of a cluster with many records, signed, at the beginning and at the end; /healthz is the constant."""
    wrk = find_program("wrk")
    name = f"page of 10 of {_RECORDS:,} records"
    if not wrk:
        return [not_measured(name, "not installed: apt-get install wrk", ">= 0.5")]
    with scratch() as folder:
        small, large = fill(folder / "small", _FEW), fill(folder / "large", _RECORDS)
        rounds = [_list_round(wrk, small, large) for _ in range(_ROUNDS)]
    rate = {what: middle(one[what].rate for one in rounds) for what in rounds[0]}
    p50, p99 = (middle(getattr(one["page"], share) for one in rounds) for share in ("p50", "p99"))
    few, page, last = f"of {_FEW:,}", rate["page"], rate["last"]
    return [
        judge(name, page, "/s", ">= 0.5", against=_rate("constant", rate["constant"]), ratio=page / rate["constant"]),
        judge(
            f"{name}, again",
            page,
            "/s",
            ">= 3",
            against=_rate("FastAPI + ORM", rate["rival"]),
            ratio=page / rate["rival"],
        ),
        judge(f"{name}, p99", p99, "ms", "<= 5", against=f"p50: {p50:.3g} ms", ratio=p99 / p50),
        judge(
            f"cost of the first page of {_RECORDS:,}",
            1e6 / page,
            "us",
            "<= 1.3",
            against=_cost(few, rate["small page"]),
            ratio=rate["small page"] / page,
        ),
        judge(
            f"cost of the last page of {_RECORDS:,}",
            1e6 / last,
            "us",
            "<= 1.3",
            against=_cost(few, rate["small last"]),
            ratio=rate["small last"] / last,
        ),
    ]


def _rate(name: str, rate: float) -> str:
    return f"{name}: {rate:,.0f}/s"


def _cost(name: str, rate: float) -> str:
    return f"{name}: {1e6 / rate:,.0f} us"


def _list_round(wrk: str, small: Filled, large: Filled) -> dict[str, Load]:
    with serve_at(large.folder) as served:
        whole = json.loads(served.answer(large.page, large.keys))
        found = {
            "constant": served.load(wrk, "/healthz"),
            "page": served.load(wrk, large.page, large.keys),
            "last": served.load(wrk, large.last, large.keys),
        }
    with serve_at(small.folder) as served:
        served.load(wrk, "/healthz")  # until the queue is imported, too
        found["small page"] = served.load(wrk, small.page, small.keys)
        found["small last"] = served.load(wrk, small.last, small.keys)
    with _rival_at(large) as served:
        assert json.loads(served.answer(large.page, large.keys)) == whole, "the rival does another job"
        found["rival"] = served.load(wrk, large.page, large.keys)
    return found


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
    return [judge("verify a signature", micro, "us", "<= 60 us")]


def start() -> list[Result]:
    """From the start of the process to the first answer, and to the first page of records."""
    with scratch() as folder:
        keys = run_command("init", folder / "installation")
        answers: list[float] = []
        pages: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            with serve_at(folder / "installation") as served:
                answers.append(time.perf_counter() - began)
                served.answer(f"/v3/projects?name={keys['project_id']}", keys)
                pages.append(time.perf_counter() - began)
        bare = seconds(lambda: subprocess.run([sys.executable, "-c", "import starlette, sqlalchemy"], check=True), 5)
    signed, against = middle(pages), f"import starlette, sqlalchemy: {bare:.2f} s"
    return [
        judge("start to first answer", middle(answers), "s", "<= 1 s"),
        judge("start to first signed answer", signed, "s", "<= 2", against=against, ratio=signed / bare),
    ]


def list_beside_a_backup() -> list[Result]:
    """p99 of a page of records while a first backup runs: in the same process, and in a worker beside it."""
    names = [f"p99 of a page while {where} makes a first backup" for where in ("the same process", "a worker")]
    wrk = find_program("wrk")
    if not wrk:
        return [not_measured(name, "not installed: apt-get install wrk", "<= 2") for name in names]
    rows: list[Result] = []
    with scratch() as folder:
        enlarge(folder / "logs", _BACKUP_BYTES)
        one = fill(folder / "one", _FEW)
        rows.append(_beside(names[0], wrk, one, folder / "logs"))
        try:
            server = PostgresServer()
        except RuntimeError as error:
            return [*rows, not_measured(names[1], f"{error}".partition("\n")[0], "<= 2")]
        with server:
            two = fill(folder / "two", _FEW, new_database(server, "beside"))
            command = [*COMMAND, "--dir", str(two.folder), "worker"]
            with running(command, "takes up to", env=environment(), stdout=subprocess.DEVNULL):
                rows.append(_beside(names[1], wrk, two, folder / "logs", "--without-worker"))
    return rows


def _beside(name: str, wrk: str, filled: Filled, logs: Path, *options: str) -> Result:
    with serve_at(filled.folder, *options) as served:
        served.load(wrk, filled.page, filled.keys)  # until the queue is imported, too
        quiet = served.load(wrk, filled.page, filled.keys)
        run_command("cluster", filled.folder, "add", "large", "--node", f"n={logs}")
        run_command(
            "logs", filled.folder, "open", "large", "--bucket", "logs", "--base-path", "css/log", "--agency", "a"
        )
        run_command("backup", filled.folder, "large")
        beside = served.load(wrk, filled.page, filled.keys)
        records = run_command("records", filled.folder, "large")["clusterLogRecord"]
        assert records[0]["status"] == "RUNNING", "the backup was too quick"
    against = f"quiet: {quiet.p99:.3g} ms"
    return judge(name, beside.p99, "ms", "<= 2", against=against, ratio=beside.p99 / quiet.p99)


class Served:
    """A server as a process of its own, while it is in use; `load` gives it 8 connections."""

    def __init__(self, command: Sequence[str], port: int, first: str) -> None:
        """`first` is the path of a constant, by which it is seen to answer."""
        self.port = port
        self._first = first
        self._process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)

    def __enter__(self) -> Served:
        """Wait for the first answer."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.answer(self._first)
                return self
            except ConnectionError:
                time.sleep(0.002)
        raise TimeoutError("the service did not answer within a minute")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def answer(self, target: str, keys: dict[str, str] | None = None) -> bytes:
        """The body of a response, which must be a good one."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            connection.request("GET", target, headers=self._headers(target, keys))
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return body

    def load(self, wrk: str, target: str, keys: dict[str, str] | None = None, seconds: int = SECONDS) -> Load:
        return put_under_load(wrk, self._url(target), self._headers(target, keys), seconds)

    def memory(self) -> int:
        """Bytes that it holds of the machine's memory now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def _headers(self, target: str, keys: dict[str, str] | None) -> dict[str, str]:
        """Signed once, as a signature is good for 15 minutes."""
        headers = {"Host": f"127.0.0.1:{self.port}", "User-Agent": "bench"}
        if not keys:
            return headers
        now_ms = time.time_ns() // 1_000_000
        return sign(keys["ak"], keys["sk"], "GET", self._url(target), now_ms=now_ms, headers=headers)

    def _url(self, target: str) -> str:
        return f"http://127.0.0.1:{self.port}{target}"


def serve_at(folder: Path, *options: str) -> Served:
    port = free_port()
    return Served([*COMMAND, "--dir", str(folder), "serve", "--port", str(port), *options], port, "/healthz")


def _rival_at(filled: Filled) -> Served:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.rival", str(filled.folder / "logkeep.db"), str(port)]
    return Served([*command, filled.keys["ak"], filled.keys["sk"]], port, "/openapi.json")


def fill(folder: Path, records: int, database: str = "") -> Filled:
    folder.mkdir(parents=True)
    chosen = f'database = "{database}"\n' if database else ""
    (folder / "logkeep.toml").write_text(f"{chosen}[buckets.logs]\n", encoding="utf-8")
    keys = run_command("init", folder)
    path = f"/v1.0/{keys['project_id']}/clusters/{_add_records(folder, keys['project_id'], records)}/logs/records"
    return Filled(folder, keys, path, f"{path}?offset={records - 9}")


def _add_records(folder: Path, project_id: str, records: int) -> str:
    runtime = open_runtime(load_settings(folder, {}))
    logs = folder.with_name(f"{folder.name}-node")
    logs.mkdir()
    cluster = clusters.add_cluster(runtime, project_id, "bench", [clusters.NewNode("n", f"file://{logs}")])
    with writing(runtime.database) as connection:
        for start in range(0, records, 10_000):
            rows = [_record(cluster.id, number) for number in range(start, min(start + 10_000, records))]
            connection.execute(jobs.insert(), rows)
        connection.execute(job_counts.insert().values(cluster_id=cluster.id, status="SUCCESS", jobs=records))
    runtime.database.dispose()
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


def run_command(name: str, folder: Path, *arguments: str) -> dict[str, Any]:
    command = [*COMMAND, "--dir", str(folder), name, *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment(), check=True)
    return json.loads(done.stdout)
