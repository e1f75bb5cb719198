"""A real service with one slot: a giant gives it up to a small cluster, and is kept whole all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.installed import Done, Served, called, init, serving, until

CONFIGURATION = """\
[records]
running_visible_seconds = 0

[backup]
poll_seconds = 0.05
jobs_at_once = 1
turn_seconds = 1
cluster_bandwidth_mib = 100

[buckets.logs]
"""
SEGMENTS, SEGMENT = 4, 128 * 1024 * 1024
LINE = b"[2026-11-24T00:00:00,000][INFO ] %s\n" % (b"x" * 988)
OPEN = ("--bucket", "logs", "--base-path", "css/log", "--agency", "a")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    init(tmp_path / "installation", CONFIGURATION)
    with serving(tmp_path / "installation") as served:
        yield served


def test_small_job_ends_while_a_giant_that_was_there_first_runs(served: Served, tmp_path: Path) -> None:
    def command(*arguments: str) -> Done:
        return called(served.directory, *arguments).ended(0)

    def show() -> Any:
        return command("job", "show", giant, "--json").json

    for name, times in (("giant", SEGMENTS * SEGMENT // len(LINE)), ("small", 1)):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "es.log").open("wb") as file:
            for _ in range(0, times, 1024):
                file.write(LINE * min(times, 1024))
        command("cluster", "add", name, "--node", f"n1={tmp_path / name}")
        command("logs", "open", name, *OPEN)
    giant = command("backup", "giant", "--json").json["jobId"]
    assert command("backup", "small", "--wait", "--json").json["status"] == "SUCCESS"
    shown = show()
    assert (shown["status"], shown["attempts"] > 1) == ("RUNNING", True)
    until(lambda: show()["status"] != "RUNNING", 120)
    shown = show()
    assert (shown["status"], shown["failedMsg"], shown["gaps"]) == ("SUCCESS", None, [])
    [node] = shown["nodes"]
    assert node["raw"] == (tmp_path / "giant" / "es.log").stat().st_size
    command("verify", "giant", "--chain")
