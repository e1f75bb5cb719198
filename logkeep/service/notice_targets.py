"""Targets of notices: webhooks that a project names, and those of logkeep.toml, which are the operator's."""

from __future__ import annotations

from logkeep.domain.notice import Delivery
from logkeep.domain.notice_target import NewTarget, NoticeTarget
from logkeep.service.runtime import Runtime


def list_targets(runtime: Runtime, project_id: str) -> list[NoticeTarget]:
    """Return the targets of a project, and those of logkeep.toml that concern it: of these name and kind only."""
    raise NotImplementedError


def list_all_targets(runtime: Runtime) -> list[NoticeTarget]:
    """Return the targets of logkeep.toml, for the operator."""
    raise NotImplementedError


def add_target(runtime: Runtime, project_id: str, new: NewTarget) -> tuple[NoticeTarget, str]:
    """Add a webhook, and return it with its secret, which is shown once.

    Raises `InvalidField`, `NameTaken`, and `TooManyTargets` where the project has as many as it may.
    """
    raise NotImplementedError


def remove_target(runtime: Runtime, project_id: str, name: str) -> None:
    """Remove a webhook of a project, with what waits for it. Raises `TargetNotFound`."""
    raise NotImplementedError


def test_target(runtime: Runtime, project_id: str, name: str) -> Delivery:
    """Send a notice of the event `test` now, and return what came of it within 15 seconds.

    A `project_id` of '' names a target of logkeep.toml. Raises `TargetNotFound`.
    """
    raise NotImplementedError
