"""What the archive takes: of all clusters of the project, or of one, with its logs, nodes and months."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from logkeep.console.answers import Answer, make_csv
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import show
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.domain.cluster import Cluster
from logkeep.domain.usage import DAY_MS, FORECAST_DAYS, LEAST_DAYS, Usage, UsageBy, UsageRow, day_text, forecast
from logkeep.domain.usage_table import csv_lines
from logkeep.service import archive_usage

_EACH_PAGE = 50
_AT_ONCE = 1000  # rows of a download that are read together
_TOLD = 62  # days in the table beside the plot
_MARK = "\ufeff"  # by which spreadsheets know that a CSV is UTF-8


def show_usage(visit: Visit) -> Answer:
    cluster = _find_cluster(visit)
    by = _read_by(visit, cluster)
    offset = visit.query.number("offset", 0, 0, 10**9)
    usage = _get_usage(visit, cluster, by, offset, _EACH_PAGE)
    growth, stored = usage.total.growth, usage.total.sums.stored
    return show(
        visit,
        "usage.html",
        cluster=cluster,
        tab="/usage",
        base=_base(cluster),
        by=by.value,
        choices=_choices(cluster),
        usage=usage,
        offset=offset,
        each=_EACH_PAGE,
        growth=growth,
        least_days=LEAST_DAYS,
        forecast=[(days, forecast(stored, growth, days)) for days in FORECAST_DAYS] if growth else [],
        days=[(day_text(one.day), one.sums) for one in reversed(usage.days[-_TOLD:])],
        plot=_plot(usage),
    )


def export_usage(visit: Visit) -> Answer:
    cluster = _find_cluster(visit)
    rows = _all_rows(visit, cluster, _read_by(visit, cluster))
    return make_csv(f"usage-{cluster.name}.csv" if cluster else "usage.csv", chain((_MARK,), csv_lines(rows)))


def _all_rows(visit: Visit, cluster: Cluster | None, by: UsageBy) -> Iterator[UsageRow]:
    offset, total = 0, 1
    while offset < total:
        page = _get_usage(visit, cluster, by, offset, _AT_ONCE)
        yield from page.rows
        offset, total = offset + _AT_ONCE, page.rows_total


def _get_usage(visit: Visit, cluster: Cluster | None, by: UsageBy, offset: int, limit: int) -> Usage:
    ids = [cluster.id] if cluster else []
    return archive_usage.get_usage(visit.runtime, visit.project_id, by, cluster_ids=ids, offset=offset, limit=limit)


def _find_cluster(visit: Visit) -> Cluster | None:
    return visit.cluster() if "cluster_id" in visit.parameters else None


def _base(cluster: Cluster | None) -> str:
    return f"/console/clusters/{cluster.id}/usage" if cluster else "/console/usage"


def _choices(cluster: Cluster | None) -> tuple[str, ...]:
    """Return what rows may be, first what they are without a choice."""
    if cluster:
        return UsageBy.LOG.value, UsageBy.NODE.value, UsageBy.MONTH.value
    return UsageBy.CLUSTER.value, UsageBy.NODE.value, UsageBy.LOG.value, UsageBy.MONTH.value


def _read_by(visit: Visit, cluster: Cluster | None) -> UsageBy:
    choices, asked = _choices(cluster), visit.query["by"]
    return UsageBy(asked if asked in choices else choices[0])


def _plot(usage: Usage) -> dict[str, Any]:
    """Return what is drawn, oldest first: seconds since 1970 at the end of each day, the last one now, and bytes."""
    ends = [(one.day + 1) * DAY_MS / 1000 for one in usage.days[:-1]]
    return {
        "at": [*ends, usage.at / 1000],
        "raw": [one.sums.raw for one in usage.days],
        "stored": [one.sums.stored for one in usage.days],
    }


PAGES = (
    Page(path="/usage", handler=show_usage, waits_for=WaitsFor.NODES),
    Page(path="/usage/export", handler=export_usage, waits_for=WaitsFor.NODES, streams=True),
    Page(path="/clusters/{cluster_id}/usage", handler=show_usage),
    Page(path="/clusters/{cluster_id}/usage/export", handler=export_usage, streams=True),
)
