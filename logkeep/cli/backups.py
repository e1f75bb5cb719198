"""`backup` and `records`: start a backup, and see what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from shlex import quote
from typing import Annotated

import msgspec
import typer

from logkeep.cli.client import Broken, NotAnswering, ServiceClient, decode, open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import CommandFailed
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import Advance, note, print_document, print_line, print_paragraph, print_table, waiting
from logkeep.cli.texts import count_text, duration_text, moment_text, time_text, zone_text
from logkeep.contract.css.responses import ClusterLogRecord, ListLogsJobResponse
from logkeep.contract.native.job_responses import ForecastView, GapView, JobView, WarningView
from logkeep.contract.native.responses import ClusterView
from logkeep.contract.native.status_responses import ProjectRecordList
from logkeep.domain.backup_job import split_failures
from logkeep.domain.cluster import for_cluster

RECORDS = "/api/v1/records"  # of all clusters
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between two looks at a running backup
_LONGEST_WAIT = 24 * 3600.0  # seconds; then it is `stuck`
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
    follow_backup(client, asked, found, start_backup(client, found), wait=wait)


def follow_backup(client: ServiceClient, asked: CommonOptions, found: ClusterView, job_id: str, *, wait: bool) -> None:
    """Tell of a backup that was just started, or wait and tell what became of it."""
    document = client.get(job_path(job_id))
    if wait:
        try:
            with waiting(f"backing up {found.name}", shown=not asked.as_json) as progress:
                document = wait_for_job(client, job_id, lambda job: show_progress(progress, job))
        except KeyboardInterrupt:
            note(f"the backup of {found.name} goes on, job {job_id}; see `{asked.command} records {quote(found.name)}`")
            raise
    record = decode(document, JobView)
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
        told = f"backup of {found.name} failed after {took_text(record)}, job {job_id}"
        raise CommandFailed("\n  ".join([f"{told}:", *_failures(record, found.name)]))


def as_listed(document: bytes) -> bytes:
    """Return a job's record as the list of records has it."""
    return msgspec.json.encode(decode(document, ClusterLogRecord))


def job_path(job_id: str) -> str:
    """Return the path of a job without its files."""
    return f"/api/v1/jobs/{job_id}?limit=1"


def show_progress(progress: Advance, job: JobView) -> None:
    begun = [node for node in job.nodes if node.started_at]
    if begun:
        current = max(begun, key=lambda node: node.started_at or 0)
        planned = sum(node.planned or 0 for node in begun)
        where = f"{current.node} ({len(begun)} of {len(job.nodes)})" if len(job.nodes) > 1 else current.node
        progress(sum(node.done or 0 for node in begun), where, planned)


def gap_text(gap: GapView) -> str:
    """A gap as a sentence."""
    span = " ".join(part for part in (gap.after and f"after {gap.after}", gap.until and f"until {gap.until}") if part)
    size = f"at least {gap.at_least} bytes" if gap.at_least else "how much is not known"
    return f"gap: not all of {gap.family} of {gap.node} was kept: {gap.reason}; {span or 'time unknown'}; {size}"


def warning_text(warned: WarningView) -> str:
    """A warning as a sentence."""
    where = f"node {warned.node}: " if warned.node else ""
    return f"warning: {warned.code}: {where}{warned.message}"


def forecast_text(forecast: ForecastView) -> str:
    """A forecast as a sentence."""
    following = (
        f"the next backup is at {moment_text(forecast.next_run)}" if forecast.next_run else "no backup is planned"
    )
    return (
        f"forecast: at the pace seen so far, {forecast.node} may delete lines of {forecast.family} that are not kept "
        f"from {moment_text(forecast.safe_until)} on, and {following}; back up before that"
    )


def start_backup(client: ServiceClient, cluster: ClusterView, *, repair: bool = False) -> str:
    """Start a backup; return the id of its job."""
    asked = {"repair": True} if repair else None
    return decode(client.send("POST", f"/api/v1/clusters/{cluster.id}/backups", asked), JobView).job_id


