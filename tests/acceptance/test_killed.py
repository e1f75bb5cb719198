"""kill -9 of the whole service, as the machine does it when memory or power is out."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.installed import Served, called, init, serving, until
from tests.support import corpus

_FILES = 250


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    init(tmp_path / "installation")
    return tmp_path / "installation"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Many files, so that a backup takes some seconds."""
    folder = tmp_path / "node"
    folder.mkdir()
    chance = random.Random(1)
    for number in range(1, _FILES + 1):
        lines = b"".join(b"%d-%d %s\n" % (number, n, chance.randbytes(8).hex().encode()) for n in range(50))
        (folder / f"es-2026-11-24-{number}.log").write_bytes(lines)
    (folder / "es.log").write_bytes(b"active\n")
    return folder


def command(served: Served, *arguments: str) -> Any:
    """The JSON document that a command prints; called in this process, which is quicker."""
    return called(served.directory, *arguments, "--json").ended(0).json


def records(served: Served) -> list[dict[str, object]]:
    return command(served, "records", "prod")["clusterLogRecord"]


def kill(served: Served) -> None:
    served.process.send_signal(signal.SIGKILL)
    served.process.wait(30)


def stored(directory: Path) -> int:
    return sum(1 for _ in (directory / "buckets" / "logs" / "css").rglob("*.zst"))


def test_backup_that_was_killed_again_and_again_goes_on_by_itself(directory: Path, node: Path, tmp_path: Path) -> None:
    with serving(directory) as served:
        command(served, "cluster", "add", "prod", "--node", f"n1=file://{node}")
        command(served, "logs", "open", "prod")
        command(served, "backup", "prod")
        until(lambda: stored(directory) >= 20)
        kill(served)
    for share in (2, 3):
        reached = stored(directory)
        with serving(directory) as served:
            until(lambda reached=reached, share=share: stored(directory) >= reached + _FILES // 10 * share // 2)
            assert [record["status"] for record in records(served)] == ["RUNNING"]
            kill(served)
    with serving(directory) as served:
        until(lambda: records(served)[0]["status"] != "RUNNING", 60)
        [record] = records(served)
        assert (record["status"], record["failedMsg"]) == ("SUCCESS", None)
        command(served, "restore", "prod", "--to", str(tmp_path / "restored"), "--join")
        command(served, "verify", "prod", "--read-data")
    assert (tmp_path / "restored/n1/es.log").read_bytes() == corpus.families(node)["es.log"]


def kill_at_the_next_object(served: Served) -> None:
    """Between the store and the database, if the moment is met."""
    folder = served.directory / "buckets/logs/css/log/prod/n1/es.log"
    until(folder.exists)
    reached = len(os.listdir(folder))
    end = time.monotonic() + 60
    while len(os.listdir(folder)) == reached:
        assert time.monotonic() < end
    kill(served)


def test_what_a_killed_backup_left_is_swept_once_it_has_ended(directory: Path, node: Path, tmp_path: Path) -> None:
    with serving(directory) as served:
        command(served, "cluster", "add", "prod", "--node", f"n1=file://{node}")
        command(served, "logs", "open", "prod")
        command(served, "backup", "prod")
        kill_at_the_next_object(served)
    tries = 0
    while not (orphans := command(served, "sweep", "prod", "--dry-run", "--grace", "0")["orphans"]):
        tries += 1
        assert tries < 20, "no kill fell between the store and the database"
        with serving(directory) as served:
            kill_at_the_next_object(served)
    assert {(orphan["fate"], orphan["reason"]) for orphan in orphans} == {("kept", "its job is running")}
    with serving(directory) as served:
        until(lambda: records(served)[0]["status"] == "SUCCESS", 60)
        before = command(served, "verify", "prod", "--read-data")
        assert before["orphans"]["objects"] == len(orphans)
        command(served, "restore", "prod", "--to", str(tmp_path / "before"), "--join")
        young = command(served, "sweep", "prod", "--yes")["orphans"]
        assert {orphan["fate"] for orphan in young} == {"kept"}
        swept = command(served, "sweep", "prod", "--yes", "--grace", "0")
        assert {orphan["object"] for orphan in swept["orphans"]} == {orphan["object"] for orphan in orphans}
        assert swept["removed"]["objects"] == len(orphans)
        after = command(served, "verify", "prod", "--read-data")
        assert after == before | {"orphans": {"objects": 0, "bytes": 0}}
        assert stored(directory) == after["objects"]
        command(served, "restore", "prod", "--to", str(tmp_path / "after"), "--join")
    assert (tmp_path / "after/n1/es.log").read_bytes() == corpus.families(node)["es.log"]
    assert (tmp_path / "before/n1/es.log").read_bytes() == corpus.families(node)["es.log"]


def test_service_that_was_ended_during_a_backup_goes_on_after_the_start(directory: Path, node: Path) -> None:
    with serving(directory) as served:
        command(served, "cluster", "add", "prod", "--node", f"n1=file://{node}")
        command(served, "logs", "open", "prod")
        command(served, "backup", "prod")
        until(lambda: stored(directory) >= 20)
        assert served.end() == 0
    with serving(directory) as served:
        until(lambda: records(served)[0]["status"] == "SUCCESS", 60)
