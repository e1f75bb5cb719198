"""`job`: one backup by itself, node by node and file by file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from msgspec import to_builtins

from logkeep.cli.backups import as_listed, follow_backup, forecast_text, gap_text, print_failures, warning_text
from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.errors import UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_document, print_fields, print_json, print_line, print_paragraph, print_table
from logkeep.cli.removed import job_removed_text
from logkeep.cli.texts import duration_text, moment_text, size_text, time_text, zone_text
from logkeep.contract.native.job_responses import JobFileView, JobNodeView, JobView
from logkeep.contract.native.requests import JOB_ID

_PAGE = 1000  # the most files that one answer lists
_SHOWN = 20  # files that a person sees without asking for all


def add_commands(app: typer.Typer) -> None:
    job = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="One backup by itself.")
    job.command("show", epilog=EVERYWHERE)(show_job)
    job.command("cancel", epilog=EVERYWHERE)(cancel_job)
    job.command("retry", epilog=EVERYWHERE)(retry_job)
    app.add_typer(job, name="job")


def show_job(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `logkeep records` lists it.")],
    files: Annotated[bool, typer.Option("--files", help="All files that it stored, however many.")] = False,
) -> None:
    """Show what one backup did, or how far it is.

    That is by node and by file, and what was not kept.
    """
    _check_id(job_id)
    asked = invocation(context)
    client = open_client(context)
    job = _fetch(client, job_id, _PAGE if files or asked.as_json else _SHOWN, every=files)
    if asked.as_json:
        print_json(to_builtins(job))
        return
    cluster = client.get_cluster(job.cluster_id)
    _print_job(job, cluster.name)
    if job.files_total > len(job.files):
        note(f"{len(job.files)} of {job.files_total:,} files; all: `{asked.command} job show {job.job_id} --files`")


def cancel_job(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `logkeep records` lists it.")],
) -> None:
    """End a backup that waits, runs or hangs: FAIL, what it kept stays."""
    _check_id(job_id)
    client = open_client(context)
    document = client.send("POST", f"/api/v1/jobs/{job_id}/cancel?limit=1")
    job = decode(document, JobView)
    if invocation(context).as_json:
        print_document(as_listed(document))
    elif "LK-JOB-CANCELLED" in (job.failed_msg or ""):
        print_line(f"job {job_id} is cancelled; what it kept stays, and the next backup goes on from there")
    else:
        print_line(f"job {job_id} had ended before: {job.status}")


def retry_job(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `logkeep tasks` lists it.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 if it is FAIL.")] = False,
) -> None:
    """Back up the cluster of a job that failed, once more.

    A backup keeps what is new, and so what that one could not keep.
    """
    _check_id(job_id)
    client = open_client(context)
    started = decode(client.send("POST", f"/api/v1/jobs/{job_id}/retry"), JobView)
    follow_backup(client, invocation(context), client.get_cluster(started.cluster_id), started.job_id, wait=wait)


def _check_id(job_id: str) -> None:
    if not JOB_ID.fullmatch(job_id):
        raise UsageError(f"{job_id} is no id of a job; `logkeep records` lists them")


def _fetch(client: ServiceClient, job_id: str, limit: int, *, every: bool) -> JobView:
    """Return the job with the first files or all of them."""
    job = decode(client.get(f"/api/v1/jobs/{job_id}?limit={limit}"), JobView)
    while every and len(job.files) < job.files_total:
        page = decode(client.get(f"/api/v1/jobs/{job_id}?limit={limit}&offset={len(job.files) + 1}"), JobView)
        if not page.files:
            break
        job.files += page.files
    return job


def _print_job(job: JobView, cluster: str) -> None:
    ended = job.finished_at or time.time() * 1000
    again = f", taken up again {job.attempts - 1} times" if job.attempts > 2 else ", taken up again once"
    print_fields(
        [
            ("job", job.job_id),
            ("cluster", cluster),
            ("status", job.status),
            ("type", job.job_types),
            ("started", moment_text(int(job.create_at))),
            ("took" if job.finished_at else "so far", duration_text(max(0, ended - int(job.create_at)) / 1000)),
            ("attempts", f"{job.attempts}{again if job.attempts > 1 else ''}"),
            ("kept in", f"{job.log_path}/{cluster}"),
            *([("progress", text)] if (text := _progress_text(job)) else []),
        ]
    )
    if job.nodes:
        print_line()
        _print_nodes(job.nodes, running=job.status == "RUNNING")
    if job.files:
        print_line()
        _print_files(job.files)
    if job.failed_msg:
        print_line("\nfailed:")
        print_failures(job, cluster)
    removed = job_removed_text(job)
    if job.gaps or job.warnings or job.forecasts or removed:
        print_line()
    told = [
        *([removed] if removed else []),
        *map(gap_text, job.gaps),
        *map(warning_text, job.warnings),
        *map(forecast_text, job.forecasts),
    ]
    for text in told:
        print_paragraph(text, "", hang=2)


def _progress_text(job: JobView) -> str:
    """`45 % of 1.2 GiB, 30.1 MiB/s, 22 s to go`; '' if the job has ended or its nodes are not known yet."""
    begun = [node for node in job.nodes if node.started_at]
    planned, done = sum(node.planned or 0 for node in begun), sum(node.done or 0 for node in begun)
    if job.status != "RUNNING" or not planned:
        return ""
    told = [_done_text(done, planned)]
    seconds = time.time() - min(node.started_at or 0 for node in begun) / 1000
    if done and seconds > 0:
        told += [f"{size_text(done / seconds)}/s", f"{duration_text(max(0, planned - done) * seconds / done)} to go"]
    waiting = len(job.nodes) - len(begun)
    return ", ".join(told) + (f"; {waiting} of {len(job.nodes)} nodes have not begun" if waiting else "")


def _print_nodes(nodes: Sequence[JobNodeView], *, running: bool) -> None:
    rows = [_node_row(node, running) for node in nodes]
    if len(nodes) > 1:
        rows.append(_totals_row(nodes, running))
    heads = ("NODE", f"STARTED ({zone_text()})", "TOOK", "FILES", "LINES", "PLAIN", "STORED")
    print_table((*heads, "DONE") if running else heads, rows, right=(2, 3, 4, 5, 6, 7), drop=(1, 2))


def _node_row(node: JobNodeView, running: bool) -> tuple[str, ...]:
    took = duration_text((node.finished_at - node.started_at) / 1000) if node.finished_at and node.started_at else ""
    row = (node.node, time_text(node.started_at), took, *_sums(node.files, node.lines, node.raw, node.stored))
    return (*row, _done_text(node.done, node.planned)) if running else row


def _totals_row(nodes: Sequence[JobNodeView], running: bool) -> tuple[str, ...]:
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
    return f"{min(100, 100 * done // planned)} % of {size_text(planned)}" if planned else "nothing new"


def _print_files(files: Sequence[JobFileView]) -> None:
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
        cut=(1,),
        drop=(6, 7, 2, 3),
    )
