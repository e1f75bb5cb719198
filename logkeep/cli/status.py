"""`status`: all clusters in one view, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from logkeep.cli.client import decode, open_client
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import note, print_document, print_heading, print_line, print_paragraph, print_table
from logkeep.cli.texts import count_text, readable
from logkeep.contract.native.status_responses import ClusterStatusView, DayView, StatusList, UndeliveredView
from logkeep.domain.cluster_status import MOST_GAPS, age_text
from logkeep.domain.day_strip import MOST_DAYS, DayState

STATUS = "/api/v1/status"
_WIDTH = 70  # days in a line: with their indent they fit 80 columns
# Told apart without colours, and in any font; the second where the output is not Unicode.
_MARKS = {
    DayState.KEPT: ("█", "#"),
    DayState.FAILED: ("x", "x"),
    DayState.MISSED: ("!", "!"),
    DayState.RUNNING: (">", ">"),
    DayState.NONE: ("·", "."),
}


def add_commands(app: typer.Typer) -> None:
    app.command("status", epilog=EVERYWHERE)(show_status)


def show_status(
    context: typer.Context,
    offset: Annotated[int, typer.Option(min=1, help="Number of the first one, from 1 for the worst.")] = 1,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    days: Annotated[
        int, typer.Option(min=0, max=MOST_DAYS, help="Also show the last days, in UTC, one character each.")
    ] = 0,
) -> None:
    """Show how all clusters stand, worst first, and what to do.

    Exit code 1 where one needs a hand, also one that is on another page, or where notices cannot be delivered.
    """
    asked = invocation(context)
    document = open_client(context).get(STATUS, offset=offset, limit=limit, **({"days": days} if days else {}))
    page = decode(document, StatusList)
    if asked.as_json:
        print_document(document)
    elif not page.total_size:
        print_line("no cluster is registered yet; register one, with its nodes and their log directories:")
        print_line(f"  `{asked.command} cluster add NAME --node NODE=file:///var/log/opensearch`")
    else:
        _print_page(asked, page, offset, days)
    if not asked.as_json:
        for target in page.undelivered:
            print_paragraph(_undelivered_text(asked, target, page.at), "", hang=2)
    if page.need_hand or page.undelivered:
        raise typer.Exit(1)


def _print_page(asked: CommonOptions, page: StatusList, offset: int, days: int = 0) -> None:
    if page.clusters:
        print_table(
            ("CLUSTER", "STATE", "LAST SUCCESS", "NEXT RUN", "GAPS", "WARNINGS", "VERIFIED"),
            [_row(one, page.at) for one in page.clusters],
            right=(4, 5),
            drop=(5, 4),
        )
    for one in page.clusters:
        if one.troubles or one.days:
            print_line()
            print_heading(one.name)
            for trouble in one.troubles:
                print_paragraph(trouble.message.replace("`logkeep ", f"`{asked.command} "), "  ")
            _print_days(one.days or [])
    if any(one.days for one in page.clusters):
        print_line(f"\n{_legend()}")
    print_line(f"\n{_sum_text(page)}")
    last = offset + len(page.clusters) - 1
    if last < page.total_size:
        further = f"`{asked.command} status --offset {last + 1}`"
        if days:
            further = f"`{asked.command} status --offset {last + 1} --days {days}`"
        note(f"{offset} to {last} of {page.total_size:,}; the next: {further}")


def _undelivered_text(asked: CommonOptions, target: UndeliveredView, at: int) -> str:
    since = age_text(at - target.failing_since)
    why = f": {target.last_error}" if target.last_error else ""
    return f"notices to {target.name} cannot be delivered for {since} now{why}; see `{asked.command} notify list`"


def _row(one: ClusterStatusView, at: int) -> tuple[str, ...]:
    gaps = f"{one.gaps:,}" + ("+" if one.gaps >= MOST_GAPS else "")
    success, verified = _ago(one.last_success_at, at), _ago(one.verified_at, at)
    return one.name, one.state, success, _next(one, at), gaps, f"{one.warnings:,}", verified


def _print_days(days: Sequence[DayView]) -> None:
    for start in range(0, len(days), _WIDTH):
        print_line("  " + "".join(_mark(day.state) for day in days[start : start + _WIDTH]))
    if days:
        print_line(f"  {days[0].date}" + (f" to {days[-1].date}" if len(days) > 1 else ""))


def _legend() -> str:
    return "a day each, the last is today: " + ", ".join(f"{_mark(state)} {state}" for state in _MARKS)


def _mark(state: DayState) -> str:
    mark, plain = _MARKS[state]
    return mark if readable(mark) == mark else plain


def _ago(moment: int | None, at: int) -> str:
    return f"{age_text(at - moment)} ago" if moment is not None else "never"


def _next(one: ClusterStatusView, at: int) -> str:
    if one.running_since is not None:
        return "running"
    if one.next_run is None:
        return "none"
    return f"in {age_text(one.next_run - at)}" if one.next_run > at else "due"


def _sum_text(page: StatusList) -> str:
    clusters = count_text(page.total_size, "cluster")
    if not page.need_hand:
        return f"{clusters}: none needs a hand"
    return f"{clusters}: {page.need_hand:,} {'needs' if page.need_hand == 1 else 'need'} a hand"
