"""All pages of the console."""

from __future__ import annotations

from logkeep.console import clusters, signing_in, task, tasks
from logkeep.console.routes import Page

PAGES: tuple[Page, ...] = (*signing_in.PAGES, *clusters.PAGES, *tasks.PAGES, *task.PAGES)
