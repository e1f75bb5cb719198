"""Tasks as CSV, for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from logkeep.domain.csv_text import csv_line, csv_time
from logkeep.domain.task import Task

HEADS = (
    "time",
    "cluster",
    "cluster_id",
    "state",
    "type",
    "finished",
    "nodes",
    "nodes_done",
    "raw_bytes",
    "stored_bytes",
    "job_id",
    "late_job_id",
    "path",
    "failure",
    "gaps",
    "warnings",
    "nodes_failed",
    "late_seconds",
)


def csv_lines(tasks: Iterable[Task]) -> Iterator[str]:
    """Yield a line of heads, and one for each task; each ends with CR LF. Times are of UTC."""
    yield csv_line(HEADS)
    for task in tasks:
        yield csv_line(_cells(task))


def _cells(task: Task) -> tuple[str, ...]:
    job = task.job
    sums = (task.nodes, task.nodes_done, task.raw, task.stored) if job else ("", "", "", "")
    return (
        csv_time(task.at),
        task.cluster,
        task.cluster_id,
        task.state,
        task.type,
        csv_time(job.finished_at) if job and job.finished_at is not None else "",
        *map(str, sums),
        job.job_id if job else "",
        task.late_job_id,
        job.log_path if job else "",
        (job.failed_msg or "") if job else "",
        *map(str, (task.gaps, task.warnings, task.nodes_failed) if job else ("", "", "")),
        "" if task.late_ms is None else str(task.late_ms // 1000),
    )
