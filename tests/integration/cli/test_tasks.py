"""`tasks` and `job retry` against a running service."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.installed import Done, Served
from tests.integration.cli.test_terminal import on_terminal

Command = Callable[..., Done]


@pytest.fixture
def failed(tenant: Command, opened: str, node: Path) -> str:
    """The id of a job that failed, as its node was away."""
    node.rename(node.with_name("away"))
    tenant("backup", opened, "--wait").ended(1)
    node.with_name("away").rename(node)
    [task] = tenant("tasks", opened, "--json").ended(0).json["tasks"]
    return task["jobId"]


def test_tasks_are_listed_with_their_counts_on_the_last_line(tenant: Command, opened: str, failed: str) -> None:
    tenant("backup", opened, "--wait").ended(0)
    lines = tenant("tasks", opened).ended(0).out.splitlines()
    assert lines[0].split()[0] == "TIME"
    assert [line.split()[3] for line in lines[1:3]] == ["SUCCESS", "FAIL"]
    assert lines[2].endswith(failed)
    assert lines[-1] == "2 tasks: 0 running, 1 success, 1 fail, 0 missed"


def test_tasks_are_found_by_state_type_time_and_text(tenant: Command, opened: str, failed: str) -> None:
    def found(*options: str) -> int:
        return len(tenant("tasks", opened, *options, "--json").ended(0).json["tasks"])

    assert found("--state", "fail", "--type", "manual", "--since", "2020-01-01", "--text", failed.upper()) == 1
    assert found("--state", "success") == found("--type", "auto") == found("--until", "2020-01-01") == 0
    assert (
        tenant("tasks", opened, "--state", "missed").ended(0).out == "1 task: 0 running, 0 success, 1 fail, 0 missed\n"
    )


@pytest.mark.parametrize("options", [("--state", "failed"), ("--type", "x"), ("--since", "soon"), ("--csv", "--json")])
def test_what_is_no_filter_is_wrong_use(tenant: Command, options: tuple[str, ...]) -> None:
    assert options[0] in tenant("tasks", *options).ended(2).err


def test_all_tasks_are_given_as_csv(tenant: Command, opened: str, failed: str) -> None:
    told = tenant("tasks", opened, "--csv").ended(0).out
    [row] = csv.DictReader(io.StringIO(told, newline=""))
    assert (row["cluster"], row["state"], row["job_id"]) == (opened, "FAIL", failed)
    assert row["failure"].startswith("LK-SOURCE-")


def test_a_backup_with_gaps_is_named_in_80_columns(tenant: Command, served: Served, opened: str, node: Path) -> None:
    tenant("backup", opened, "--wait").ended(0)
    (node / "prod.log").write_bytes(b"[2026-11-24T05:00:00,000][INFO ] another line\n")
    tenant("backup", opened, "--wait").ended(0)
    task, _ = tenant("tasks", opened, "--json").ended(0).json["tasks"]
    assert (task["state"], task["gaps"]) == ("SUCCESS", 1)
    _, sent = on_terminal(served, "tasks", opened, columns=80)
    assert f"job show JOB` tells: {task['jobId']}" in " ".join(sent.split())
    told = tenant("tasks", opened).ended(0)
    assert "GAPS  WARNINGS" in told.out
    assert task["jobId"] in told.err


def test_a_job_that_failed_is_retried_once(tenant: Command, opened: str, failed: str) -> None:
    done = tenant("job", "retry", failed, "--wait").ended(0)
    assert done.out.startswith(f"backup of {opened} succeeded")
    refused = tenant("job", "retry", failed).ended(1)
    assert "there is nothing to retry" in refused.err
