"""Statements on the targets of notices: those that projects name, and how it goes with each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from logkeep.database.connection import upsert
from logkeep.database.tables import notice_deliveries, notice_target_states, notice_targets, projects
from logkeep.domain.notice import Event
from logkeep.domain.notice_target import NewTarget, NoticeTarget, Subscription, TargetKind

_t, _s = notice_targets.c, notice_target_states.c


def target_key(project_id: str, name: str) -> str:
    """Return the key of a target; `project_id` is '' for one of logkeep.toml."""
    return f"{project_id}/{name}"


def insert_target(
    connection: Connection, project_id: str, new: NewTarget, sealed: bytes, address: str, created_at: int
) -> None:
    """Insert a target. Raises `IntegrityError` if the project has one of this name."""
    connection.execute(
        notice_targets.insert().values(
            project_id=project_id,
            name=new.name,
            sealed=sealed,
            address=address,
            clusters="\n".join(new.clusters),
            events="\n".join(new.events),
            quiet=new.quiet,
            zone=new.zone,
            created_at=created_at,
        )
    )


def lock_project(connection: Connection, project_id: str) -> None:
    """Let no other transaction add a target to this project until this one ends."""
    connection.execute(select(projects.c.id).where(projects.c.id == project_id).with_for_update())


def count_targets(connection: Connection, project_id: str) -> int:
    statement = select(func.count()).select_from(notice_targets).where(_t.project_id == project_id)
    return connection.execute(statement).scalar_one()


def delete_target(connection: Connection, project_id: str, name: str) -> bool:
    """Delete a target with all that waits for it and is known of it, and return whether there was one."""
    one = notice_targets.delete().where(_t.project_id == project_id, _t.name == name)
    key = target_key(project_id, name)
    connection.execute(notice_deliveries.delete().where(notice_deliveries.c.target == key))
    connection.execute(notice_target_states.delete().where(_s.target == key))
    return connection.execute(one).rowcount > 0


def fetch_sealed(connection: Connection, project_id: str, name: str) -> bytes | None:
    """Return what is sealed of a target: URL and secret; None if there is no such target."""
    return connection.execute(select(_t.sealed).where(_t.project_id == project_id, _t.name == name)).scalar()


def fetch_targets(connection: Connection, project_id: str) -> list[NoticeTarget]:
    """Return the targets of a project, by name."""
    statement = select(notice_targets).where(_t.project_id == project_id).order_by(_t.name)
    return [_target(row) for row in connection.execute(statement)]


def fetch_subscriptions(connection: Connection, project_ids: Collection[str]) -> list[Subscription]:
    """Return what the targets of these projects want to be told."""
    statement = select(notice_targets).where(_t.project_id.in_(project_ids)).order_by(_t.project_id, _t.name)
    return [
        Subscription(
            key=target_key(row.project_id, row.name),
            clusters=tuple(row.clusters.splitlines()),
            events=tuple(map(Event, row.events.splitlines())),
            quiet=row.quiet,
            zone=row.zone,
        )
        for row in connection.execute(statement)
    ]


def _target(row: Row[*tuple[Any, ...]]) -> NoticeTarget:
    return NoticeTarget(
        name=row.name,
        kind=TargetKind.WEBHOOK,
        address=row.address,
        configured=False,
        clusters=tuple(row.clusters.splitlines()),
        events=tuple(map(Event, row.events.splitlines())),
        quiet=row.quiet,
        zone=row.zone,
        created_at=row.created_at,
    )


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """How it goes with a target; times are Unix ms."""

    failing_since: int | None = None
    error: str = ""
    delivered_at: int | None = None


def fetch_health(connection: Connection, targets: Collection[str]) -> dict[str, TargetHealth]:
    """Return how it goes with targets, by key; none of one that nothing was sent to."""
    statement = select(_s.target, _s.failing_since, _s.error, _s.delivered_at).where(_s.target.in_(targets))
    return {row[0]: TargetHealth(row[1], row[2], row[3]) for row in connection.execute(statement)}


def fetch_failing(connection: Connection, before: int) -> list[tuple[str, TargetHealth]]:
    """Return the targets that have failed since before then and that nobody was told of, with their keys."""
    statement = select(_s.target, _s.failing_since, _s.error, _s.delivered_at)
    found = connection.execute(statement.where(_s.failing_since <= before, _s.told_at.is_(None)))
    return [(row[0], TargetHealth(row[1], row[2], row[3])) for row in found]


def note_told(connection: Connection, target: str, since: int, now: int) -> bool:
    """Note that others were told of a failing target; False if another process noted it, or it works again."""
    row = (_s.target == target, _s.failing_since == since, _s.told_at.is_(None))
    return connection.execute(update(notice_target_states).where(*row).values(told_at=now)).rowcount > 0


def fetch_pings(connection: Connection, targets: Collection[str]) -> dict[str, tuple[int, int | None]]:
    """Return, of each of these targets, what its last ping told (Unix ms) and when one is due."""
    statement = select(_s.target, _s.ping_mark, _s.ping_due).where(_s.target.in_(targets))
    return {row[0]: (row[1], row[2]) for row in connection.execute(statement)}


def order_ping(connection: Connection, target: str, mark: int, now: int) -> None:
    """Let a ping be sent, unless one was ordered that tells of the same or of something later."""
    insert = upsert(connection.dialect)(notice_target_states).values(target=target, ping_mark=mark, ping_due=now)
    changed = {"ping_mark": mark, "ping_due": func.coalesce(_s.ping_due, now)}
    connection.execute(insert.on_conflict_do_update(index_elements=["target"], set_=changed, where=_s.ping_mark < mark))


def cancel_pings(connection: Connection, targets: Collection[str]) -> None:
    """Let no ping be sent to these targets, as something is wrong."""
    row = (_s.target.in_(targets), _s.ping_due.is_not(None))
    connection.execute(update(notice_target_states).where(*row).values(ping_due=None))


def fetch_ping_due(connection: Connection, target: str) -> int | None:
    """Return when a ping to a target is due."""
    return connection.execute(select(_s.ping_due).where(_s.target == target)).scalar()
