"""All pages of the console."""

from __future__ import annotations

from logkeep.console import clusters, signing_in, task, tasks
from logkeep.console.routes import Page

PAGES: tuple[Page, ...] = (*signing_in.PAGES, *clusters.PAGES, *tasks.PAGES, *task.PAGES)
from logkeep.console import cluster_settings, clusters, registration, signing_in
from logkeep.console.routes import Page

PAGES: tuple[Page, ...] = (
    *signing_in.PAGES,
    *clusters.PAGES,
    *registration.PAGES,  # before those of one cluster, which may not be called new
    *cluster_settings.PAGES,
from logkeep.console import access, clusters, signing_in
from logkeep.console import about, access, audit, clusters, signing_in, stores, workers
from logkeep.console import about, access, audit, clusters, coverage, signing_in, stores, workers
from logkeep.console.routes import Page

PAGES: tuple[Page, ...] = (
    *signing_in.PAGES,
    *clusters.PAGES,
    *coverage.PAGES,
    *stores.PAGES,
    *access.PAGES,
    *audit.PAGES,
    *workers.PAGES,
    *about.PAGES,
)
