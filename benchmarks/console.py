"""The console: what a first page costs a reader, what it costs who never opens it, and what readers cost the API."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

from sqlalchemy import insert

from benchmarks.result import Result, judge, middle, not_measured
from benchmarks.service import Served, run_command, serve_at
from benchmarks.surroundings import find_program, scratch
from logkeep.bootstrap.runtime import open_runtime
from logkeep.database import tables
from logkeep.database.connection import writing
from logkeep.settings import load_settings

_CLUSTERS = 1000
_RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
_READERS = int(os.environ.get("BENCH_READERS", "200"))
_READ_SECONDS = int(os.environ.get("BENCH_READ_SECONDS", "20"))
_EACH_SECONDS = 2.0  # between two looks of a page on which something runs
_STARTS = 5
_DAY_MS = 86_400_000
_PAGE, _ROWS = "/console/clusters", "/console/clusters/rows"
_FILE = re.compile(r'(?:src|href)="(/console/static/[^"]+)"')


@dataclass
class _Reader:
    """A browser without a screen: it is signed in, keeps its cookies, and reads pages as they are sent."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    received: int = 0  # bytes of bodies

    def sign_in(self, keys: dict[str, str]) -> None:
        form = self.get("/console/sign-in?with=key")
        token = form.partition('name="token" value="')[2].partition('"')[0]
        body = urlencode({"token": token, "ak": keys["ak"], "sk": keys["sk"]})
        self._ask("POST", "/console/sign-in", body)
        self.received = 0

    def get(self, path: str) -> str:
        return self._ask("GET", path).decode()

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        headers = {"Accept-Encoding": "gzip", "Cookie": self.cookie}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status in {200, 303}, data
            self._keep_cookies(answer)
            self.received += len(data)
            return gzip.decompress(data) if answer.getheader("Content-Encoding") == "gzip" else data

    def _keep_cookies(self, answer: HTTPResponse) -> None:
        for value in answer.headers.get_all("Set-Cookie") or []:
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.partition(";")[0]


def pages() -> list[Result]:
    """The first page with its files, as it is sent; and its time with many clusters and records."""
    with scratch() as folder, _filled(folder) as (keys, _), serve_at(folder) as served:
        reader = _Reader(served.port)
        reader.sign_in(keys)
        first = _once(reader, _PAGE)
        named = sorted(set(_FILE.findall(reader.get(_PAGE))))
        size = first.size + sum(_once(reader, path).size for path in named)
        times = [_once(reader, _PAGE).ms for _ in range(10)]
        rows = [_once(reader, _ROWS).ms for _ in range(10)]
    many = f"{_CLUSTERS:,} clusters, {_RECORDS:,} records"
    return [
        judge(
            "first page of the console, with its files",
            size / 1000,
            "kB",
            "<= 100 kB",
            against=f"{len(named)} files beside it",
        ),
        judge(f"first page of {many}", middle(times), "ms", "<= 300 ms", against=f"the very first: {first.ms:.0f} ms"),
        judge(f"its list alone, as it is polled, {many}", middle(rows), "ms", "<= 300 ms"),
    ]


@dataclass(frozen=True)
class _Look:
    ms: float
    size: int


def _once(reader: _Reader, path: str) -> _Look:
    before, began = reader.received, time.perf_counter()
    reader.get(path)
    return _Look((time.perf_counter() - began) * 1000, reader.received - before)


def unused() -> list[Result]:
    """Start and idle memory of a service whose console nobody opens, against one that has none."""
    found: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    with scratch() as folder:
        keys = run_command("init", folder)
        path = f"/v3/projects?name={keys['project_id']}"
        for number in range(2 * _STARTS):  # in turn, so that what else the machine does meets both
            enabled = number % 2 == 0
            (folder / "logkeep.toml").write_text(f"[console]\nenabled = {str(enabled).lower()}\n", encoding="utf-8")
            began = time.perf_counter()
            with serve_at(folder) as served:
                served.answer(path, keys)
                took = time.perf_counter() - began
                time.sleep(1)  # what the start has begun is done
                found[enabled].append((took, served.memory()))
    took, without = (middle(one for one, _ in found[enabled]) for enabled in (True, False))
    held, bare = (middle(float(one) for _, one in found[enabled]) / 2**20 for enabled in (True, False))
    return [
        judge(
            "start to first signed answer, with the console",
            took,
            "s",
            "<= 1.1",
            against=f"without: {without:.2f} s",
            ratio=took / without,
        ),
        judge(
            "idle memory, with the console",
            held,
            "MiB",
            "<= 1.05",
            against=f"without: {bare:.1f} MiB",
            ratio=held / bare,
        ),
    ]


def readers() -> list[Result]:
    """p99 of a page of the API while many read the list of clusters, whose ages are told anew each minute."""
    name = f"p99 of a page of records while {_READERS} read the console"
    wrk = find_program("wrk")
    if not wrk:
        return [not_measured(name, "not installed: apt-get install wrk", "<= 2")]
    with scratch() as folder, _filled(folder) as (keys, cluster_id), serve_at(folder) as served:
        page = f"/v1.0/{keys['project_id']}/clusters/{cluster_id}/logs/records"
        reader = _Reader(served.port)
        reader.sign_in(keys)
        reader.get(_PAGE)
        served.load(wrk, page, keys)  # until the queue is imported, too
        quiet = served.load(wrk, page, keys, _READ_SECONDS)
        time.sleep((60 - _READ_SECONDS / 2 - time.time()) % 60)  # so that a minute begins in the middle
        with _reading(served, reader.cookie) as polls:
            read = served.load(wrk, page, keys, _READ_SECONDS)
    told = ", ".join(f"{number} × {status}" for status, number in sorted(polls.answers.items()))
    against = f"quiet: {quiet.p99:.3g} ms; {told}, {polls.mean_ms:.0f} ms each"
    return [judge(name, read.p99, "ms", "<= 2", against=against, ratio=read.p99 / quiet.p99)]


