"""Statements on rules of retention, protections, and what was removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, func, or_, select, update

from logkeep.database.connection import in_batches, of, upsert
from logkeep.database.records import read_row, read_rows, values
from logkeep.database.tables import (
    protections,
    removal_entries,
    removals,
    removed_objects,
    removed_of_jobs,
    retention_rules,
    retentions,
)
from logkeep.domain.job_detail import JobRemoved
from logkeep.domain.retention import Protection, Removal, RetentionRule, RuleState, Waiting

_OBJECT = of(removed_objects.c.cluster_id, removed_objects.c.bucket, removed_objects.c.object)
_DELETE_OBJECT = delete(removed_objects).where(*_OBJECT)
_POSTPONE_OBJECT = (
    update(removed_objects)
    .where(*_OBJECT)
    .values(tries=bindparam("tries"), next_try=bindparam("next_try"), reason=bindparam("reason"))
)

# Rules and protections ---------------------------------------------------------------------------------------------


def lock_retention(connection: Connection, cluster_id: str) -> None:
    """Let no other transaction change what the rules of the cluster may remove, until this one ends."""
    insert = upsert(connection.dialect)(retentions).values(cluster_id=cluster_id)
    connection.execute(insert.on_conflict_do_nothing())
    connection.execute(select(retentions.c.cluster_id).where(retentions.c.cluster_id == cluster_id).with_for_update())


def fetch_rules(connection: Connection, cluster_id: str) -> list[RuleState]:
    """Return the rules of a cluster, its own first."""
    r = retention_rules.c
    rows = connection.execute(select(retention_rules).where(r.cluster_id == cluster_id).order_by(r.log))
    return [
        RuleState(
            RetentionRule(row.log, row.keep_days, row.keep_bytes, row.keep_jobs),
            row.changed_at,
            row.changed_by,
            row.confirmed_at,
        )
        for row in rows
    ]


def save_rules(connection: Connection, cluster_id: str, rules: Sequence[RuleState]) -> None:
    """Replace the rules of a cluster."""
    connection.execute(delete(retention_rules).where(retention_rules.c.cluster_id == cluster_id))
    rows = [
        {
            "cluster_id": cluster_id,
            **values(retention_rules, one.rule),
            "changed_at": one.changed_at,
            "changed_by": one.changed_by,
            "confirmed_at": one.confirmed_at,
        }
        for one in rules
    ]
    if rows:
        connection.execute(retention_rules.insert(), rows)


def confirm_rules(connection: Connection, cluster_id: str, now: int) -> None:
    """Let the clock carry out all rules of a cluster."""
    r = retention_rules.c
    statement = update(retention_rules).where(r.cluster_id == cluster_id, r.confirmed_at.is_(None))
    connection.execute(statement.values(confirmed_at=now))


def fetch_protections(connection: Connection, cluster_id: str) -> list[Protection]:
    """Return the protections of a cluster, expired ones included, oldest first."""
    p = protections.c
    rows = connection.execute(select(protections).where(p.cluster_id == cluster_id).order_by(p.created_at, p.id))
    return list(read_rows(Protection, rows))


def insert_protection(connection: Connection, protection: Protection) -> None:
    connection.execute(protections.insert().values(**values(protections, protection)))


def delete_protection(connection: Connection, cluster_id: str, protection_id: str) -> bool:
    """Delete a protection; False if the cluster has none with this id."""
    p = protections.c
    deleted = connection.execute(delete(protections).where(p.cluster_id == cluster_id, p.id == protection_id))
    return deleted.rowcount > 0


# What was removed --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A removal entry."""

    number: int
    bucket: str
    object: str
    sha256: str
    removed_at: int  # Unix ms
    data: bytes | None = None  # until the bucket has confirmed it
    stored_at: int | None = None  # Unix ms


@dataclass(frozen=True, slots=True)
class RemovedObject:
    """An object that an entry names and that may lie in the bucket yet."""

    bucket: str
    object: str
    number: int  # of the entry
    stored: int  # bytes
    tries: int = 0
    next_try: int = 0  # Unix ms
    reason: str = ""  # why the bucket kept it


