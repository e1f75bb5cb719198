"""Statements on rules of retention, protections, and what was removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    select,
    update,
)

from logkeep.database.connection import in_batches, of, upsert
from logkeep.database.records import read_rows, values
from logkeep.database.tables import (
    generations,
    protections,
    removal_entries,
    removals,
    removed_objects,
    removed_of_jobs,
    retention_rules,
    retentions,
)
from logkeep.domain.retention import (
    Protection,
    Removal,
    RetentionRule,
    RuleState,
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


@dataclass(frozen=True, slots=True)
class JobSums:
    """What was removed of what a job stored."""

    job_id: str
    objects: int
    raw: int
    stored: int
    lines: int


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


def add_removed_of_jobs(connection: Connection, cluster_id: str, sums: Sequence[JobSums]) -> None:
    """Add to what was removed of what jobs stored."""
    insert = upsert(connection.dialect)(removed_of_jobs)
    added = {name: removed_of_jobs.c[name] + insert.excluded[name] for name in ("objects", "raw", "stored", "lines")}
    rows = [{"cluster_id": cluster_id, **values(removed_of_jobs, one)} for one in sums]
    if rows:
        connection.execute(insert.on_conflict_do_update(index_elements=["job_id"], set_=added), rows)


def fetch_removed_of_jobs(connection: Connection, job_ids: Sequence[str]) -> dict[str, JobSums]:
    """Return what was removed of these jobs, by id; jobs of which nothing was removed are left out."""
    statement = select(removed_of_jobs).where(removed_of_jobs.c.job_id.in_(list(job_ids)))
    return {one.job_id: one for one in read_rows(JobSums, connection.execute(statement))}


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


def raise_removed(connection: Connection, cluster_id: str, removed: Mapping[tuple[str, int], int]) -> None:
    """Save up to which byte generations, by node and number, were removed; never less than before."""
    g = generations.c
    up_to = bindparam("up_to")
    statement = update(generations).where(*of(g.cluster_id, g.node, g.generation), g.removed < up_to)
    rows = [
        {"of_cluster_id": cluster_id, "of_node": node, "of_generation": generation, "up_to": end}
        for (node, generation), end in removed.items()
    ]
    if rows:
        connection.execute(statement.values(removed=up_to), rows)
