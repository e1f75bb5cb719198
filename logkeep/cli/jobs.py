"""`job`: one backup by itself, node by node and file by file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from logkeep.cli.backups import as_listed, failures_text, forecast_text, gap_text, warning_text
from logkeep.cli.client import Cluster, Job, JobFile, JobNode, ServiceClient, decode, open_client
from logkeep.cli.errors import UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_document, print_fields, print_json, print_line, print_table
from logkeep.cli.texts import duration_text, moment_text, size_text, time_text, zone_text

_PAGE = 1000  # the most files that one answer lists
_SHOWN = 20  # files that a person sees without asking for all


def add_commands(app: typer.Typer) -> None:
    job = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="One backup by itself.")
    job.command("show", epilog=EVERYWHERE)(show_job)
    job.command("cancel", epilog=EVERYWHERE)(cancel_job)
    app.add_typer(job, name="job")


def show_job(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `logkeep records` lists it.")],
    files: Annotated[bool, typer.Option("--files", help="All files that it stored, however many.")] = False,
) -> None:
    """Show what one backup did, or how far it is: nodes, files, and what was not kept."""
    _check_id(job_id)
    asked = invocation(context)
    client = open_client(context)
    document = _fetch(client, job_id, _PAGE if files or asked.as_json else _SHOWN, every=files)
    if asked.as_json:
        print_json(document)
        return
    job = decode(json.dumps(document).encode(), Job)
    cluster = decode(client.get(f"/api/v1/clusters/{job.cluster_id}"), Cluster)
    _print_job(job, cluster.name)
    if job.files_total > len(job.files):
        note(f"{len(job.files)} of {job.files_total:,} files; all: {asked.command} job show {job.job_id} --files")


def cancel_job(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `logkeep records` lists it.")],
) -> None:
    """End a backup that waits, runs or hangs: FAIL, what it kept stays."""
    _check_id(job_id)
    client = open_client(context)
    document = client.send("POST", f"/api/v1/jobs/{job_id}/cancel?limit=1")
    job = decode(document, Job)
    if invocation(context).as_json:
        print_document(as_listed(document))
    elif "LK-JOB-CANCELLED" in (job.failed_msg or ""):
        print_line(f"job {job_id} is cancelled; what it kept stays, and the next backup goes on from there")
    else:
        print_line(f"job {job_id} had ended before: {job.status}")


def _check_id(job_id: str) -> None:
    if not (job_id.isascii() and job_id.isalnum()):
        raise UsageError(f"{job_id} is no id of a job; `logkeep records CLUSTER` lists them")


def _fetch(client: ServiceClient, job_id: str, limit: int, *, every: bool) -> dict[str, Any]:
    """Return the job as the service tells it, with the first files or all of them."""
    document: dict[str, Any] = json.loads(client.get(f"/api/v1/jobs/{job_id}?limit={limit}"))
    while every and len(document["files"]) < document["filesTotal"]:
        offset = len(document["files"]) + 1
        page = json.loads(client.get(f"/api/v1/jobs/{job_id}?limit={limit}&offset={offset}"))
        if not page["files"]:
            break
        document["files"] += page["files"]
    return document


def _print_job(job: Job, cluster: str) -> None:
    ended = job.finished_at or time.time() * 1000
    again = f", taken up again {job.attempts - 1} times" if job.attempts > 2 else ", taken up again once"
    print_fields(
        [
            ("job", job.job_id),
            ("cluster", cluster),
            ("status", job.status),
            ("type", job.job_types),
            ("started", moment_text(job.create_at)),
            ("took" if job.finished_at else "so far", duration_text(max(0, ended - job.create_at) / 1000)),
            ("attempts", f"{job.attempts}{again if job.attempts > 1 else ''}"),
            ("kept in", f"{job.log_path}/{cluster}"),
        ]
    )
    if job.nodes:
        print_line()
        _print_nodes(job.nodes, running=job.status == "RUNNING")
    if job.files:
        print_line()
        _print_files(job.files)
    if job.failed_msg:
        print_line(f"\nfailed:\n{failures_text(job)}")
    if job.gaps or job.warnings or job.forecasts:
        print_line()
    for gap in job.gaps:
        print_line(gap_text(gap))
    for warned in job.warnings:
        print_line(warning_text(warned))
    for forecast in job.forecasts:
        print_line(forecast_text(forecast))


def _print_nodes(nodes: Sequence[JobNode], *, running: bool) -> None:
    rows = [_node_row(node, running) for node in nodes]
    if len(nodes) > 1:
        rows.append(_totals_row(nodes, running))
    heads = ("NODE", f"STARTED ({zone_text()})", "TOOK", "FILES", "LINES", "PLAIN", "STORED")
    print_table((*heads, "DONE") if running else heads, rows, right=(2, 3, 4, 5, 6, 7))


def _node_row(node: JobNode, running: bool) -> tuple[str, ...]:
    took = duration_text((node.finished_at - node.started_at) / 1000) if node.finished_at and node.started_at else ""
    row = (node.node, time_text(node.started_at), took, *_sums(node.files, node.lines, node.raw, node.stored))
    return (*row, _done_text(node.done, node.planned)) if running else row


def _totals_row(nodes: Sequence[JobNode], running: bool) -> tuple[str, ...]:
    sums = (sum(getattr(node, name) for node in nodes) for name in ("files", "lines", "raw", "stored"))
    row = (f"all {len(nodes)}", "", "", *_sums(*sums))
    done, planned = sum(node.done or 0 for node in nodes), sum(node.planned or 0 for node in nodes)
    return (*row, _done_text(done, planned)) if running else row


def _sums(files: int, lines: int, raw: int, stored: int) -> tuple[str, str, str, str]:
    return f"{files:,}", f"{lines:,}", size_text(raw), size_text(stored)


def _done_text(done: int | None, planned: int | None) -> str:
    """`45 % of 1.2 GiB`."""
    if done is None or planned is None:
        return ""
    return f"{100 * done // planned} % of {size_text(planned)}" if planned else "nothing new"


def _print_files(files: Sequence[JobFile]) -> None:
    print_table(
        ("NODE", "FILE", "FROM BYTE", "TO BYTE", "LINES", "STORED", "FIRST LINE", "LAST LINE"),
        [
            (
                file.node,
                file.name,
                f"{file.start:,}",
                f"{file.end:,}",
                f"{file.lines:,}",
                size_text(file.stored),
                file.first_time,
                file.last_time,
            )
            for file in files
        ],
        right=(2, 3, 4, 5),
    )
