"""One task: a backup while it runs and after, what it kept of each node and file, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from logkeep.console.answers import Answer, Redirect
from logkeep.console.calls import ApiCall, write_calls
from logkeep.console.news import find_version
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import render, show, show_news
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.contract.css.responses import make_record
from logkeep.domain.access import Right
from logkeep.domain.backup_job import BackupJob, JobStatus, split_failures
from logkeep.domain.cluster import Cluster, for_cluster
from logkeep.domain.job_detail import JobDetail, JobNode
from logkeep.service import backups, clusters, job_details, tasks

_NODES, _FILES = 50, 20  # of a page
_MOST_OFFSET = 10_000_000
_TOLD = 100  # findings of each kind
_RENEWED_MS = 10_000  # after which a rate is told anew, though nothing moved


def show_task(visit: Visit) -> Answer:
    found = _find(visit)
    job = found["detail"].job
    record = msgspec.json.encode(make_record(job, digit_strings=False))
    return show(
        visit,
        "task.html",
        **found,
        record=msgspec.json.format(record, indent=2).decode(),
        calls=_calls(visit, job),
        tab="/tasks",
    )


def show_state(visit: Visit) -> Answer:
    """Show what moves alone, for the script that looks for news."""
    moment = visit.runtime.clock.now_ms() // _RENEWED_MS
    parts = find_version(visit), moment, visit.path, visit.query.with_changes()
    return show_news(visit, parts, lambda: render(visit, "task_state.html", **_find(visit)))


def cancel_task(visit: Visit) -> Answer:
    job_id = visit.parameters["job_id"]
    backups.cancel_job(visit.runtime, visit.project_id, job_id)
    return Redirect(f"/console/tasks/{job_id}?done=cancelled")


def retry_task(visit: Visit) -> Answer:
    job = tasks.retry_job(visit.runtime, visit.project_id, visit.parameters["job_id"])
    visit.trail.cluster_id = job.cluster_id
    return Redirect(f"/console/tasks/{job.job_id}?done=retried")


def show_again(visit: Visit) -> Answer:
    """Lead from the address of a form, as after it was refused, to the task."""
    return Redirect(f"/console/tasks/{visit.parameters['job_id']}{visit.query.with_changes()}")


def _find(visit: Visit) -> dict[str, Any]:
    """Return the job with one page of its nodes and one of its files."""
    query = visit.query
    nodes_offset, offset = query.number("nodes", 0, 0, _MOST_OFFSET), query.number("files", 0, 0, _MOST_OFFSET)
    detail = job_details.get_detail(
        visit.runtime, visit.project_id, visit.parameters["job_id"], offset=offset, limit=_FILES
    )
    cluster = clusters.get_cluster(visit.runtime, visit.project_id, detail.job.cluster_id)
    return {
        "detail": detail,
        "cluster": cluster,
        "totals": _add(detail.nodes),
        "progress": _measure(detail, visit.runtime.clock.now_ms()),
        "failures": _failures(detail.job, cluster),
        "nodes": _number_files(detail.nodes)[nodes_offset : nodes_offset + _NODES],
        "nodes_offset": nodes_offset,
        "files_offset": offset,
        "nodes_each": _NODES,
        "files_each": _FILES,
        "most_told": _TOLD,
        "most_counted": job_details.MOST_TOLD,
    }


@dataclass(frozen=True, slots=True)
class Totals:
    """What a job did on all nodes so far."""

    nodes: int
    begun: int
    ended: int
    files: int
    lines: int
    raw: int
    stored: int


def _add(nodes: list[JobNode]) -> Totals:
    return Totals(
        nodes=len(nodes),
        begun=sum(node.started_at is not None for node in nodes),
        ended=sum(node.finished_at is not None for node in nodes),
        files=sum(node.files for node in nodes),
        lines=sum(node.lines for node in nodes),
        raw=sum(node.raw for node in nodes),
        stored=sum(node.stored for node in nodes),
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is, as far as its nodes have told what they have to read."""

    planned: int  # bytes
    done: int
    rate: int  # bytes a second since the first node was begun; 0 where nothing is known
    remaining_ms: int | None


def _measure(detail: JobDetail, now: int) -> Progress | None:
    """Return how far a job is; None if it has ended, or does not know yet what there is."""
    begun = [node for node in detail.nodes if node.started_at is not None]
    planned, done = sum(node.planned or 0 for node in begun), sum(node.done or 0 for node in begun)
    if detail.job.status is not JobStatus.RUNNING or not planned:
        return None
    since = now - min(node.started_at or now for node in begun)
    if not done or since <= 0:
        return Progress(planned, done, 0, None)
    return Progress(planned, min(done, planned), done * 1000 // since, max(0, planned - done) * since // done)


def _failures(job: BackupJob, cluster: Cluster) -> list[tuple[str, str]]:
    """Return code and sentence of each failure."""
    parts = (for_cluster(part, cluster.name).partition(": ") for part in split_failures(job.failed_msg or ""))
    return [(code, text) if code.startswith("LK-") else ("", f"{code}{colon}{text}") for code, colon, text in parts]


def _number_files(nodes: list[JobNode]) -> list[tuple[JobNode, int]]:
    """Return each node with the offset of its first file, as files are listed by node."""
    numbered: list[tuple[JobNode, int]] = []
    offset = 0
    for node in sorted(nodes, key=lambda node: node.node):
        numbered.append((node, offset))
        offset += node.files
    return numbered


def _calls(visit: Visit, job: BackupJob) -> tuple[dict[str, str], dict[str, str]]:
    """Return the call that starts such a backup, and the one that lists its record."""
    logs = f"/v1.0/{visit.project_id}/clusters/{job.cluster_id}/logs"
    start = ApiCall(operation="CreateLogBackup", method="POST", path=f"{logs}/collect")
    records = ApiCall(operation="ListLogsJob", method="GET", path=f"{logs}/records?limit=100")
    base, project = visit.base_url, visit.project_id
    return write_calls(start, base, project), write_calls(records, base, project)


PAGES = (
    Page(path="/tasks/{job_id}", handler=show_task),
    Page(path="/tasks/{job_id}/state", handler=show_state, polled=True),
    Page(path="/tasks/{job_id}/cancel", handler=show_again),
    Page(path="/tasks/{job_id}/retry", handler=show_again),
    Page(
        path="/tasks/{job_id}/cancel",
        method="POST",
        handler=cancel_task,
        right=Right.OPERATE,
        waits_for=WaitsFor.WRITES,
        operation="CancelJob",
        again=show_task,
    ),
    Page(
        path="/tasks/{job_id}/retry",
        method="POST",
        handler=retry_task,
        right=Right.OPERATE,
        waits_for=WaitsFor.WRITES,
        operation="RetryJob",
        again=show_task,
    ),
)
