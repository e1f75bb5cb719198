"""The buckets in which logs are kept, and whether each can be used now; never what opens them."""

from __future__ import annotations

from logkeep.console.answers import Answer
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import show
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.domain.access import Right
from logkeep.service import identity, stores

_EACH_PAGE = 50


def show_stores(visit: Visit) -> Answer:
    return _show(visit, checked="", problem="")


def check_store(visit: Visit) -> Answer:
    """Use a bucket, and tell on the page that answers whether that went well: it is true of this moment only."""
    name = visit.form["name"]
    return _show(visit, checked=name, problem=stores.check_bucket(visit.runtime, name))


def _show(visit: Visit, *, checked: str, problem: str) -> Answer:
    buckets = stores.list_buckets(visit.runtime, visit.project_id)
    offset = visit.query.number("offset", 0, 0, 1_000_000)
    return show(
        visit,
        "stores.html",
        buckets=buckets[offset : offset + _EACH_PAGE],
        places=visit.may_administer and not identity.has_other_projects(visit.runtime, visit.project_id),
        total=len(buckets),
        offset=offset,
        limit=_EACH_PAGE,
        agencies=sorted(visit.runtime.agencies)[:_EACH_PAGE],
        more_agencies=max(0, len(visit.runtime.agencies) - _EACH_PAGE),
        checked=checked,
        problem=problem,
    )


PAGES = (
    Page(path="/stores", handler=show_stores),
    Page(
        path="/stores/check",
        method="POST",
        handler=check_store,
        right=Right.ADMINISTER,
        waits_for=WaitsFor.BUCKETS,
        operation="CheckBucket",
        again=show_stores,
    ),
)
