"""Which span of each log of a cluster is held, and what is missing of it."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from logkeep.console.answers import Answer, make_csv
from logkeep.console.rendering import show
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.domain.cluster import Cluster
from logkeep.domain.coverage import LogCoverage, ReportedGap
from logkeep.domain.coverage_bar import DAY_MS, Axis, Part, draw_bar, find_axis
from logkeep.domain.coverage_table import csv_lines
from logkeep.service import coverage, verification

_EACH_PAGE = 50
_MOST_TOLD = 20  # gaps of a log, and warnings
_MOST_NAMED = 200  # nodes that are suggested
_DAYS = 1, 7, 30, 90  # that an axis may be narrowed to


@dataclass(frozen=True, slots=True)
class Row:
    """One log as it is shown."""

    log: LogCoverage
    gaps: list[ReportedGap]  # the newest of them
    more_gaps: int
    parts: list[Part]  # of its bar
    command: str  # that shows all of them


def show_coverage(visit: Visit) -> Answer:
    cluster, query = visit.cluster(), visit.query
    node, family, days = query["node"], query["log"], query.number("days", 0, 0, 3650)
    after = (query.raw("after-node"), query.raw("after-log")) if query["after-node"] else None
    page = coverage.list_page(visit.runtime, cluster, node=node, family=family, after=after, limit=_EACH_PAGE)
    now = visit.runtime.clock.now_ms()
    axis = find_axis(page.logs, now, now - days * DAY_MS if days else None)
    return show(
        visit,
        "coverage.html",
        cluster=cluster,
        tab="/coverage",
        page=page,
        axis=axis,
        days=days,
        choices=_DAYS,
        rows=[_row(cluster, log, axis) for log in page.logs],
        last=page.logs[-1] if page.more else None,
        suggested=page.nodes[:_MOST_NAMED],
        families=sorted({log.family for log in page.logs if log.family}),
        most_told=_MOST_TOLD,
        success=coverage.get_last_success(visit.runtime, cluster),
        verified=verification.get_verification(visit.runtime, cluster),
        verify_command=f"logkeep verify {quote(cluster.name)} --read-data",
        coverage_command=_command(cluster, node, family),
    )


def export_coverage(visit: Visit) -> Answer:
    cluster = visit.cluster()
    held = coverage.list_held(visit.runtime, cluster, node=visit.query["node"], family=visit.query["log"])
    return make_csv(f"coverage-{cluster.name}.csv", csv_lines(held))


def _row(cluster: Cluster, log: LogCoverage, axis: Axis) -> Row:
    gaps = list(log.gaps[-_MOST_TOLD:])
    command = _command(cluster, log.node, log.family)
    return Row(log, gaps, len(log.gaps) - len(gaps), draw_bar(log, axis, gaps), command)


def _command(cluster: Cluster, node: str, family: str) -> str:
    options = f" --node {quote(node)}" if node else ""
    return f"logkeep coverage {quote(cluster.name)}{options}" + (f" --family {quote(family)}" if family else "")


PAGES = (
    Page(path="/clusters/{cluster_id}/coverage", handler=show_coverage),
    Page(path="/clusters/{cluster_id}/coverage/export", handler=export_coverage, streams=True),
)
