"""What a database that goes away, or hangs, leaves in the log of a process, and that SIGTERM ends it all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.integration.cli.installed import init, until
from tests.real.postgres import PostgresServer
from tests.real.test_workers import SLOW, Site
from tests.support.installation import new_database

pytestmark = pytest.mark.real

UNIT_SECONDS = 30  # TimeoutStopSec= in deploy/systemd


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer(durable=False) as server:
        yield server


@pytest.fixture
def site(server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("LOGKEEP_TEST_POSTGRESQL", server.url())
    database = new_database()["LOGKEEP_DATABASE"]
    init(tmp_path / "installation", f'database = "{database}"\n{SLOW}')
    site = Site(tmp_path / "installation", database)
    with site.held:
        yield site
    site.database.dispose()


def events(log: list[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in list(log) if line.startswith("{")]


def said(log: list[str], event: str) -> list[dict[str, object]]:
    return [one for one in events(log) if one["event"] == event]


@contextmanager
def hanging(server: PostgresServer) -> Iterator[None]:
    """Stop all processes of the server: its kernel still answers for it."""
    processes = server.processes()
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_outage_is_one_sentence_at_its_start_and_one_at_its_end(site: Site, server: PostgresServer) -> None:
    served, worker = site.answer(), site.start_worker()
    site.write("a", "es.log", 10)
    site.add_cluster("a")
    site.tenant("backup", "a")
    site.settle()
    until(lambda: said(worker.log, "backup ended"))
    before = len(events(worker.log)), len(events(served.log))
    server.kill()
    until(lambda: said(worker.log, "the database fails; work goes on when it is back"))
    for _ in range(10):
        httpx.get(f"{served.endpoint}/api/v1/clusters")
        time.sleep(1)  # as many ticks of each thread
    assert len(events(worker.log)) == before[0] + 1
    assert len(events(served.log)) == before[1] + 1
    start = events(worker.log)[-1]
    assert start["code"] == "LK-DATABASE-UNREACHABLE"
    assert "check host and port in the setting `database`" in str(start["error"])
    server.start()
    for log in (worker.log, served.log):
        until(lambda log=log: said(log, "the database is back"))
    assert "Traceback" not in "".join(worker.log + served.log)
    ends = [events(log)[-1] for log in (worker.log, served.log)]
    assert all(10 < float(str(end["seconds"])) < 60 for end in ends), ends


@pytest.mark.parametrize("hangs", [False, True])
def test_sigterm_ends_idle_processes_in_time_while_the_database_is_away(
    site: Site, server: PostgresServer, hangs: bool
) -> None:
    served, worker = site.answer(), site.start_worker()
    if not hangs:
        server.kill()
        until(lambda: said(worker.log, "the database fails; work goes on when it is back"))
        _end(served.process, worker.process)
        return
    with hanging(server):
        until(lambda: said(worker.log, "the database fails; work goes on when it is back"))
        assert events(worker.log)[-1]["code"] == "LK-DATABASE-UNREACHABLE"
        _end(served.process, worker.process)


def _end(*processes: subprocess.Popen[str]) -> None:
    began = time.monotonic()
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        assert process.wait(UNIT_SECONDS) == 0
    print(f"ended after {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < UNIT_SECONDS