def insert_entry(connection: Connection, cluster_id: str, entry: EntryRow) -> None:
    """Insert an entry. Raises `IntegrityError` if the cluster has one of this number."""
    connection.execute(removal_entries.insert().values(cluster_id=cluster_id, **values(removal_entries, entry)))


def fetch_last_entry(connection: Connection, cluster_id: str, *, stored: bool = False) -> EntryRow | None:
    """Return the last entry of a cluster; with `stored` the last one that the bucket has confirmed."""
    e = removal_entries.c
    statement = select(removal_entries).where(e.cluster_id == cluster_id)
    if stored:
        statement = statement.where(e.stored_at.is_not(None))
    rows = read_rows(EntryRow, connection.execute(statement.order_by(e.number.desc()).limit(1)))
    return next(rows, None)


def fetch_entries(connection: Connection, cluster_id: str) -> list[EntryRow]:
    """Return the entries of a cluster from the first one, without their bytes."""
    e = removal_entries.c
    statement = select(*[column for column in e if column.name not in {"cluster_id", "data"}])
    return list(read_rows(EntryRow, connection.execute(statement.where(e.cluster_id == cluster_id).order_by(e.number))))


def fetch_entry_data(connection: Connection, cluster_id: str, number: int) -> bytes | None:
    """Return the bytes of an entry that the bucket has not confirmed yet; None for others."""
    e = removal_entries.c
    return connection.execute(select(e.data).where(e.cluster_id == cluster_id, e.number == number)).scalar()


def fetch_next_planned(connection: Connection, cluster_id: str) -> EntryRow | None:
    """Return the first entry of a cluster, with its bytes, that the bucket has not confirmed yet."""
    e = removal_entries.c
    planned = select(removal_entries).where(e.cluster_id == cluster_id, e.stored_at.is_(None))
    return next(read_rows(EntryRow, connection.execute(planned.order_by(e.number).limit(1))), None)


def mark_entry_stored(connection: Connection, cluster_id: str, number: int, now: int) -> None:
    """Record that the bucket has confirmed an entry, whose objects may go now."""
    e = removal_entries.c
    statement = update(removal_entries).where(e.cluster_id == cluster_id, e.number == number)
    connection.execute(statement.values(stored_at=now, data=None))


def insert_removals(connection: Connection, cluster_id: str, told: Sequence[Removal]) -> None:
    """Insert what an entry says of each log of a node, by rule."""
    rows = [{"cluster_id": cluster_id, **values(removals, one)} for one in told]
    if rows:
        connection.execute(removals.insert(), rows)


def fetch_removals(
    connection: Connection, cluster_id: str, node: str = "", log: str = "", limit: int | None = None
) -> list[Removal]:
    """Return what was removed of a cluster, a node or a log, newest first."""
    r, e = removals.c, removal_entries.c
    columns = [column for column in r if column.name not in {"id", "cluster_id"}]
    same = and_(e.cluster_id == r.cluster_id, e.number == r.number)
    statement = select(*columns, e.sha256).join(removal_entries, same).where(r.cluster_id == cluster_id)
    for column, value in ((r.node, node), (r.log, log)):
        if value:
            statement = statement.where(column == value)
    return list(read_rows(Removal, connection.execute(statement.order_by(r.id.desc()).limit(limit))))


def add_removed_of_jobs(connection: Connection, cluster_id: str, removed: Mapping[str, JobRemoved]) -> None:
    """Add to what was removed of what jobs stored, by job id."""
    insert = upsert(connection.dialect)(removed_of_jobs)
    added = {name: removed_of_jobs.c[name] + insert.excluded[name] for name in ("objects", "raw", "stored", "lines")}
    rows = [
        {"job_id": job_id, "cluster_id": cluster_id, **values(removed_of_jobs, one)} for job_id, one in removed.items()
    ]
    if rows:
        connection.execute(insert.on_conflict_do_update(index_elements=["job_id"], set_=added), rows)