@dataclass
class _Polls:
    """What the readers were answered."""

    answers: dict[int, int] = field(default_factory=dict[int, int])
    ms: float = 0.0

    @property
    def mean_ms(self) -> float:
        return self.ms / max(sum(self.answers.values()), 1)


@contextmanager
def _reading(served: Served, cookie: str) -> Generator[_Polls]:
    """Many readers, each with a connection of its own, until it is left."""
    polls, end = _Polls(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_read_all(served.port, cookie, polls, end)))
    thread.start()
    try:
        yield polls
    finally:
        end.set()
        thread.join()


async def _read_all(port: int, cookie: str, polls: _Polls, end: threading.Event) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(_READERS):
            group.create_task(_read(port, cookie, polls, end, _EACH_SECONDS * number / _READERS))


async def _read(port: int, cookie: str, polls: _Polls, end: threading.Event, later: float) -> None:
    await asyncio.sleep(later)
    source, sink = await asyncio.open_connection("127.0.0.1", port)
    etag = ""
    while not end.is_set():
        began = time.perf_counter()
        sink.write(
            f"GET {_ROWS} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\nHX-Request: true\r\n"
            f"Accept-Encoding: gzip\r\n{f'If-None-Match: {etag}' if etag else 'X-First: 1'}\r\n\r\n".encode()
        )
        head = (await source.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"\r\ncontent-length: (\d+)", head)
        await source.readexactly(int(length[1]) if length else 0)
        status = int(head.split()[1])
        found = re.search(r'\r\netag: ("[^"]+")', head)
        etag = found[1] if found and status == 200 else etag
        polls.answers[status] = polls.answers.get(status, 0) + 1
        polls.ms += (time.perf_counter() - began) * 1000
        await asyncio.sleep(max(0.0, _EACH_SECONDS - (time.perf_counter() - began)))
    sink.close()


@contextmanager
def _filled(folder: Path) -> Generator[tuple[dict[str, str], str]]:
    """An installation with many clusters and records up to now; its keys, and the id of a cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logkeep.toml").write_text("[buckets.logs]\n", encoding="utf-8")
    keys = run_command("init", folder)
    runtime = open_runtime(load_settings(folder, {}))
    ids, each = sorted(str(uuid4()) for _ in range(_CLUSTERS)), max(_RECORDS // _CLUSTERS, 1)
    now = runtime.clock.now_ms()
    with writing(runtime.database) as connection:
        connection.execute(insert(tables.clusters), [_cluster(one, n, keys["project_id"]) for n, one in enumerate(ids)])
        connection.execute(insert(tables.nodes), [_node(one) for one in ids])
        connection.execute(insert(tables.log_settings), [_setting(one, now) for one in ids])
        for number, one in enumerate(ids):
            connection.execute(insert(tables.jobs), list(_records(one, number, each, now)))
        connection.execute(insert(tables.job_counts), [_count(one, each, now) for one in ids])
    runtime.database.dispose()
    yield keys, ids[0]


def _cluster(cluster_id: str, number: int, project_id: str) -> dict[str, object]:
    made = {"kind": "opensearch", "version": "", "endpoint": "", "created_at": 1, "updated_at": 1}
    return {"id": cluster_id, "project_id": project_id, "name": f"cluster-{number:04}", **made}


def _node(cluster_id: str) -> dict[str, object]:
    return {
        "cluster_id": cluster_id,
        "id": str(uuid4()),
        "name": "n",
        "source": "file:///nowhere",
        "role": "",
        "ip": "",
    }


def _setting(cluster_id: str, now: int) -> dict[str, object]:
    return {
        "cluster_id": cluster_id,
        "id": str(uuid4()),
        "enabled": True,
        "agency": "agency",
        "bucket": "logs",
        "base_path": "css/log",
        "period": "00:00 GMT+08:00",
        "updated_at": now,
        "policy_since": 1,
        "due_at": now + _DAY_MS,
    }


def _records(cluster_id: str, number: int, each: int, now: int) -> Iterator[dict[str, object]]:
    """One a day up to now; each fiftieth has failed."""
    for day in range(each):
        created = now - (each - day) * _DAY_MS + number * 360
        failed = (day + number) % 50 == 0
        yield {
            "id": str(uuid4()),
            "job_id": uuid4().hex,
            "cluster_id": cluster_id,
            "type": "Auto",
            "status": "FAIL" if failed else "SUCCESS",
            "bucket": "logs",
            "base_path": "css/log",
            "created_at": created,
            "finished_at": created + 4000,
            "failed_msg": "LK-SOURCE-UNREACHABLE: node n: connection refused" if failed else None,
        }


def _count(cluster_id: str, each: int, now: int) -> dict[str, object]:
    return {"cluster_id": cluster_id, "status": "SUCCESS", "jobs": each, "last_at": now - _DAY_MS}
