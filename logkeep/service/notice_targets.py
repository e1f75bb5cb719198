"""Targets of notices: webhooks that a project names, and those of logkeep.toml, which are the operator's."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import replace

from sqlalchemy.exc import IntegrityError

from logkeep.database import notice_targets as statements
from logkeep.database import notices
from logkeep.database.connection import reading, writing
from logkeep.database.notice_targets import TargetHealth, target_key
from logkeep.domain.cluster import Project
from logkeep.domain.notice import Delivery, DeliveryState, Event, Notice
from logkeep.domain.notice_target import (
    MOST_TARGETS,
    SECRET_PREFIX,
    ConfiguredTarget,
    NewTarget,
    NoticeTarget,
    check_events,
    check_globs,
    check_name,
    check_quiet,
    check_secret,
    check_url,
    check_zone,
    show_address,
)
from logkeep.errors import NameTaken, TargetNotFound, TooManyTargets
from logkeep.service import identity, notice_texts
from logkeep.service.notice_delivery import find_destination
from logkeep.service.runtime import Runtime

_MAX_ADDRESS = 300


def list_targets(runtime: Runtime, project_id: str) -> list[NoticeTarget]:
    """Return the targets of a project, and those of logkeep.toml that concern it: of these name and kind only."""
    project = _project(runtime, project_id)
    with reading(runtime.database) as connection:
        own = statements.fetch_targets(connection, project_id)
        configured = [one for one in runtime.notices.targets if one.subscription.watches(project.name, "")]
        wanted = [target_key(project_id, one.name) for one in own] + [one.subscription.key for one in configured]
        health = statements.fetch_health(connection, wanted)
        waiting = notices.count_waiting(connection, wanted)
    shown = [_with_health(one, target_key(project_id, one.name), health, waiting) for one in own]
    for target in configured:
        full = _with_health(_configured(target), target.subscription.key, health, {})
        shown.append(
            NoticeTarget(name=full.name, kind=full.kind, address="", configured=True, failing_since=full.failing_since)
        )
    return shown


def list_all_targets(runtime: Runtime) -> list[NoticeTarget]:
    """Return the targets of logkeep.toml, for the operator."""
    wanted = [one.subscription.key for one in runtime.notices.targets]
    with reading(runtime.database) as connection:
        health = statements.fetch_health(connection, wanted)
        waiting = notices.count_waiting(connection, wanted)
    return [_with_health(_configured(one), one.subscription.key, health, waiting) for one in runtime.notices.targets]


def add_target(runtime: Runtime, project_id: str, new: NewTarget) -> tuple[NoticeTarget, str]:
    """Add a webhook, and return it with its secret, which is shown once.

    Raises `InvalidField`, `NameTaken`, and `TooManyTargets` where the project has as many as it may.
    """
    checked = _checked(new, plain=runtime.notices.allows_plain)
    sealed = runtime.seal.encrypt(json.dumps({"url": checked.url, "secret": checked.secret}))
    address = show_address(checked.url)[:_MAX_ADDRESS]
    if any(one.subscription.name == new.name for one in runtime.notices.targets):
        raise NameTaken(f"{new.name} is a target of logkeep.toml; choose another name")
    try:
        with writing(runtime.database) as connection:
            statements.lock_project(connection, project_id)
            if statements.count_targets(connection, project_id) >= MOST_TARGETS:
                raise TooManyTargets(f"the project has {MOST_TARGETS} targets, as many as it may; remove one first")
            statements.insert_target(connection, project_id, checked, sealed, address, runtime.clock.now_ms())
    except IntegrityError as error:
        raise NameTaken(f"there is a target {new.name}; choose another name, or remove that one") from error
    with reading(runtime.database) as connection:
        made = next(one for one in statements.fetch_targets(connection, project_id) if one.name == new.name)
    return made, checked.secret


def _checked(new: NewTarget, *, plain: bool) -> NewTarget:
    """Return the target as it is kept. Raises `InvalidField`."""
    secret = new.secret or SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    return NewTarget(
        name=check_name(new.name),
        url=check_url(new.url, "url", plain=plain),
        secret=check_secret(secret),
        clusters=check_globs(new.clusters, "clusters"),
        events=check_events(new.events),
        quiet=check_quiet(new.quiet),
        zone=check_zone(new.zone),
    )


def remove_target(runtime: Runtime, project_id: str, name: str) -> None:
    """Remove a webhook of a project, with what waits for it. Raises `TargetNotFound`."""
    with writing(runtime.database) as connection:
        if not statements.delete_target(connection, project_id, name):
            raise TargetNotFound()


def test_target(runtime: Runtime, project_id: str, name: str) -> Delivery:
    """Send a notice of the event `test` now, and return what came of it within 15 seconds.

    A `project_id` of '' names a target of logkeep.toml. Nothing of it is kept. Raises `TargetNotFound`.
    """
    destination = find_destination(runtime, target_key(project_id, name))
    if destination is None:
        raise TargetNotFound()
    now = runtime.clock.now_ms()
    notice = Notice(
        id=notice_texts.new_id(),
        event=Event.TEST,
        at=now,
        since=now,
        project_id=project_id,
        project=_project(runtime, project_id).name if project_id else "",
        cause="this is a test: somebody asked Logkeep to send it",
        remedy="nothing is to be done",
    )
    answer = runtime.notices.send(destination, notice_texts.link(notice, runtime.notices.console_url))
    return Delivery(
        target=name,
        state=DeliveryState.GIVEN_UP if answer.error else DeliveryState.DELIVERED,
        attempts=1,
        delivered_at=None if answer.error else runtime.clock.now_ms(),
        error=answer.error,
        message_id=notice.id,
    )


def _project(runtime: Runtime, project_id: str) -> Project:
    return next(one for one in identity.list_projects(runtime) if one.id == project_id)


def _configured(target: ConfiguredTarget) -> NoticeTarget:
    wants = target.subscription
    return NoticeTarget(
        name=wants.name,
        kind=target.destination.kind,
        address=show_address(target.destination.url),
        configured=True,
        clusters=wants.clusters,
        events=wants.events,
        quiet=wants.quiet,
        zone=wants.zone,
        every_hours=target.every_hours,
    )


def _with_health(
    target: NoticeTarget, key: str, health: dict[str, TargetHealth], waiting: dict[str, int]
) -> NoticeTarget:
    found = health.get(key, TargetHealth())
    return replace(
        target,
        failing_since=found.failing_since,
        last_error=found.error,
        last_delivered_at=found.delivered_at,
        waiting=waiting.get(key, 0),
    )
