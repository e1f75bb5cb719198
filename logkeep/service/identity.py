"""Projects and access keys."""

from __future__ import annotations

from logkeep.domain.cluster import AccessKey, Project
from logkeep.service.context import Context


def find_key(context: Context, ak: str) -> tuple[AccessKey, str] | None:
    """The key and its secret, None where it is unknown or revoked."""
    raise NotImplementedError


def list_projects(context: Context, *, project_id: str | None = None, name: str | None = None) -> list[Project]:
    """Projects, of this id and of exactly this name where given."""
    raise NotImplementedError
