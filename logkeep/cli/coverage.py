"""`coverage`: which span of each log is held, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

import typer
from msgspec import to_builtins

from logkeep.cli.client import open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import print_heading, print_json, print_line, print_paragraph
from logkeep.cli.removed import removed_text
from logkeep.cli.selection import FamilyName, NodeName
from logkeep.cli.texts import count_text, moment_text, size_text
from logkeep.contract.native.job_responses import HeldGapView, HeldLine
from logkeep.contract.native.responses import ClusterView


def add_commands(app: typer.Typer) -> None:
    app.command("coverage", epilog=EVERYWHERE)(show_coverage)


def show_coverage(
    context: typer.Context,
    cluster: ClusterName,
    node: NodeName = "",
    family: FamilyName = "",
) -> None:
    """Show which span of each log is held, and what is missing.

    What is missing is told as far as it is known. It tells and does not judge: the exit code is 0 also where there are
    gaps.
    """
    client = open_client(context)
    found = client.find_cluster(cluster)
    logs = client.coverage(found, node=node, family=family)
    if invocation(context).as_json:
        print_json({"logs": to_builtins(logs)})
    elif not logs:
        there = f"; `logkeep coverage {quote(found.name)}` shows what is" if node or family else ""
        print_line(f"nothing of that is held of {found.name}{there}")
    else:
        _print_coverage(found, logs)


def _print_coverage(cluster: ClusterView, logs: list[HeldLine]) -> None:
    at, job_id = logs[0].last_success_at, logs[0].last_success_job
    last = f"the last backup that succeeded ended {moment_text(at)}, job {job_id}" if at else "no backup succeeded yet"
    print_paragraph(last, f"{cluster.name}: ")
    for log in logs:
        print_line()
        _print_log(log)
    print_line(f"\n{_sum_text(logs)}")


def _print_log(log: HeldLine) -> None:
    """One block for each log: a table of all that is known of it would fit no terminal."""
    print_heading(f"{log.node}  {log.family}" if log.family else log.node)
    if not log.family:
        print_line("  nothing is held")
    else:
        _print_held(log)
    for gap in log.gaps:
        _print_told("gap", _gap_text(gap), gap.job_id)
    for removed in log.removed:
        _print_field("removed", removed_text(removed))
    for one in log.warnings:
        _print_told("warning", f"{one.code}: {one.message}", one.job_id)


def _print_held(log: HeldLine) -> None:
    spanned = f"{log.first_time} to {log.last_time}" if log.first_time else "its lines have no time"
    counts = f"{count_text(log.generations, 'generation')}, {count_text(log.lines, 'line')}"
    _print_field("held", spanned)
    _print_field("size", f"{counts}, {size_text(log.raw)}, {size_text(log.stored)} in the bucket")
    if log.safe_until:
        _print_field("safe", f"until {moment_text(log.safe_until)}; later the node may delete lines that are not kept")


def _print_told(name: str, text: str, job_id: str) -> None:
    _print_field(name, text)
    _print_field("", f"told by job {job_id}")


def _print_field(name: str, text: str) -> None:
    print_paragraph(text, f"  {name:<9}")


def _gap_text(gap: HeldGapView) -> str:
    size = f"at least {size_text(gap.at_least)}" if gap.at_least else "how much is not known"
    return f"after {gap.after or 'an unknown time'} until {gap.until or 'an unknown time'}, {size}: {gap.reason}"


def _sum_text(logs: Sequence[HeldLine]) -> str:
    held = sum(bool(log.family) for log in logs)
    gaps, warnings = sum(len(log.gaps) for log in logs), sum(len(log.warnings) for log in logs)
    told = f"{count_text(gaps, 'gap')}" if gaps else "no gap is known"
    return f"{count_text(held, 'log')}: {told}" + (f", {count_text(warnings, 'warning')}" if warnings else "")
