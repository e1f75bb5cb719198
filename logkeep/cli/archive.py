"""`restore`: getting back what is kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import Failed, WrongUse
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import (
    byte_progress,
    count_text,
    duration_text,
    note,
    print_json,
    print_line,
    size_text,
)

if TYPE_CHECKING:
    from logkeep.cli.client import Cluster, Kept, ServiceClient
    from logkeep.cli.restore import Outcome


def add_commands(app: typer.Typer) -> None:
    app.command("restore", epilog=EVERYWHERE)(restore)


def restore(
    context: typer.Context,
    cluster: ClusterName,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where to write; a folder is made for each node.")],
    node: Annotated[str, typer.Option(metavar="NODE", help="Only this node.")] = "",
    family: Annotated[str, typer.Option(metavar="FAMILY", help="Only this log and its rotations: gc.log.")] = "",
    join: Annotated[
        bool, typer.Option("--join", help="One file for each log: all that was kept, in the order it was written.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Write the kept logs of a cluster to a directory.

    Each file is written under its own name, uncompressed; of several that had one name, the newest has it and the
    older ones get .~1, .~2 and so on. With --join there is one file for each log, named as the active one.
    """
    from logkeep.cli import restore as files_of
    from logkeep.cli.client import open_client

    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    kept = _list_kept(client, found, node, family)
    files = files_of.plan_joined(kept) if join else files_of.plan_files(kept)
    files_of.check_free(to, files, force=force)
    started = time.monotonic()
    with byte_progress("restoring", sum(file.size for file in files), shown=not asked.as_json) as progress:
        outcome = files_of.restore_files(client, found, to, files, force=force, progress=progress)
    if asked.as_json:
        print_json(_restore_document(to, outcome))
    else:
        _print_restored(to, outcome, time.monotonic() - started)
    if outcome.failed:
        raise Failed(
            f"{count_text(len(outcome.failed), 'file')} could not be restored; "
            f"`{asked.command} verify {found.name} --read-data` tells what is damaged"
        )


def _list_kept(client: ServiceClient, cluster: Cluster, node: str, family: str) -> list[Kept]:
    query = {name: value for name, value in (("node", node), ("family", family)) if value}
    kept = client.list_kept(cluster, **query)
    if kept:
        return kept
    if not query:
        raise Failed(f"nothing of {cluster.name} is kept yet; `logkeep records {cluster.name}` lists its backups")
    there = sorted({f"{entry.node}/{entry.family}" for entry in client.list_kept(cluster)})
    more = f" and {len(there) - 20} more" if len(there) > 20 else ""
    raise WrongUse(f"nothing of that is kept of {cluster.name}; there are: {', '.join(there[:20]) or 'none'}{more}")


def _restore_document(to: Path, outcome: Outcome) -> dict[str, Any]:
    return {
        "to": str(to.absolute()),
        "bytes": outcome.size,
        "files": [
            {
                "path": str(to.absolute() / file.path),
                "node": file.parts[0].node,
                "family": file.parts[0].family,
                "bytes": file.size,
            }
            for file in outcome.written
        ],
        "failed": [{"file": label, "reason": reason} for label, reason in outcome.failed.items()],
    }


def _print_restored(to: Path, outcome: Outcome, seconds: float) -> None:
    for label, reason in outcome.failed.items():
        note(f"logkeep: {label}: {reason}")
    print_line(
        f"restored {count_text(len(outcome.written), 'file')}, {size_text(outcome.size)}, to {to} in "
        f"{duration_text(seconds)} ({size_text(outcome.size / max(seconds, 0.001))}/s)"
    )
