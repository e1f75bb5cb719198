"""All clusters of the project: what needs a hand, and how the last days went."""

from __future__ import annotations

from logkeep.console.answers import Answer
from logkeep.console.rendering import show
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.service import status

_EACH_PAGE = 50


def show_clusters(visit: Visit) -> Answer:
    offset = visit.query.number("offset", 0, 0, 1_000_000)
    page = status.list_status(visit.runtime, visit.project_id, offset=offset, limit=_EACH_PAGE)
    return show(visit, "clusters.html", page=page, offset=offset, limit=_EACH_PAGE)


PAGES = (Page(path="/clusters", handler=show_clusters),)