def fetch_removed_of_jobs(connection: Connection, job_ids: Sequence[str]) -> dict[str, JobRemoved]:
    """Return what was removed of these jobs, by id; jobs of which nothing was removed are left out."""
    statement = select(removed_of_jobs).where(removed_of_jobs.c.job_id.in_(list(job_ids)))
    return {row.job_id: read_row(JobRemoved, row) for row in connection.execute(statement)}


def insert_removed_objects(connection: Connection, cluster_id: str, found: Sequence[RemovedObject]) -> None:
    """Insert objects that are to be removed from the bucket."""
    rows = [{"cluster_id": cluster_id, **values(removed_objects, one)} for one in found]
    if rows:
        connection.execute(removed_objects.insert(), rows)


def fetch_removed_names(connection: Connection, cluster_id: str, objects: Sequence[str]) -> set[str]:
    """Return those of these objects that are to be removed from the bucket."""
    o = removed_objects.c
    found: set[str] = set()
    for some in in_batches(objects):
        statement = select(o.object).where(o.cluster_id == cluster_id, o.object.in_(some))
        found |= set(connection.execute(statement).scalars())
    return found


def fetch_due_objects(connection: Connection, cluster_id: str, now: int, limit: int) -> list[RemovedObject]:
    """Return objects whose entry the bucket has confirmed and whose next try is due, longest due first."""
    o = removed_objects.c
    due = select(removed_objects).join(removal_entries, _same_entry()).where(*_confirmed(cluster_id), o.next_try <= now)
    return list(read_rows(RemovedObject, connection.execute(due.order_by(o.next_try).limit(limit))))


def delete_removed_objects(connection: Connection, cluster_id: str, gone: Sequence[RemovedObject]) -> None:
    """Delete the rows of objects that are gone from their bucket."""
    if gone:
        connection.execute(_DELETE_OBJECT, [_object_key(cluster_id, one) for one in gone])


def postpone_objects(connection: Connection, cluster_id: str, kept: Sequence[RemovedObject]) -> None:
    """Save why the bucket kept these objects, and when each is tried again."""
    rows = [
        _object_key(cluster_id, one) | {"tries": one.tries, "next_try": one.next_try, "reason": one.reason}
        for one in kept
    ]
    if rows:
        connection.execute(_POSTPONE_OBJECT, rows)


def postpone_bucket(connection: Connection, cluster_id: str, bucket: str, now: int, next_try: int, reason: str) -> None:
    """Save of all objects of a bucket that are due that the bucket cannot be used, and when they are tried again."""
    o = removed_objects.c
    due = (o.cluster_id == cluster_id, o.bucket == bucket, o.next_try <= now)
    connection.execute(update(removed_objects).where(*due).values(tries=o.tries + 1, next_try=next_try, reason=reason))


def fetch_waiting(connection: Connection, cluster_id: str) -> Waiting:
    """Return the sums of the objects that lie in the bucket yet, and why the one that is tried next was kept."""
    o = removed_objects.c
    sums = select(func.count(), func.coalesce(func.sum(o.stored), 0)).where(o.cluster_id == cluster_id)
    total = connection.execute(sums).one()
    first = select(o.next_try, o.reason).where(o.cluster_id == cluster_id)
    row = connection.execute(first.order_by(o.next_try, o.reason.desc()).limit(1)).first()
    return Waiting(int(total[0]), int(total[1]), row.next_try, row.reason) if row else Waiting()


def count_planned(connection: Connection, cluster_id: str) -> int:
    """Return how many entries the bucket has not confirmed yet."""
    e = removal_entries.c
    statement = select(func.count()).where(e.cluster_id == cluster_id, e.stored_at.is_(None))
    return connection.execute(statement).scalar_one()


def sum_removed(connection: Connection, cluster_id: str) -> tuple[int, int, int]:
    """Return the number of all objects that were removed, their stored and their plain bytes."""
    j = removed_of_jobs.c
    sums = [func.coalesce(func.sum(column), 0) for column in (j.objects, j.stored, j.raw)]
    objects, stored, raw = map(int, connection.execute(select(*sums).where(j.cluster_id == cluster_id)).one())
    return objects, stored, raw


