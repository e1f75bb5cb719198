"""All clusters of the project: what needs a hand, and how the last days went; and one cluster by itself."""

from __future__ import annotations

from typing import Any

from logkeep.console.answers import Answer
from logkeep.console.news import find_version
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import render, show, show_shared
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.domain.cluster import Cluster
from logkeep.domain.task import TaskFilter
from logkeep.service import (
    archive_deletion,
    checks,
    day_strips,
    forecasts,
    log_settings,
    node_lags,
    notices,
    retention,
    status,
    tasks,
    verification,
)
from logkeep.service.status import StatusChoice

_EACH_PAGE = 50
_DAYS = 30
_MINUTE_MS = 60_000
_LAST_TASKS = 5
_MOST_DELETIONS = 20  # of archives of removed clusters


def show_clusters(visit: Visit) -> Answer:
    deletions = archive_deletion.list_deletions(visit.runtime, visit.project_id)
    going_on = [one for one in deletions if one.finished_at is None][:_MOST_DELETIONS]
    return show(visit, "clusters.html", deletions=going_on, **_list_clusters(visit))


def show_rows(visit: Visit) -> Answer:
    """Show the list alone, for the script that looks for news; ages are told anew each minute."""
    minute = visit.runtime.clock.now_ms() // _MINUTE_MS
    version = find_version(visit)
    parts = version, minute, visit.query.with_changes()
    return show_shared(visit, parts, lambda: render(visit, "cluster_rows.html", **_list_clusters(visit)))


def _list_clusters(visit: Visit) -> dict[str, Any]:
    offset = visit.query.number("offset", 0, 0, 1_000_000)
    asked = visit.query["only"]
    choice = StatusChoice(asked) if asked in set(StatusChoice) else StatusChoice.ALL
    page = status.list_status(
        visit.runtime, visit.project_id, offset=offset, limit=_EACH_PAGE, choice=choice, name=visit.query["name"]
    )
    ids = [one.facts.id for one in page.clusters]
    return {
        "page": page,
        "choice": choice,
        "offset": offset,
        "each": _EACH_PAGE,
        "strips": day_strips.list_days(visit.runtime, ids, days=_DAYS),
        "kept_until": node_lags.list_kept_until(visit.runtime, ids),
        "undelivered": notices.find_undelivered(visit.runtime, visit.project_id),
    }


def show_cluster(visit: Visit) -> Answer:
    cluster = visit.cluster()
    standing = status.get_status(visit.runtime, cluster)
    missed_at = standing.facts.runs and standing.facts.runs.missed_at
    rules = retention.list_rules(visit.runtime, cluster)
    return show(
        visit,
        "cluster.html",
        cluster=cluster,
        tab="",
        standing=standing,
        setting=log_settings.get_setting(visit.runtime, cluster),
        policy=forecasts.get_policy(visit.runtime, cluster),
        verified=verification.get_verification(visit.runtime, cluster),
        strip=day_strips.list_days(visit.runtime, [cluster.id], days=_DAYS)[cluster.id],
        last=tasks.list_tasks(
            visit.runtime, visit.project_id, TaskFilter(cluster_id=cluster.id), limit=_LAST_TASKS
        ).tasks,
        rules=len(rules),
        unconfirmed=sum(one.confirmed_at is None for one in rules),
        missed_at=missed_at,
        late=tasks.find_late(visit.runtime, cluster, missed_at) if missed_at else None,
        checked=None,
        **_nodes(visit, cluster),
    )


def show_nodes(visit: Visit) -> Answer:
    """Show the nodes with what a look at their directories found, which may take half a minute."""
    cluster = visit.cluster()
    nodes = _nodes(visit, cluster)
    checked = {one.node: one for one in checks.check_nodes(visit.runtime, cluster.project_id, nodes["nodes"])}
    whole = "cluster_nodes.html" if visit.is_part else "cluster_nodes_page.html"
    return show(visit, whole, cluster=cluster, tab="", checked=checked, **nodes)


def _nodes(visit: Visit, cluster: Cluster) -> dict[str, Any]:
    """Return one page of the nodes of a cluster."""
    offset = visit.query.number("nodes", 0, 0, 100_000)
    return {
        "nodes": cluster.nodes[offset : offset + _EACH_PAGE],
        "nodes_offset": offset,
        "each": _EACH_PAGE,
        "nodes_kept_until": node_lags.list_nodes_kept_until(visit.runtime, cluster),
    }


PAGES = (
    Page(path="/clusters", handler=show_clusters),
    Page(path="/clusters/rows", handler=show_rows, polled=True),
    Page(path="/clusters/{cluster_id}", handler=show_cluster),
    Page(path="/clusters/{cluster_id}/nodes", handler=show_nodes, waits_for=WaitsFor.NODES),
)
