"""CSV of tasks: quoted as RFC 4180 says, and nothing in it is computed."""

from __future__ import annotations

import csv
import io

import pytest

from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.csv_text import neutralised
from logkeep.domain.task import Task, TaskState, find_text, fold
from logkeep.domain.task_table import HEADS, csv_lines

JOB = BackupJob(
    id="1",
    job_id="ab" * 16,
    cluster_id="c",
    type=JobType.MANUAL,
    status=JobStatus.FAIL,
    bucket="logs",
    base_path="css/Log",
    created_at=1_796_090_452_711,
    finished_at=1_796_090_453_000,
    failed_msg='LK-STORE-FULL: "disk", it\nis full',
)


def task(cluster: str = "prod", job: BackupJob | None = JOB) -> Task:
    state = TaskState.FAIL if job else TaskState.MISSED
    return Task(cluster_id="c", cluster=cluster, state=state, type=JobType.MANUAL, at=1_796_090_452_711, job=job)


def rows(*tasks: Task) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(csv_lines(tasks)), newline="")))


def test_each_task_is_a_line_of_as_many_cells_as_there_are_heads() -> None:
    lines = list(csv_lines([task(job=None)]))
    assert lines[0] == ",".join(HEADS) + "\r\n"
    assert lines[1] == "2026-12-01T02:00:52Z,prod,c,MISSED,Manual" + "," * (len(HEADS) - 5) + "\r\n"


def test_what_has_quotes_commas_or_line_breaks_is_read_back_as_it_was() -> None:
    [row] = rows(task('a "b", c'))
    assert (row["cluster"], row["failure"]) == ('a "b", c', JOB.failed_msg)
    assert (row["time"], row["finished"]) == ("2026-12-01T02:00:52Z", "2026-12-01T02:00:53Z")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1"])
def test_a_spreadsheet_computes_no_cell(cell: str) -> None:
    assert neutralised(cell) == f"'{cell}"
    assert rows(task(cell))[0]["cluster"] == f"'{cell}"
    assert neutralised("a=1") == "a=1"


def test_a_time_that_no_calendar_holds_is_left_out() -> None:
    [row] = rows(Task(cluster_id="c", cluster="x", state=TaskState.MISSED, type=JobType.AUTO, at=2**62, job=None))
    assert row["time"] == ""


@pytest.mark.parametrize("text", ["PROD", "aBaB", "logs/CSS", "store-full", "IT\nIS"])
def test_a_text_is_found_whatever_the_case_of_its_ascii_letters(text: str) -> None:
    assert find_text(fold(text), task("Prod"))


def test_only_ascii_letters_are_alike() -> None:
    assert not find_text(fold("ä"), task("Ä"))
    assert find_text(fold("Äb"), task("ÄB"))
