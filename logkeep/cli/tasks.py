"""`tasks`: backups and missed daily runs of all clusters or of one, as one list."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.errors import UsageError
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import note, print_document, print_line, print_table
from logkeep.cli.selection import check_text, read_time
from logkeep.cli.texts import count_text, moment_text, size_text, time_text, zone_text
from logkeep.contract.native.tasks import TaskCounts, TaskLine, TaskList

_PATH = "/api/v1/tasks"
_STATES = ("running", "success", "fail", "missed")
_TYPES = ("manual", "auto")
_MOST_NAMED = 5


def add_commands(app: typer.Typer) -> None:
    app.command("tasks", epilog=EVERYWHERE)(list_tasks)


def list_tasks(
    context: typer.Context,
    cluster: Annotated[str, typer.Argument(metavar="[CLUSTER]", help="Its name or id; all without it.")] = "",
    state: Annotated[str, typer.Option(metavar="|".join(_STATES), help="Only those of this state.")] = "",
    type_: Annotated[
        str, typer.Option("--type", metavar="|".join(_TYPES), help="Only those started by hand, or by a policy.")
    ] = "",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Created, or due, from then on: 2026-11-24T08:00; UTC by default.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Before: 2026-11-25.")] = "",
    text: Annotated[
        str, typer.Option(metavar="TEXT", help="In the cluster's name, the job's id or path, or the failure.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="All of them, however many, as CSV.")] = False,
) -> None:
    """List backups and missed daily runs, newest first."""
    asked = invocation(context)
    if as_csv and asked.as_json:
        raise UsageError("--csv and --json are two forms of one list; choose one")
    check_text(text, "--text")
    query: dict[str, str | int] = {
        "state": _choice("--state", state, _STATES).upper(),
        "type": _choice("--type", type_, _TYPES).capitalize(),
        "text": text,
    }
    query |= {"since": read_time("--since", since)} if since else {}
    query |= {"until": read_time("--until", until)} if until else {}
    client = open_client(context)
    if cluster:
        query["cluster"] = client.find_cluster(cluster).id
    given = {name: value for name, value in query.items() if value != ""}
    if as_csv:
        _print_csv(client, given)
        return
    document = client.get(_PATH, limit=limit, **given)
    if asked.as_json:
        print_document(document)
        return
    _print_page(asked, decode(document, TaskList))


def _choice(option: str, word: str, choices: tuple[str, ...]) -> str:
    if word.lower() not in {"", *choices}:
        raise UsageError(f"{option} {word}: {', '.join(choices[:-1])} or {choices[-1]} is allowed")
    return word.lower()


def _print_csv(client: ServiceClient, query: dict[str, str | int]) -> None:
    with client.stream("GET", f"{_PATH}/export?{urlencode({'format': 'csv', **query}, quote_via=quote)}") as pieces:
        for piece in pieces:
            sys.stdout.buffer.write(piece)


def _print_page(asked: CommonOptions, page: TaskList) -> None:
    if page.tasks:
        heads = (f"TIME ({zone_text()})", "CLUSTER", "STATE", "TYPE", "NODES", "STORED", "GAPS", "WARNINGS", "JOB")
        # In 80 columns there is room for the time, the state and the id of the job.
        print_table(heads, [_row(task) for task in page.tasks], right=(4, 5, 6, 7), cut=(1,), drop=(3, 4, 5, 7, 6))
        _note_left_out(asked, page.tasks)
    if page.partly is not None:
        note(f"the text was looked for from {moment_text(page.partly)} on; older ones: --until, or all with --csv")
    if page.next:
        note(f"the newest {len(page.tasks)}; more: --limit, or all with --csv")
    print_line(_counts_text(page.counts, page.counted_all))


def _note_left_out(asked: CommonOptions, tasks: Sequence[TaskLine]) -> None:
    """Name the tasks that have gaps or warnings, which a narrow terminal shows in no column."""
    named = [task.job_id for task in tasks if task.job_id and (task.gaps or task.warnings)]
    if named:
        more = f" and {len(named) - _MOST_NAMED:,} more" if len(named) > _MOST_NAMED else ""
        note(
            f"with gaps or warnings, which `{asked.command} job show JOB` tells: {', '.join(named[:_MOST_NAMED])}{more}"
        )


def _row(task: TaskLine) -> tuple[str, ...]:
    nodes = _nodes_text(task) if task.nodes else ""
    stored = size_text(task.stored) if task.stored is not None else ""
    job_id = task.job_id or task.late_job_id or ""
    left_out = ("", "") if task.gaps is None else (f"{task.gaps:,}", f"{task.warnings:,}")
    return (time_text(task.at), task.cluster_name, task.state, task.type, nodes, stored, *left_out, job_id)


def _nodes_text(task: TaskLine) -> str:
    """`2/2`, or `1/2, 1 failed`."""
    failed = task.nodes_failed or 0
    return f"{max(0, (task.nodes_done or 0) - failed)}/{task.nodes}" + (f", {failed} failed" if failed else "")


def _counts_text(counts: TaskCounts, counted_all: bool) -> str:
    """`1,204 tasks: 1 running, 1,190 success, 10 fail, 3 missed`."""
    told = ", ".join(f"{getattr(counts, state):,} {state}" for state in _STATES)
    return f"{'' if counted_all else 'at least '}{count_text(counts.all, 'task')}: {told}"