def wait_for_job(client: ServiceClient, job_id: str, look: Callable[[JobView], None] = lambda _: None) -> bytes:
    """Return the record once the job has ended; waits for a restarted service too, since the job goes on."""
    pause = _FIRST_PAUSE
    begun = last_answer = time.monotonic()
    while True:
        try:
            document = client.get(job_path(job_id))
            last_answer = time.monotonic()
            job = decode(document, JobView)
            if job.status != "RUNNING":
                return document
            look(job)
        except (NotAnswering, Broken) as error:
            if time.monotonic() - last_answer > _PATIENCE:
                raise CommandFailed(f"{error}; the backup, job {job_id}, goes on when it is started") from error
        if time.monotonic() - begun > _LONGEST_WAIT:
            raise CommandFailed(f"job {job_id} has not ended within a day; it goes on, see `logkeep job show {job_id}`")
        time.sleep(pause)
        pause = min(pause * 1.3, _LONGEST_PAUSE)


def list_records(
    context: typer.Context,
    cluster: Annotated[str, typer.Argument(metavar="[CLUSTER]", help="Its name or id; all without it.")] = "",
    status: Annotated[str, typer.Option(metavar="FAIL|NOT_FAIL", help="Only those that failed, or did not.")] = "",
    offset: Annotated[int, typer.Option(min=1, help="Number of the first one, from 1 for the newest.")] = 1,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 10,
) -> None:
    """List the backups of a cluster, or of all, newest first."""
    asked = invocation(context)
    client = open_client(context)
    query: dict[str, str | int] = {"offset": offset, "limit": limit} | ({"status": status} if status else {})
    found = client.find_cluster(cluster) if cluster else None
    document = client.records(found, **query) if found else client.get(RECORDS, **query)
    if asked.as_json:
        print_document(document)
        return
    if found:
        page = decode(document, ListLogsJobResponse)
        records, total = page.cluster_log_record, page.total_size
        clusters = [found.name] * len(records)
    else:
        whole = decode(document, ProjectRecordList)
        records, total = whole.records, whole.total_size
        clusters = [record.cluster_name for record in whole.records]
    if not records:
        print_line(_nothing_text(found.name if found else None, status, total))
        return
    print_records(records, clusters, of_all=found is None)
    last = offset + len(records) - 1
    if last < total:
        note(f"{offset} to {last} of {total:,}; the next: --offset {last + 1}")
    elif offset > 1:
        note(f"{offset} to {last} of {total:,}, the oldest")


def _nothing_text(cluster: str | None, status: str, total: int) -> str:
    kind = {"FAIL": " that failed", "NOT_FAIL": " that did not fail"}.get(status, "")
    if total:
        whose = f"{cluster} has" if cluster else "all clusters together have"
        return f"{whose} only {count_text(total, 'backup')}{kind}; the oldest: --offset {total}"
    return f"{cluster} has no backup{kind} yet" if cluster else f"no cluster has a backup{kind} yet"


def print_records(records: Sequence[ClusterLogRecord], clusters: Sequence[str], *, of_all: bool = False) -> None:
    """A table, with the name of the cluster of each record in it or not, and below it why those that failed did."""
    started = f"STARTED ({zone_text()})"
    rows = [(time_text(int(r.create_at)), r.job_types, r.status, took_text(r), r.job_id) for r in records]
    if of_all:
        named = [(name, *row) for name, row in zip(clusters, rows, strict=True)]
        print_table(("CLUSTER", started, "TYPE", "STATUS", "TOOK", "JOB"), named, right=(4,), drop=(2, 4))
    else:
        print_table((started, "TYPE", "STATUS", "TOOK", "JOB"), rows, right=(3,), drop=(1,))
    for name, record in zip(clusters, records, strict=True):
        if record.failed_msg:
            of = f" of {name}" if of_all else ""
            print_line(f"\n{record.job_id}{of} failed:")
            print_failures(record, name)


def print_failures(record: ClusterLogRecord, cluster: str) -> None:
    for failure in _failures(record, cluster):
        print_paragraph(failure, "  ", hang=4)


def _failures(record: ClusterLogRecord, cluster: str) -> list[str]:
    """Return the failures, with the name of the cluster in their commands."""
    return [for_cluster(part, cluster) for part in split_failures(record.failed_msg or "")]


def took_text(record: ClusterLogRecord) -> str:
    return duration_text((record.finished_at - int(record.create_at)) / 1000) if record.finished_at else ""
