"""Requests and answers of `/api/v1` on tasks: backups, and daily runs that were missed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from logkeep.contract import fields
from logkeep.contract.fields import MAX_INTEGER
from logkeep.contract.native.responses import json_lines
from logkeep.contract.parameters import Choice, Number, Text, names_of
from logkeep.domain.backup_job import JobType
from logkeep.domain.csv_text import join_lines
from logkeep.domain.task import LONGEST_TEXT, Task, TaskFilter, TaskPage, TaskPosition, TaskState
from logkeep.domain.task_table import csv_lines
from logkeep.errors import InvalidField

CSV = "text/csv; charset=utf-8"
_LINES_AT_ONCE = 500

_HEX = "[0-9A-Fa-f]"
_CLUSTER_ID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_CURSOR = "[0-7][0-9a-f]{15}[0-9a-f]{32}"  # a moment in Unix ms and a UUID

CLUSTER = Text("cluster", "The id of a cluster; empty for all.", f"^({_CLUSTER_ID})?$")
STATE = Choice("state", "", "Only those of this state; empty for all.", tuple(TaskState))
TYPE = Choice("type", "", "Only those that were started so; missed runs are Auto.", ("", *JobType))
SINCE = Number("since", 0, "Only those that were created, or due, from then on, in Unix ms.", low=0)
UNTIL = Number("until", MAX_INTEGER, "Only those before, in Unix ms.", low=0)
TEXT = Text(
    "text",
    "In the cluster's name, the job's id or path, or the failure; the case of ASCII letters is ignored.",
    rf"^[^\x00]{{0,{LONGEST_TEXT}}}$",
)
LIMIT = Number("limit", 50, "The most tasks to list.", high=1000)
CURSOR = Text("cursor", "`next` of the page before, with all else as it was asked.", f"^({_CURSOR})?$")
FORMAT = Choice("format", "ndjson", "Lines of JSON, or CSV for spreadsheets.", ("ndjson", "csv"))
FILTER = (CLUSTER, STATE, TYPE, SINCE, UNTIL, TEXT)
LIST_QUERY = (*FILTER, LIMIT, CURSOR)
EXPORT_QUERY = (*FILTER, FORMAT)


class TaskLine(msgspec.Struct, rename="camel"):
    """A backup, or a daily run that was missed."""

    cluster_id: str
    cluster_name: str
    state: TaskState
    type: JobType
    at: int  # Unix ms: when the job was created, or the run was due
    job_id: str | None  # null, as what follows, for a missed run
    finished_at: int | None  # Unix ms; null while it runs
    log_path: str | None
    failed_msg: str | None
    nodes: int | None  # that the job has begun
    nodes_done: int | None  # and ended, also those that failed
    nodes_failed: int | None
    raw: int | None  # plain bytes that it kept
    stored: int | None  # bytes in the bucket
    gaps: int | None  # that it met: lines that were gone before it could keep them
    warnings: int | None  # that it gave
    late_job_id: str | None  # of a missed run: the job that was started late for it; null if none was
    late_ms: int | None  # by how much it was; null where no record of it is there


class TaskCounts(msgspec.Struct, rename="camel"):
    """How many tasks there are of each state."""

    all: int
    running: int
    success: int
    fail: int
    missed: int


class TaskList(msgspec.Struct, rename="camel", omit_defaults=True):
    tasks: list[TaskLine]  # newest first
    counts: TaskCounts  # of all that the filter finds without its state
    counted_all: bool  # false where a count stopped at its bound
    next: str = ""  # cursor of the next page; missing at the end
    partly: int | None = None  # Unix ms: a search of text looked at no older ones; missing where it looked at all


def read_list_query(raw: bytes) -> tuple[TaskFilter, TaskPosition | None, int]:
    """Read the filter, the position after which the page begins, and how many are wanted. Raises `InvalidField`."""
    query = fields.read_query(raw, names_of(LIST_QUERY))
    return _read_filter(query), _read_cursor(CURSOR.read(query)), LIMIT.read(query)


def read_export_query(raw: bytes) -> tuple[TaskFilter, bool]:
    """Read the filter, and whether CSV is wanted. Raises `InvalidField`."""
    query = fields.read_query(raw, names_of(EXPORT_QUERY))
    return _read_filter(query), FORMAT.read(query) == "csv"


def render_tasks(page: TaskPage) -> bytes:
    counts = {(state.value or "all").lower(): number for state, number in page.counts.items()}
    return msgspec.json.encode(
        TaskList(
            [_line(task) for task in page.tasks],
            TaskCounts(**counts),
            page.counted_all,
            write_cursor(page.more) if page.more else "",
            page.partly,
        )
    )


def task_lines(tasks: Iterable[Task]) -> Iterator[bytes]:
    return json_lines(map(_line, tasks), _LINES_AT_ONCE)


def csv_chunks(tasks: Iterable[Task]) -> Iterator[bytes]:
    return join_lines(csv_lines(tasks), _LINES_AT_ONCE)


def write_cursor(position: TaskPosition) -> str:
    return f"{position.at:016x}{position.id.replace('-', '')}"


def _read_cursor(text: str) -> TaskPosition | None:
    if not text:
        return None
    if not re.fullmatch(_CURSOR, text):
        raise InvalidField(CURSOR.name, "it is none; give the `next` of a page as it is")
    one = text[16:]
    return TaskPosition(int(text[:16], 16), f"{one[:8]}-{one[8:12]}-{one[12:16]}-{one[16:20]}-{one[20:]}")


def read_cluster(query: dict[str, str]) -> str:
    """Read the id of a cluster, '' for all. Raises `InvalidField`."""
    cluster_id = CLUSTER.read(query).lower()
    if cluster_id and not re.fullmatch(_CLUSTER_ID, cluster_id):
        raise InvalidField(CLUSTER.name, f"{fields.shown(cluster_id)} came; the id of a cluster is allowed")
    return cluster_id


def _read_filter(query: dict[str, str]) -> TaskFilter:
    cluster_id, since, until = read_cluster(query), SINCE.read(query), UNTIL.read(query)
    if since > until:
        raise InvalidField(SINCE.name, f"is after {UNTIL.name}; exchange the two")
    type_ = TYPE.read(query)
    return TaskFilter(
        cluster_id=cluster_id,
        state=TaskState(STATE.read(query)),
        type=JobType(type_) if type_ else None,
        since=since or None,
        until=until if until < MAX_INTEGER else None,
        text=TEXT.read(query),
    )


def _line(task: Task) -> TaskLine:
    job = task.job
    return TaskLine(
        cluster_id=task.cluster_id,
        cluster_name=task.cluster,
        state=task.state,
        type=task.type,
        at=task.at,
        job_id=job and job.job_id,
        finished_at=job and job.finished_at,
        log_path=job and job.log_path,
        failed_msg=job and job.failed_msg,
        nodes=task.nodes if job else None,
        nodes_done=task.nodes_done if job else None,
        nodes_failed=task.nodes_failed if job else None,
        raw=task.raw if job else None,
        stored=task.stored if job else None,
        gaps=task.gaps if job else None,
        warnings=task.warnings if job else None,
        late_job_id=task.late_job_id or None,
        late_ms=task.late_ms,
    )
