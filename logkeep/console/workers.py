"""The processes that share the database, and which of them are alive."""

from __future__ import annotations

from typing import Any

from logkeep.console.answers import Answer
from logkeep.console.rendering import render, show, show_news
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.domain.worker import Worker
from logkeep.service import workers

_MOST = 200  # that are shown
_MINUTE_MS = 60_000


def show_workers(visit: Visit) -> Answer:
    return show(visit, "workers.html", **_shown(workers.list_workers(visit.runtime)))


def show_worker_rows(visit: Visit) -> Answer:
    """Show the part of the page that changes, for the script."""
    found = workers.list_workers(visit.runtime)
    minute = visit.runtime.clock.now_ms() // _MINUTE_MS  # ages are told by the minute
    parts = minute, [(one.id, one.alive, one.started_at) for one in found]
    return show_news(visit, parts, lambda: render(visit, "worker_rows.html", **_shown(found)))


def _shown(found: list[Worker]) -> dict[str, Any]:
    return {"workers": found[:_MOST], "more": max(0, len(found) - _MOST)}


PAGES = (
    Page(path="/workers", handler=show_workers),
    Page(path="/workers/rows", handler=show_worker_rows, polled=True),
)
