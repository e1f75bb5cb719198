"""What a backup leaves in the log of `logkeep serve`, as a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.installed import Served, called, init, serving, until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    init(tmp_path / "installation")
    with serving(tmp_path / "installation") as served:
        yield served


def tenant(served: Served, *arguments: str) -> Any:
    return called(served.directory, *arguments, "--json")


def events(served: Served, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in list(served.log) if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_a_job_is_one_line_at_its_start_and_one_at_its_end(served: Served, tmp_path: Path) -> None:
    logs = tmp_path / "node"
    logs.mkdir()
    (logs / "prod.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 100)
    tenant(served, "cluster", "add", "prod", "--node", f"n1=file://{logs}").ended(0)
    tenant(served, "logs", "open", "prod").ended(0)
    job = tenant(served, "backup", "prod", "--wait").ended(0).json["jobId"]
    until(lambda: events(served, "backup ended"))
    started, ended = events(served, "backup started"), events(served, "backup ended")
    assert [one["job_id"] for one in (*started, *ended)] == [job, job]
    assert (started[0]["cluster"], started[0]["type"], started[0]["level"]) == ("prod", "Manual", "info")
    shown = {name: ended[0][name] for name in ("cluster", "type", "status", "bytes", "gaps", "warnings", "level")}
    assert shown == {
        "cluster": "prod",
        "type": "Manual",
        "status": "SUCCESS",
        "bytes": 4000,
        "gaps": 0,
        "warnings": 0,
        "level": "info",
    }
    assert 0 <= ended[0]["seconds"] < 60


def test_a_job_that_fails_says_its_code(served: Served, tmp_path: Path) -> None:
    logs = tmp_path / "node"
    logs.mkdir()
    tenant(served, "cluster", "add", "prod", "--node", f"n1=file://{logs}").ended(0)
    tenant(served, "logs", "open", "prod").ended(0)
    logs.rmdir()
    tenant(served, "backup", "prod", "--wait").ended(1)
    until(lambda: events(served, "backup ended"))
    ended = events(served, "backup ended")[0]
    assert (ended["status"], ended["code"], ended["level"]) == ("FAIL", "LK-SOURCE-UNREACHABLE", "error")
    assert str(logs) in ended["error"]


def test_a_job_that_is_cancelled_says_so(served: Served, tmp_path: Path) -> None:
    logs = tmp_path / "node"
    logs.mkdir()
    (logs / "prod.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 3_000_000)
    tenant(served, "cluster", "add", "prod", "--node", f"n1=file://{logs}").ended(0)
    tenant(served, "logs", "open", "prod").ended(0)
    job = tenant(served, "backup", "prod").ended(0).json["jobId"]
    until(lambda: events(served, "backup started"))
    tenant(served, "job", "cancel", job).ended(0)
    until(lambda: events(served, "backup cancelled"))
    cancelled = events(served, "backup cancelled")[0]
    assert (cancelled["job_id"], cancelled["code"], cancelled["cluster"]) == (job, "LK-JOB-CANCELLED", "prod")
    assert events(served, "backup ended") == []
