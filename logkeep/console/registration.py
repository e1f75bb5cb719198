"""Registering a cluster: its nodes by hand, or by what its own API tells of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from logkeep.console.answers import Answer, Redirect
from logkeep.console.calls import ApiCall, write_calls
from logkeep.console.pools import WaitsFor
from logkeep.console.refusals import MOST_ROWS
from logkeep.console.rendering import show
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.domain.access import Right
from logkeep.domain.cluster import KINDS, Cluster, NewNode, as_source
from logkeep.domain.node_check import NodeCheck
from logkeep.service import checks, clusters

_FIRST_ROWS, _MORE_ROWS = 3, 5
_PATTERN = "file://{path.logs}"
MOST_SHOWN = 50  # nodes, those with a problem first


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed so far."""

    name: str
    kind: str
    by_api: bool  # the cluster's own API tells the nodes
    endpoint: str
    nodes: tuple[NewNode, ...]  # also empty ones, with their directories as they were typed
    url: str
    source: str  # pattern
    user: str

    @property
    def named(self) -> list[NewNode]:
        """Return the nodes that something was typed for."""
        return [NewNode(node.name, as_source(node.source)) for node in self.nodes if node.name or node.source]


def show_form(visit: Visit) -> Answer:
    return _show(visit, _read(visit))


def add_rows(visit: Visit) -> Answer:
    """Show what was typed, with room for more nodes."""
    return _show(visit, _read(visit, more=_MORE_ROWS))


def check_cluster(visit: Visit) -> Answer:
    draft = _read(visit)
    clusters.check_endpoint(draft.endpoint)
    found = checks.check_nodes(visit.runtime, visit.project_id, _find_nodes(visit, draft))
    return _show(visit, draft, found)


def show_refused_check(visit: Visit) -> Answer:
    return _show(told_below(visit), _read(visit), problem=visit.error)


def add_cluster(visit: Visit) -> Answer:
    draft = _read(visit)
    cluster = _register(visit, draft)
    visit.trail.cluster_id = cluster.id
    return Redirect(f"/console/clusters/{cluster.id}/settings?done=registered")


def go_back(_visit: Visit) -> Answer:
    """Lead to the form from the address of one that was sent, as where the page is loaded again."""
    return Redirect("/console/clusters/new")


def _read(visit: Visit, *, more: int = 0) -> Draft:
    form = visit.form
    rows = min(form.number("rows", _FIRST_ROWS, 1, MOST_ROWS) + more, MOST_ROWS)
    return Draft(
        name=form["name"],
        kind=form["kind"] or "opensearch",
        by_api=form["by"] == "api",
        endpoint=form["endpoint"],
        nodes=tuple(NewNode(form[f"name_{row}"], form[f"source_{row}"]) for row in range(rows)),
        url=form["url"],
        source=form["source"] or _PATTERN,
        user=form["user"],
    )


def _find_nodes(visit: Visit, draft: Draft) -> list[NewNode]:
    runtime, project_id = visit.runtime, visit.project_id
    if not draft.by_api:
        return clusters.check_new_nodes(runtime, project_id, draft.name, draft.named)
    password = visit.form.raw("password")
    return clusters.find_new_nodes(
        runtime, project_id, draft.name, draft.url, draft.source, user=draft.user, password=password
    )


def _register(visit: Visit, draft: Draft) -> Cluster:
    if not draft.by_api:
        return clusters.add_cluster(
            visit.runtime,
            visit.project_id,
            draft.name,
            draft.named,
            kind=draft.kind,
            endpoint=draft.endpoint,
        )
    return clusters.discover_cluster(
        visit.runtime,
        visit.project_id,
        draft.name,
        draft.url,
        draft.source,
        user=draft.user,
        password=visit.form.raw("password"),
        endpoint=draft.endpoint,
    )


def _show(visit: Visit, draft: Draft, found: list[NodeCheck] | None = None, *, problem: str = "") -> Answer:
    return show(
        visit,
        "cluster_new.html",
        draft=draft,
        kinds=KINDS,
        most_rows=MOST_ROWS,
        most_shown=MOST_SHOWN,
        checked=None if found is None else worst_first(found),
        problem=problem,
        calls=_write_calls(visit, draft),
    )


def told_below(visit: Visit) -> Visit:
    """Return the visit of a refused check: where the script shows its answer, that is told in one place."""
    return replace(visit, error="") if visit.is_part else visit


def worst_first(found: list[NodeCheck]) -> list[NodeCheck]:
    return sorted(found, key=lambda one: (not one.problem, not one.unreadable))


def _write_calls(visit: Visit, draft: Draft) -> dict[str, str]:
    """Return the same as a call; the password is left out."""
    body: dict[str, object] = {"name": draft.name or "prod"}
    if draft.by_api:
        body |= {"url": draft.url or "http://10.0.0.5:9200", "source": draft.source}
        body |= {"user": draft.user} if draft.user else {}
    else:
        nodes = draft.named or [NewNode("node-1", "file:///var/log/opensearch")]
        body |= {"kind": draft.kind, "nodes": [{"name": node.name, "source": node.source} for node in nodes]}
    body |= {"endpoint": draft.endpoint} if draft.endpoint else {}
    call = ApiCall(operation="AddCluster", method="POST", path="/api/v1/clusters", body=body, css=False)
    return write_calls(call, visit.base_url, visit.project_id)


PAGES = (
    Page(path="/clusters/new", handler=show_form, right=Right.ADMINISTER),
    Page(
        path="/clusters/new",
        method="POST",
        handler=add_cluster,
        right=Right.ADMINISTER,
        waits_for=WaitsFor.NODES,
        operation="AddCluster",
        again=show_form,
    ),
    Page(path="/clusters/new/rows", method="POST", handler=add_rows, right=Right.ADMINISTER),
    Page(
        path="/clusters/new/check",
        method="POST",
        handler=check_cluster,
        right=Right.ADMINISTER,
        waits_for=WaitsFor.NODES,
        operation="CheckNewCluster",
        again=show_refused_check,
    ),
    Page(path="/clusters/new/{form}", handler=go_back, right=Right.ADMINISTER),
)
