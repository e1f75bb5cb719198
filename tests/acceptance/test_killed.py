"""kill -9 of the whole service, as the machine does it when memory or power is out."""

from __future__ import annotations

import io
import json
import os
import random
import signal
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from logkeep.cli.app import run
from tests import corpus
from tests.integration.cli.installed import Served, init, serving, until

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
    with redirect_stdout(io.StringIO()) as out:
        assert run(["--dir", str(served.directory), *arguments, "--json"]) == 0
    return json.loads(out.getvalue())


def records(served: Served) -> list[dict[str, object]]:
    return command(served, "records", "prod")["clusterLogRecord"]


def kill(served: Served) -> None:
    served.process.send_signal(signal.SIGKILL)
    served.process.wait(30)


def stored(directory: Path) -> int:
    return sum(1 for _ in (directory / "buckets").rglob("*.zst"))


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


@pytest.mark.parametrize("call", ["open", "policy", "backup"])
def test_answered_call_is_there_after_a_kill(directory: Path, node: Path, call: str) -> None:
    with serving(directory) as served:
        command(served, "cluster", "add", "prod", "--node", f"n1=file://{node}")
        command(served, "logs", "open", "prod", "--base-path", "kept/path")
        if call == "policy":
            command(served, "logs", "policy", "prod", "--at", "03:00 GMT+08:00")
        if call == "backup":
            command(served, "backup", "prod")
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait(30)
    with serving(directory) as served:
        setting = command(served, "logs", "settings", "prod")["logConfiguration"]
        assert (setting["logSwitch"], setting["basePath"]) == (True, "kept/path")
        assert setting["period"] == ("03:00 GMT+08:00" if call == "policy" else None)
        if call == "backup":
            until(lambda: records(served)[0]["status"] == "SUCCESS", 60)


def test_service_that_was_ended_during_a_backup_goes_on_after_the_start(directory: Path, node: Path) -> None:
    with serving(directory) as served:
        command(served, "cluster", "add", "prod", "--node", f"n1=file://{node}")
        command(served, "logs", "open", "prod")
        command(served, "backup", "prod")
        until(lambda: stored(directory) >= 20)
        assert served.end() == 0
    with serving(directory) as served:
        until(lambda: records(served)[0]["status"] == "SUCCESS", 60)
