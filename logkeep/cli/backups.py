"""`backup` and `records`: start a backup, and see what became of each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from shlex import quote
from typing import Annotated

import typer

from logkeep.cli.client import (
    Broken,
    Cluster,
    Forecast,
    Gap,
    Job,
    NotAnswering,
    Record,
    Records,
    ServiceClient,
    Warned,
    decode,
    open_client,
)
from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import CommandFailed
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import Advance, note, print_document, print_line, print_table, waiting
from logkeep.cli.texts import count_text, duration_text, moment_text, time_text, zone_text

_LISTED = ("id", "clusterId", "createAt", "logPath", "status", "finishedAt", "jobTypes", "failedMsg", "jobId")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between two looks at a running backup
_PATIENCE = 60.0  # seconds for a service that is being started again


def add_commands(app: typer.Typer) -> None:
    app.command("backup", epilog=EVERYWHERE)(backup)
    app.command("records", epilog=EVERYWHERE)(list_records)


def backup(
    context: typer.Context,
    cluster: ClusterName,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 if it is FAIL.")] = False,
) -> None:
    """Back up what is new in the logs of a cluster."""
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    job_id = start_backup(client, found)
    document = client.get(job_path(job_id))
    if wait:
        try:
            with waiting(f"backing up {found.name}", shown=not asked.as_json) as progress:
                document = wait_for_job(client, job_id, lambda job: _show_progress(progress, job))
        except KeyboardInterrupt:
            note(f"the backup of {found.name} goes on, job {job_id}; see {asked.command} records {quote(found.name)}")
            raise
    record = decode(document, Job)
    if asked.as_json:
        print_document(as_listed(document))
    elif record.status == "RUNNING":
        print_line(f"backup of {found.name} started, job {job_id}")
        print_line(f"see what becomes of it:  {asked.command} records {quote(found.name)}")
    elif record.status == "SUCCESS":
        print_line(f"backup of {found.name} succeeded in {took_text(record)}: {record.log_path}, job {job_id}")
    for gap in record.gaps:
        note(gap_text(gap))
    for warned in record.warnings:
        note(warning_text(warned))
    for forecast in record.forecasts:
        note(forecast_text(forecast))
    if record.status == "FAIL":
        if asked.as_json:
            raise typer.Exit(1)
        raise CommandFailed(
            f"backup of {found.name} failed after {took_text(record)}, job {job_id}:\n{failures_text(record)}"
        )


def as_listed(document: bytes) -> bytes:
    """Return a job's record as the list of records has it."""
    job = json.loads(document)
    return json.dumps({name: job[name] for name in _LISTED}).encode()


def job_path(job_id: str) -> str:
    """Return the path of a job without its files."""
    return f"/api/v1/jobs/{job_id}?limit=1"


def _show_progress(progress: Advance, job: Job) -> None:
    begun = [node for node in job.nodes if node.started_at]
    if begun:
        current = max(begun, key=lambda node: node.started_at or 0)
        planned = sum(node.planned or 0 for node in begun)
        where = f"{current.node} ({len(begun)} of {len(job.nodes)})" if len(job.nodes) > 1 else current.node
        progress(sum(node.done or 0 for node in begun), where, planned)


def gap_text(gap: Gap) -> str:
    """A gap as a sentence."""
    span = " ".join(part for part in (gap.after and f"after {gap.after}", gap.until and f"until {gap.until}") if part)
    size = f"at least {gap.at_least} bytes" if gap.at_least else "how much is not known"
    return f"gap: not all of {gap.family} of {gap.node} was kept: {gap.reason}; {span or 'time unknown'}; {size}"


def warning_text(warned: Warned) -> str:
    """A warning as a sentence."""
    where = f"node {warned.node}: " if warned.node else ""
    return f"warning: {warned.code}: {where}{warned.message}"


def forecast_text(forecast: Forecast) -> str:
    """A forecast as a sentence."""
    following = f"the next backup is at {moment_text(forecast.next_run)}" if forecast.next_run else "none is planned"
    return (
        f"forecast: at the pace seen so far, {forecast.node} may delete lines of {forecast.family} that are not kept "
        f"from {moment_text(forecast.safe_until)} on, and {following}; back up before that"
    )


def start_backup(client: ServiceClient, cluster: Cluster) -> str:
    """Start a backup; return the id of its job."""
    return decode(client.send("POST", f"/api/v1/clusters/{cluster.id}/backups"), Job).job_id


def wait_for_job(client: ServiceClient, job_id: str, look: Callable[[Job], None] = lambda _: None) -> bytes:
    """Return the record once the job has ended; waits for a restarted service too, since the job goes on."""
    pause = _FIRST_PAUSE
    last_answer = time.monotonic()
    while True:
        try:
            document = client.get(job_path(job_id))
            last_answer = time.monotonic()
            job = decode(document, Job)
            if job.status != "RUNNING":
                return document
            look(job)
        except (NotAnswering, Broken) as error:
            if time.monotonic() - last_answer > _PATIENCE:
                raise CommandFailed(f"{error}; the backup, job {job_id}, goes on when it is started") from error
        time.sleep(pause)
        pause = min(pause * 1.3, _LONGEST_PAUSE)


def list_records(
    context: typer.Context,
    cluster: ClusterName,
    status: Annotated[str, typer.Option(metavar="FAIL|NOT_FAIL", help="Only those that failed, or did not.")] = "",
    offset: Annotated[int, typer.Option(min=1, help="Number of the first one, from 1 for the newest.")] = 1,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 10,
) -> None:
    """List the backups of a cluster, newest first."""
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    query: dict[str, str | int] = {"offset": offset, "limit": limit} | ({"status": status} if status else {})
    document = client.records(found, **query)
    if asked.as_json:
        print_document(document)
        return
    page = decode(document, Records)
    if not page.cluster_log_record:
        there = count_text(page.total_size, "record") if page.total_size else "no record"
        where = f"none from {offset} on: " if page.total_size else ""
        print_line(f"{where}{found.name} has {there}{' of that kind' if status else ''}")
        return
    print_records(page.cluster_log_record)
    last = offset + len(page.cluster_log_record) - 1
    if last < page.total_size or offset > 1:
        note(f"{offset} to {last} of {page.total_size:,}; the next: --offset {last + 1}")


def print_records(records: list[Record]) -> None:
    """A table, and below it why those that failed did."""
    print_table(
        (f"STARTED ({zone_text()})", "TYPE", "STATUS", "TOOK", "JOB"),
        [(time_text(r.create_at), r.job_types, r.status, took_text(r), r.job_id) for r in records],
        right=(3,),
    )
    for record in records:
        if record.failed_msg:
            print_line(f"\n{record.job_id} failed:\n{failures_text(record)}")


def failures_text(record: Record) -> str:
    """One failure a line."""
    return "\n".join(f"  {part}" for part in (record.failed_msg or "").replace("; LK-", "\nLK-").split("\n"))


def took_text(record: Record) -> str:
    return duration_text((record.finished_at - record.create_at) / 1000) if record.finished_at else ""