def _same_entry() -> ColumnElement[bool]:
    o, e = removed_objects.c, removal_entries.c
    return and_(e.cluster_id == o.cluster_id, e.number == o.number)


def _confirmed(cluster_id: str) -> tuple[ColumnElement[bool], ...]:
    return removed_objects.c.cluster_id == cluster_id, removal_entries.c.stored_at.is_not(None)


def _object_key(cluster_id: str, one: RemovedObject) -> dict[str, Any]:
    return {"of_cluster_id": cluster_id, "of_bucket": one.bucket, "of_object": one.object}


# Runs --------------------------------------------------------------------------------------------------------------


def fetch_due_cluster(connection: Connection, now: int, ran_before: int | None) -> tuple[str, bool] | None:
    """Return a cluster of which something is left over, or whose rules were last carried out before a moment.

    And whether its rules are to be carried out: where they are due, or broke off; with None those of no cluster are.
    """
    r, u = retentions.c, retention_rules.c
    free = select(r.cluster_id, r.problem).where(r.claimed_until <= now)
    if ran_before is not None:
        confirmed = exists().where(u.cluster_id == r.cluster_id, u.confirmed_at.is_not(None))
        ran_at = func.coalesce(r.ran_at, 0)
        due = free.where(or_(ran_at <= ran_before, ran_at > now), confirmed)  # ahead of now: the clock was set back
        if row := connection.execute(due.order_by(r.ran_at).limit(1)).first():
            return row.cluster_id, True
    row = connection.execute(free.where(r.look_at <= now).order_by(r.look_at).limit(1)).first()
    return (row.cluster_id, ran_before is not None and bool(row.problem)) if row else None


def claim_retention(connection: Connection, cluster_id: str, now: int, until: int) -> bool:
    """Claim the retention of a cluster until a time (Unix ms); False if another has."""
    claimed = {"claimed_until": until, "look_at": until}  # where the process is killed, another one goes on
    insert = upsert(connection.dialect)(retentions).values(cluster_id=cluster_id, **claimed)
    claim = insert.on_conflict_do_update(
        index_elements=["cluster_id"], set_=claimed, where=retentions.c.claimed_until <= now
    )
    return connection.execute(claim.returning(retentions.c.cluster_id)).first() is not None


def prolong_claim(connection: Connection, cluster_id: str, claimed: int, until: int) -> bool:
    """Prolong one's claim that ran until `claimed`; False if another has taken it over."""
    return _change_claim(connection, cluster_id, claimed, claimed_until=until)


def release_retention(connection: Connection, cluster_id: str, claimed: int, **changes: Any) -> bool:
    """Give up one's claim, and save other columns of the row; False if another has taken it over."""
    return _change_claim(connection, cluster_id, claimed, claimed_until=0, **changes)


def holds_claim(connection: Connection, cluster_id: str, claimed: int) -> bool:
    """Return whether one's claim that ran until `claimed` is nobody else's now."""
    statement = select(retentions.c.claimed_until).where(retentions.c.cluster_id == cluster_id)
    return connection.execute(statement).scalar() == claimed


def fetch_run(connection: Connection, cluster_id: str) -> tuple[int | None, str]:
    """Return when a run of the rules of a cluster last ended (Unix ms), and why it broke off."""
    row = connection.execute(
        select(retentions.c.ran_at, retentions.c.problem).where(retentions.c.cluster_id == cluster_id)
    ).first()
    return (row.ran_at, row.problem) if row else (None, "")


def fetch_next_look(connection: Connection, cluster_id: str) -> int | None:
    """Return when the first object that waits is to be tried again (Unix ms); None if none waits."""
    o = removed_objects.c
    statement = select(func.min(o.next_try)).join(removal_entries, _same_entry()).where(*_confirmed(cluster_id))
    return connection.execute(statement).scalar()


def _change_claim(connection: Connection, cluster_id: str, claimed: int, **changes: Any) -> bool:
    r = retentions.c
    mine = update(retentions).where(r.cluster_id == cluster_id, r.claimed_until == claimed)
    return connection.execute(mine.values(**changes)).rowcount > 0
