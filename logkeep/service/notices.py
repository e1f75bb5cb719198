"""Notices: what is told to people, decided once in the database whatever processes look at the same time."""

from __future__ import annotations

from logkeep.domain.notice import Delivery, Notice
from logkeep.domain.notice_target import NoticeTarget
from logkeep.service.runtime import Runtime


def list_notices(
    runtime: Runtime, project_id: str, *, offset: int = 0, limit: int = 50, cluster_id: str = ""
) -> tuple[list[tuple[Notice, list[Delivery]]], int]:
    """Return a page of the notices of a project, newest first, each with its deliveries, and the number of all."""
    raise NotImplementedError


def find_undelivered(runtime: Runtime, project_id: str) -> list[NoticeTarget]:
    """Return the targets of a project, and those of logkeep.toml, that have not been reached for 15 minutes."""
    raise NotImplementedError
