"""`audit`: who changed what. It acts on the database, so it shows every project."""

from __future__ import annotations

from typing import Annotated

import typer

from logkeep.cli.identity import find_project
from logkeep.cli.installation import open_installation
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_document, print_table
from logkeep.cli.selection import read_time
from logkeep.cli.texts import time_text, zone_text
from logkeep.contract.native.responses import render_audit
from logkeep.service import audit as service
from logkeep.service import identity


def add_commands(app: typer.Typer) -> None:
    app.command("audit", epilog=EVERYWHERE)(audit)


def audit(
    context: typer.Context,
    project: Annotated[str, typer.Option(metavar="NAME", help="Only this one: its name or id.")] = "",
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="From then on: 2026-11-24, or 2026-11-24T08:00:00+08:00; UTC by default."),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 100,
) -> None:
    """List who changed what, and who was refused, newest first."""
    asked = invocation(context)
    since_ms = read_time("--since", since) if since else 0
    with open_installation(asked.directory) as runtime:
        project_id = find_project(runtime, project).id if project else ""
        entries, total = service.list_entries(runtime, project_id=project_id, since_ms=since_ms, limit=limit)
        names = {found.id: found.name for found in identity.list_projects(runtime)}
    if asked.as_json:
        print_document(render_audit(entries, total))
        return
    print_table(
        (f"TIME ({zone_text()})", "OPERATION", "STATUS", "WHO", "FROM", "PROJECT", "CLUSTER", "REQUEST"),
        [
            (
                time_text(entry.at),
                entry.operation,
                f"{entry.status} {entry.code}".rstrip(),
                entry.who or "-",
                entry.address or "-",
                names.get(entry.project_id, entry.project_id) or "-",
                entry.cluster_id or "-",
                entry.request_id,
            )
            for entry in entries
        ],
    )
    if total > len(entries):
        note(f"{len(entries)} of {total}; more with --limit")
