"""Statements on notices, and on how each is delivered to each target."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, or_, select, union, update

from logkeep.database.connection import delete_in_batches, in_batches, upsert, writing
from logkeep.database.tables import notice_deliveries, notice_target_states, notices, projects
from logkeep.domain.notice import Delivery, DeliveryState, Event, Notice

_MOST_TOGETHER = 1000  # notices of one message
_MOST_EXPIRED = 1000  # deliveries that one statement gives up
_n, _d, _s = notices.c, notice_deliveries.c, notice_target_states.c


def insert_notices(connection: Connection, told: Sequence[Notice]) -> set[str]:
    """Insert notices, and return the ids of those that no other process has inserted before."""
    insert = upsert(connection.dialect)(notices).on_conflict_do_nothing().returning(_n.id)
    return set(connection.execute(insert, [_values(one) for one in told]).scalars()) if told else set()


def insert_deliveries(connection: Connection, due: Mapping[tuple[str, str], int], now: int) -> None:
    """Insert what is to be delivered, by id of the notice and key of the target, and from when on (Unix ms)."""
    rows = [
        {"notice_id": notice_id, "target": target, "state": DeliveryState.WAITING, "created_at": now, "due_at": at}
        for (notice_id, target), at in due.items()
    ]
    if rows:
        connection.execute(notice_deliveries.insert(), rows)


def count_recent(connection: Connection, since: int) -> Counter[tuple[str, str]]:
    """Count what is to be delivered, or was, of notices since then (Unix ms), by key of the target and event."""
    statement = select(_d.target, _n.event, func.count()).join(notices, _n.id == _d.notice_id).where(_n.at > since)
    return Counter({(row[0], row[1]): row[2] for row in connection.execute(statement.group_by(_d.target, _n.event))})


def _values(notice: Notice) -> dict[str, Any]:
    return {column.name: getattr(notice, column.name) for column in notices.columns}


def fetch_notices(
    connection: Connection, project_id: str, cluster_id: str, offset: int, limit: int
) -> tuple[list[Notice], int]:
    """Return a page of the notices of a project, or of one of its clusters, newest first, and the number of all."""
    wanted: list[ColumnElement[bool]] = [_n.project_id == project_id]
    if cluster_id:
        wanted.append(_n.cluster_id == cluster_id)
    total = connection.execute(select(func.count()).select_from(notices).where(*wanted)).scalar_one()
    page = _NOTICES.where(*wanted).order_by(_n.at.desc(), _n.id.desc()).limit(limit).offset(offset)
    return [_notice(row) for row in connection.execute(page)], total


_NOTICES = select(notices, projects.c.name.label("project")).outerjoin_from(
    notices, projects, projects.c.id == _n.project_id
)


def _notice(row: Row[*tuple[Any, ...]]) -> Notice:
    return Notice(
        id=row.id,
        event=Event(row.event),
        at=row.at,
        since=row.since,
        project_id=row.project_id,
        project=row.project or "",
        cluster_id=row.cluster_id,
        cluster=row.cluster,
        state=row.state,
        code=row.code,
        cause=row.cause,
        remedy=row.remedy,
    )


def fetch_deliveries(connection: Connection, notice_ids: Sequence[str]) -> dict[str, list[Delivery]]:
    """Return how these notices are delivered, by notice, sorted by target; errors only of targets of tenants."""
    found: dict[str, list[Delivery]] = defaultdict(list)
    statement = select(notice_deliveries, _s.paused_until).outerjoin_from(
        notice_deliveries, notice_target_states, _s.target == _d.target
    )
    for row in connection.execute(statement.where(_d.notice_id.in_(notice_ids)).order_by(_d.target)):
        found[row.notice_id].append(_delivery(row))
    return found


def _delivery(row: Row[*tuple[Any, ...]]) -> Delivery:
    state = DeliveryState(row.state)
    waits = state is DeliveryState.WAITING
    return Delivery(
        target=row.target.partition("/")[2],
        state=state,
        attempts=row.attempts,
        next_try=max(row.due_at, row.paused_until or 0) if waits else None,
        delivered_at=row.delivered_at,
        error="" if row.target.startswith("/") else row.error,  # which may tell of the operator's network
        message_id=row.message_id,
    )


def find_due(connection: Connection, now: int, *, configured: bool) -> list[str]:
    """Return the targets to which something is to be sent now, longest waiting first; only `configured` ones if asked.

    None that a process sends to, and none that is paused after a failure.
    """
    waiting = select(_d.target, func.min(_d.created_at).label("since"))
    waiting = waiting.where(_waits(), _d.due_at <= now).group_by(_d.target)
    pings = select(_s.target, _s.ping_due.label("since")).where(_s.ping_due <= now)
    due = union(waiting, pings).subquery()
    free = or_(_s.target.is_(None), (_s.claimed_until <= now) & (_s.paused_until <= now))
    statement = select(due.c.target).outerjoin_from(due, notice_target_states, _s.target == due.c.target).where(free)
    if configured:
        statement = statement.where(due.c.target.like("/%"))
    return list(dict.fromkeys(connection.execute(statement.order_by(due.c.since)).scalars()))


def _waits() -> ColumnElement[bool]:
    return _d.state == DeliveryState.WAITING.value


def claim_target(connection: Connection, target: str, now: int, until: int) -> bool:
    """Take a target for this process until then (Unix ms); False if another process has it, or it is paused."""
    insert = upsert(connection.dialect)(notice_target_states).values(target=target, claimed_until=until)
    free = (_s.claimed_until <= now) & (_s.paused_until <= now)
    claimed = insert.on_conflict_do_update(index_elements=["target"], set_={"claimed_until": until}, where=free)
    return connection.execute(claimed.returning(_s.target)).first() is not None


@dataclass(frozen=True, slots=True)
class Sending:
    """A message that is to be sent to a target, alone or many notices in one."""

    message_id: str
    notices: list[Notice]
    attempts: int
    created_at: int  # Unix ms


def take_message(connection: Connection, target: str, now: int, least: int, new_id: str) -> Sending | None:
    """Return the oldest message that is to be sent to a target; None if none is due.

    What was not sent yet and tells the same event and state is put together if there are more than `least`. A message
    keeps its id and its notices however often it is sent.
    """
    due = [_d.target == target, _waits(), _d.due_at <= now]
    joined = _NOTICES.add_columns(_d.message_id, _d.attempts, _d.created_at).join(
        notice_deliveries, _d.notice_id == _n.id
    )
    first = connection.execute(joined.where(*due).order_by(_d.created_at, _d.notice_id).limit(1)).first()
    if first is None:
        return None
    if not first.message_id:
        fresh = joined.where(*due, _d.message_id == "", _n.event == first.event, _n.state == first.state)
        rows = connection.execute(fresh.order_by(_d.created_at, _n.cluster, _d.notice_id).limit(_MOST_TOGETHER)).all()
        together = rows if len(rows) > least else [first]
        message_id = new_id if len(together) > 1 else first.id
        for ids in in_batches([row.id for row in together]):
            named = update(notice_deliveries).where(_d.target == target, _d.notice_id.in_(ids))
            connection.execute(named.values(message_id=message_id))
    else:
        message_id = first.message_id
        mine = joined.where(_d.target == target, _d.message_id == message_id)
        together = connection.execute(mine.order_by(_d.created_at, _n.cluster, _d.notice_id)).all()
    return Sending(message_id, [_notice(row) for row in together], first.attempts, first.created_at)


def end_delivery(connection: Connection, target: str, message_id: str, now: int) -> None:
    """Note that a message was delivered, and release the target."""
    ended = update(notice_deliveries).where(_d.target == target, _d.message_id == message_id, _waits())
    values = {"state": DeliveryState.DELIVERED, "attempts": _d.attempts + 1, "delivered_at": now, "error": ""}
    connection.execute(ended.values(**values))
    _release(connection, target, now, was_refused=_refused(connection, target))


def _refused(connection: Connection, target: str) -> bool:
    """Return whether something still waits that the target refused."""
    refused = select(_d.notice_id).where(_d.target == target, _waits(), _d.error != "").limit(1)
    return connection.execute(refused).first() is not None


def _release(connection: Connection, target: str, now: int, *, was_refused: bool) -> None:
    values: dict[str, Any] = {"claimed_until": 0, "paused_until": 0, "failures": 0, "delivered_at": now}
    if not was_refused:
        values |= {"failing_since": None, "told_at": None, "error": ""}
    connection.execute(update(notice_target_states).where(_s.target == target).values(**values))


def end_ping(connection: Connection, target: str, due: int, now: int) -> None:
    """Note that a ping that was due then was answered, and release the target."""
    asked = update(notice_target_states).where(_s.target == target, _s.ping_due == due)
    connection.execute(asked.values(ping_due=None))
    _release(connection, target, now, was_refused=False)


def fail_delivery(
    connection: Connection, target: str, message_id: str, error: str, *, state: DeliveryState, due_at: int | None
) -> None:
    """Note a failure of a message: it waits further, until `due_at` where that is given, or is given up."""
    failed = update(notice_deliveries).where(_d.target == target, _d.message_id == message_id, _waits())
    values: dict[str, Any] = {"state": state, "attempts": _d.attempts + 1, "error": error}
    if due_at is not None:
        values["due_at"] = due_at
    connection.execute(failed.values(**values))


def fail_target(connection: Connection, target: str, error: str, now: int, paused_until: int) -> None:
    """Note a failure of a target, and release it."""
    values = {
        "claimed_until": 0,
        "paused_until": paused_until,
        "failures": _s.failures + 1,
        "failing_since": func.coalesce(_s.failing_since, now),
        "error": error,
    }
    connection.execute(update(notice_target_states).where(_s.target == target).values(**values))


def fetch_failures(connection: Connection, target: str) -> int:
    """Return how often in a row sending to a target has failed."""
    return connection.execute(select(_s.failures).where(_s.target == target)).scalar() or 0


def release_target(connection: Connection, target: str) -> None:
    connection.execute(update(notice_target_states).where(_s.target == target).values(claimed_until=0))


def count_waiting(connection: Connection, targets: Collection[str] | None = None) -> dict[str, int]:
    """Return how many notices wait, by target; of all, or of these."""
    statement = select(_d.target, func.count()).where(_waits()).group_by(_d.target)
    if targets is not None:
        statement = statement.where(_d.target.in_(targets))
    return {row[0]: row[1] for row in connection.execute(statement)}


def give_up_old(engine: Engine, before: int) -> None:
    """Give up what waits since before then: its target is not configured any more, or no process could try."""
    old = select(_d.notice_id, _d.target).where(_waits(), _d.created_at < before).limit(_MOST_EXPIRED)
    with writing(engine) as connection:
        for notice_id, target in connection.execute(old).all():
            row = update(notice_deliveries).where(_d.notice_id == notice_id, _d.target == target)
            error = func.coalesce(func.nullif(_d.error, ""), "nobody sent it: no process knows its target any more")
            connection.execute(row.values(state=DeliveryState.GIVEN_UP, error=error))


def delete_notices(engine: Engine, before: int) -> None:
    """Delete notices of before then, with their deliveries."""
    delete_in_batches(engine, _n.id, _n.at < before)
