"""What was answered is there: the service is killed right after the last byte of an answer, and started again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from logkeep.bootstrap.service import Service
from logkeep.cli.access import read_access
from logkeep.settings import load_settings
from logkeep.signing.sdk_hmac import sign
from tests.integration.cli.installed import Served, init, serving, until

SETTING = {"agency": "css_obs_agency", "logBucket": "logs", "logBasePath": "first/path"}
OTHER = {"agency": "css_obs_agency", "logBucket": "logs", "logBasePath": "other/path"}


@dataclass
class Tenant:
    """Signed requests over connections of their own, as bare as they can be."""

    directory: Path
    cluster: str = ""

    def call(self, method: str, path: str, body: object = None, *, then: Callable[[], None] = lambda: None) -> Any:
        """`then` is called when the last byte of the answer has been read."""
        access = read_access(self.directory)
        assert access
        url = f"{access.endpoint}{path.format(project=access.project_id, cluster=self.cluster)}"
        data = json.dumps(body).encode() if body is not None else b""
        headers = sign(
            access.ak, access.sk, method, url, now_ms=time.time_ns() // 1_000_000,
            headers={"Content-Type": "application/json"}, body=data,
        )  # fmt: skip
        with closing(http.client.HTTPConnection(access.endpoint.removeprefix("http://"), timeout=30)) as connection:
            connection.request(method, url.removeprefix(access.endpoint), data or None, headers)
            answer = connection.getresponse()
            found = answer.read()
            then()
        assert answer.status == 200, found
        return json.loads(found) if found else None

    def css(self, method: str, path: str, body: object = None, *, then: Callable[[], None] = lambda: None) -> Any:
        return self.call(method, "/v1.0/{project}/clusters/{cluster}/logs/" + path, body, then=then)

    def setting(self) -> dict[str, Any]:
        return self.css("GET", "settings")["logConfiguration"]

    def records(self) -> list[dict[str, Any]]:
        return self.css("GET", "records?limit=100")["clusterLogRecord"]


def kill(served: Served) -> Callable[[], None]:
    def at_once() -> None:
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait(30)

    return at_once


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    """Of a cluster that was registered before a kill as well."""
    directory, logs = tmp_path / "installation", tmp_path / "node"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 100)
    init(directory)
    tenant = Tenant(directory)
    with serving(directory) as served:
        new = {"name": "prod", "nodes": [{"name": "n1", "source": f"file://{logs}"}]}
        tenant.cluster = tenant.call("POST", "/api/v1/clusters", new, then=kill(served))["id"]
    yield tenant


def test_each_answered_call_is_there_after_a_kill(tenant: Tenant) -> None:
    def check(**expected: object) -> None:
        setting = tenant.setting()
        assert {name: setting[name] for name in expected} == expected

    steps: list[tuple[str, str, object, Callable[[], None]]] = [
        ("POST", "open", SETTING, lambda: check(logSwitch=True, basePath="first/path", autoEnable=False)),
        ("POST", "settings", OTHER, lambda: check(logSwitch=True, basePath="other/path")),
        (
            "POST",
            "policy/update",
            {"period": "03:00 GMT+08:00"},
            lambda: check(autoEnable=True, period="03:00 GMT+08:00"),
        ),
        ("PUT", "policy/close", None, lambda: check(autoEnable=False, period=None)),
        ("POST", "collect", None, lambda: until(lambda: [r["status"] for r in tenant.records()] == ["SUCCESS"], 60)),
        ("PUT", "close", None, lambda: check(logSwitch=False)),
    ]
    before: list[Callable[[], None]] = []
    for method, path, body, holds in steps:
        with serving(tenant.directory) as served:
            for check_before in before:
                check_before()
            tenant.css(method, path, body, then=kill(served))
        before = [holds]
    with serving(tenant.directory):
        before[0]()
        assert [record["status"] for record in tenant.records()] == ["SUCCESS"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.long)])
def test_every_backup_that_was_accepted_ends_though_each_answer_is_followed_by_a_kill(
    tenant: Tenant, kills: int
) -> None:
    """The record and its work are one transaction: there is never the one without the other."""
    with serving(tenant.directory):
        tenant.css("POST", "open", SETTING)
    for number in range(kills):
        with serving(tenant.directory) as served:
            until(lambda: all(record["status"] == "SUCCESS" for record in tenant.records()), 60)
            tenant.css("POST", "collect", then=kill(served))
        assert _work_without_record(tenant.directory / "logkeep.db") == (0, 0), number
    with serving(tenant.directory):
        until(lambda: all(record["status"] == "SUCCESS" for record in tenant.records()), 60)
        assert len(tenant.records()) == kills


def _work_without_record(database: Path) -> tuple[int, int]:
    """How many records are RUNNING without work in the queue, and the other way round."""
    with closing(sqlite3.connect(database)) as connection:
        jobs = {row[0] for row in connection.execute("SELECT job_id FROM jobs")}
        work = {row[0] for row in connection.execute("SELECT workflow_uuid FROM workflow_status")}
    return len(jobs - work), len(work - jobs)


def test_every_connection_of_the_service_syncs_what_it_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the queue too: FULL, as its work is in the same file, and a commit of either makes both durable."""
    monkeypatch.delenv("LOGKEEP_TEST_POSTGRESQL", raising=False)
    init(tmp_path)
    levels: dict[Any, set[tuple[int, str]]] = {}  # by pool

    def look(connection: sqlite3.Connection, _record: object, fairy: Any) -> None:
        [synchronous] = connection.execute("PRAGMA synchronous").fetchone()
        [journal] = connection.execute("PRAGMA journal_mode").fetchone()
        levels.setdefault(fairy._pool, set()).add((synchronous, journal))

    event.listen(Pool, "checkout", look)
    try:
        service = Service(load_settings(tmp_path, {}))
        service.start()
        until(lambda: not service.ready())
        time.sleep(1.5)  # the queue and the policies look around
        service.stop()
        service.runtime.database.dispose()
    finally:
        event.remove(Pool, "checkout", look)
    assert len(levels) > 1
    assert set.union(*levels.values()) == {(2, "wal")}
