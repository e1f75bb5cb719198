"""The processes that share the database, and which of them are alive."""

from __future__ import annotations

from logkeep.console.answers import Answer, Html, Unchanged
from logkeep.console.rendering import etag_of, render, show
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.service import workers

_MOST = 200  # that are shown
_MINUTE_MS = 60_000


def show_workers(visit: Visit) -> Answer:
    found = workers.list_workers(visit.runtime)
    return show(visit, "workers.html", workers=found[:_MOST], more=max(0, len(found) - _MOST))


def show_worker_rows(visit: Visit) -> Answer:
    """Show the part of the page that changes, for the script."""
    found = workers.list_workers(visit.runtime)
    minute = visit.runtime.clock.now_ms() // _MINUTE_MS  # ages are told by the minute
    etag = etag_of(visit, (minute, [(one.id, one.alive, one.started_at) for one in found]))
    if visit.has(etag):
        return Unchanged(etag)
    body = render(visit, "worker_rows.html", workers=found[:_MOST], more=max(0, len(found) - _MOST))
    return Html(body, etag=etag)


PAGES = (
    Page(path="/workers", handler=show_workers),
    Page(path="/workers/rows", handler=show_worker_rows, polled=True),
)
