"""`coverage`: which span of each log is held, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from logkeep.cli.client import Cluster, open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import print_json, print_line, print_table
from logkeep.cli.texts import count_text, moment_text, size_text, time_text, zone_text


def add_commands(app: typer.Typer) -> None:
    app.command("coverage", epilog=EVERYWHERE)(show_coverage)


def show_coverage(
    context: typer.Context,
    cluster: ClusterName,
    node: Annotated[str, typer.Option(metavar="NODE", help="Only this node.")] = "",
    family: Annotated[str, typer.Option(metavar="FAMILY", help="Only this log and its rotations: gc.log.")] = "",
) -> None:
    """Show which span of each log is held, and what is known to be missing.

    It tells and does not judge: the exit code is 0 also where there are gaps.
    """
    client = open_client(context)
    found = client.find_cluster(cluster)
    logs = client.coverage(found, node=node, family=family)
    if invocation(context).as_json:
        print_json({"logs": logs})
    elif not logs:
        print_line(f"nothing of that is held of {found.name}")
    else:
        _print_coverage(found, logs)


def _print_coverage(cluster: Cluster, logs: list[dict[str, Any]]) -> None:
    at, job_id = logs[0]["lastSuccessAt"], logs[0]["lastSuccessJob"]
    last = f"the last backup that succeeded ended {moment_text(at)}, job {job_id}" if at else "no backup succeeded yet"
    print_line(f"{cluster.name}: {last}\n")
    print_table(
        ("NODE", "LOG", "FROM", "UNTIL", "GENERATIONS", "LINES", "PLAIN", "STORED", f"SAFE UNTIL ({zone_text()})"),
        [_row(log) for log in logs],
        right=(4, 5, 6, 7),
    )
    _print_gaps([(log["node"], log["family"], gap) for log in logs for gap in log["gaps"]])
    _print_warnings([(log["node"], log["family"], warned) for log in logs for warned in log["warnings"]])


def _row(log: dict[str, Any]) -> tuple[str, ...]:
    if not log["family"]:
        return (log["node"], "nothing is held", *[""] * 7)
    return (
        log["node"],
        log["family"],
        log["from"],
        log["until"],
        f"{log['generations']:,}",
        f"{log['lines']:,}",
        size_text(log["raw"]),
        size_text(log["stored"]),
        time_text(log["safeUntil"]),
    )


def _print_gaps(gaps: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
    if not gaps:
        print_line("\nno gap is known")
        return
    print_line(f"\n{count_text(len(gaps), 'gap')}:\n")
    print_table(
        ("NODE", "LOG", "AFTER", "UNTIL", "AT LEAST", "REASON", "TOLD BY JOB"),
        [
            (
                node,
                family,
                gap["after"] or "unknown",
                gap["until"] or "unknown",
                size_text(gap["atLeast"]) if gap["atLeast"] else "unknown",
                gap["reason"],
                gap["jobId"],
            )
            for node, family, gap in gaps
        ],
        right=(4,),
    )


def _print_warnings(warnings: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
    if warnings:
        print_line(f"\n{count_text(len(warnings), 'warning')}:\n")
        print_table(
            ("NODE", "LOG", "CODE", "WHAT", "TOLD BY JOB"),
            [(node, family, one["code"], one["message"], one["jobId"]) for node, family, one in warnings],
        )
