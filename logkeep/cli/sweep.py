"""`sweep`: removing what uploads left in the buckets that were never confirmed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from logkeep.cli.errors import CommandFailed, UsageError
from logkeep.cli.installation import open_installation
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_json, print_line
from logkeep.cli.texts import count_text, duration_text, size_text
from logkeep.domain.cluster import Cluster
from logkeep.errors import StoreError
from logkeep.service import clusters
from logkeep.service import sweep as service
from logkeep.service.runtime import Runtime
from logkeep.service.sweep import Orphan

_HOUR_MS = 3_600_000


def add_commands(app: typer.Typer) -> None:
    app.command("sweep", epilog=EVERYWHERE)(sweep)


def sweep(
    context: typer.Context,
    cluster: Annotated[str, typer.Argument(metavar="[CLUSTER]", help="Its name or id; else all clusters.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove.")] = False,
    grace: Annotated[float, typer.Option(metavar="HOURS", min=0, help="Keep what is younger.")] = 24.0,
) -> None:
    """List or remove objects that no manifest names.

    They are left by uploads that were never confirmed, as when the service was killed. Only such objects are ever
    removed, once their job has ended and they are older than --grace. It acts on the database and buckets of --dir.
    """
    asked = invocation(context)
    if dry_run == yes:
        raise UsageError("give either --dry-run, which only lists, or --yes, which removes")
    told: list[Orphan] = []
    failed: list[str] = []
    with open_installation(asked.directory) as runtime:
        for found in _find_clusters(runtime, cluster):
            try:
                for orphan in _sweep(runtime, found, grace, remove=yes):
                    told.append(orphan)
                    if not asked.as_json:
                        _print_orphan(orphan)
            except StoreError as error:
                failed.append(f"{found.name}: {error}")
    if asked.as_json:
        print_json(_document(told, failed, dry_run=dry_run))
    else:
        _print_sum(told)
        for line in failed:
            note(f"logkeep: {line}")
    if failed:
        raise CommandFailed(f"the buckets of {count_text(len(failed), 'cluster')} could not be swept")


def _find_clusters(runtime: Runtime, name_or_id: str) -> list[Cluster]:
    found = clusters.find_clusters(runtime, name_or_id)
    if name_or_id and not found:
        raise UsageError(f"there is no cluster {name_or_id} in this installation")
    if name_or_id and len(found) > 1:
        raise UsageError(
            f"several projects have a cluster {name_or_id}; name one by its id: {', '.join(one.id for one in found)}"
        )
    return found


def _sweep(runtime: Runtime, cluster: Cluster, grace: float, *, remove: bool) -> Iterator[Orphan]:
    return service.sweep(runtime, cluster, grace_ms=round(grace * _HOUR_MS), remove=remove)


def _document(told: list[Orphan], failed: list[str], *, dry_run: bool) -> dict[str, Any]:
    removed = [orphan for orphan in told if orphan.fate == "removed"]
    return {
        "dry_run": dry_run,
        "orphans": [asdict(orphan) for orphan in told],
        "removed": {"objects": len(removed), "bytes": sum(orphan.bytes for orphan in removed)},
        "failed": failed,
    }


def _print_orphan(orphan: Orphan) -> None:
    """Two lines for each: names of objects are longer than a terminal is wide."""
    age = "of unknown age" if orphan.modified_at is None else f"{duration_text(_age(orphan.modified_at))} old"
    print_line(f"{orphan.fate}: {orphan.object}")
    reason = f"; {orphan.reason}" if orphan.reason else ""
    print_line(f"  {size_text(orphan.bytes)}, {age}, bucket {orphan.bucket}, left by job {orphan.job_id}{reason}")


def _age(modified_at: int) -> float:
    return max(0.0, time.time() - modified_at / 1000)


def _print_sum(told: list[Orphan]) -> None:
    if not told:
        print_line("there are no orphans")
        return
    fates = sorted({orphan.fate for orphan in told})
    print_line("; ".join(_sum_text(fate, [orphan for orphan in told if orphan.fate is fate]) for fate in fates))


def _sum_text(fate: str, orphans: list[Orphan]) -> str:
    return f"{count_text(len(orphans), 'object')}, {size_text(sum(one.bytes for one in orphans))}, {fate}"
