"""All pages of the console."""

from __future__ import annotations

from logkeep.console import (
    about,
    access,
    audit,
    cluster_settings,
    clusters,
    coverage,
    logs,
    notices,
    registration,
    retention,
    signing_in,
    stores,
    task,
    tasks,
    usage,
    workers,
)
from logkeep.console.routes import Page

PAGES: tuple[Page, ...] = (
    *signing_in.PAGES,
    *registration.PAGES,  # before those of one cluster, none of which may be called new
    *clusters.PAGES,
    *cluster_settings.PAGES,
    *logs.PAGES,
    *coverage.PAGES,
    *retention.PAGES,
    *tasks.PAGES,
    *task.PAGES,
    *usage.PAGES,
    *notices.PAGES,
    *stores.PAGES,
    *access.PAGES,
    *audit.PAGES,
    *workers.PAGES,
    *about.PAGES,
)
