"""Statements on archives of removed clusters that are being deleted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, literal, select, union, update

from logkeep.database.records import read_row, read_rows, values
from logkeep.database.tables import (
    archive_deletions,
    clusters,
    deleted_jobs,
    deleted_places,
    jobs,
    manifests,
    removed_of_jobs,
    segments,
)
from logkeep.domain.archive_deletion import ArchiveDeletion

_d = archive_deletions.c
_COLUMNS = [column for column in _d if column.name != "claimed_until"]


def insert_deletion(connection: Connection, deletion: ArchiveDeletion, places: Sequence[dict[str, str]]) -> None:
    """Insert the deletion of a cluster's archive with its places and its jobs, before the cluster goes.

    One that was finished or given up before is replaced.
    """
    cluster_id = deletion.cluster_id
    connection.execute(delete(archive_deletions).where(_d.cluster_id == cluster_id))
    connection.execute(archive_deletions.insert().values(**values(archive_deletions, deletion)))
    if places:
        connection.execute(deleted_places.insert(), [{"cluster_id": cluster_id, **place} for place in places])
    known = union(
        *(
            select(literal(cluster_id), table.c.job_id).where(table.c.cluster_id == cluster_id)
            for table in (jobs, segments, manifests, removed_of_jobs)
        )
    )
    connection.execute(insert(deleted_jobs).from_select(["cluster_id", "job_id"], known))


def fetch_deletions(connection: Connection, project_id: str, limit: int | None = None) -> list[ArchiveDeletion]:
    """Return the deletions of a project, newest first; with '' of all projects."""
    statement = select(*_COLUMNS).order_by(_d.asked_at.desc(), _d.cluster_id).limit(limit)
    if project_id:
        statement = statement.where(_d.project_id == project_id)
    return list(read_rows(ArchiveDeletion, connection.execute(statement)))


def fetch_due_deletion(connection: Connection, now: int) -> ArchiveDeletion | None:
    """Return a deletion that is to be tried now, and that nobody has claimed."""
    due = select(*_COLUMNS).where(_d.finished_at.is_(None), _d.next_try <= now, _d.claimed_until <= now)
    row = connection.execute(due.order_by(_d.next_try).limit(1)).first()
    return read_row(ArchiveDeletion, row) if row else None


def claim_deletion(connection: Connection, cluster_id: str, now: int, until: int) -> bool:
    """Claim a deletion until a time (Unix ms); False if another has."""
    free = update(archive_deletions).where(_d.cluster_id == cluster_id, _d.claimed_until <= now)
    return connection.execute(free.values(claimed_until=until)).rowcount > 0


def advance_deletion(
    connection: Connection, cluster_id: str, claimed: int, until: int, objects: int, stored: int
) -> bool:
    """Add to what is deleted, and prolong one's claim; False if another has taken it over."""
    mine = update(archive_deletions).where(_d.cluster_id == cluster_id, _d.claimed_until == claimed)
    added = {"objects": _d.objects + objects, "stored": _d.stored + stored}
    return connection.execute(mine.values(claimed_until=until, **added)).rowcount > 0


def postpone_deletion(
    connection: Connection, cluster_id: str, claimed: int, next_try: int, waiting: int, reason: str
) -> None:
    """Give up one's claim until a deletion is tried again; save why."""
    mine = update(archive_deletions).where(_d.cluster_id == cluster_id, _d.claimed_until == claimed)
    connection.execute(mine.values(claimed_until=0, next_try=next_try, waiting=waiting, reason=reason))


def finish_deletion(connection: Connection, cluster_id: str, claimed: int, now: int, reason: str) -> None:
    """Save the end of a deletion and free its places, `reason` is what there is left to say."""
    mine = update(archive_deletions).where(_d.cluster_id == cluster_id, _d.claimed_until == claimed)
    ended = {"claimed_until": 0, "waiting": 0, "reason": reason, "finished_at": now}
    if connection.execute(mine.values(**ended)).rowcount:
        for table in (deleted_places, deleted_jobs):
            connection.execute(delete(table).where(table.c.cluster_id == cluster_id))


def give_up_deletion(connection: Connection, cluster_id: str, now: int, reason: str) -> None:
    """End a deletion that is not finished and take it from who has claimed it, as its archive was taken up again."""
    given_up = update(archive_deletions).where(_d.cluster_id == cluster_id, _d.finished_at.is_(None))
    ended = {"claimed_until": 0, "waiting": 0, "reason": reason, "finished_at": now}
    if connection.execute(given_up.values(**ended)).rowcount:
        for table in (deleted_places, deleted_jobs):
            connection.execute(delete(table).where(table.c.cluster_id == cluster_id))


def fetch_deleted_places(connection: Connection, cluster_id: str) -> list[tuple[str, str]]:
    """Return bucket and folder of each place of the archive."""
    p = deleted_places.c
    statement = select(p.bucket, p.folder).where(p.cluster_id == cluster_id).order_by(p.bucket, p.folder)
    return [(row.bucket, row.folder) for row in connection.execute(statement)]


def fetch_known_jobs(connection: Connection, cluster_id: str, job_ids: Sequence[str]) -> set[str]:
    """Return those of these jobs that were of the cluster."""
    j = deleted_jobs.c
    statement = select(j.job_id).where(j.cluster_id == cluster_id, j.job_id.in_(list(job_ids)))
    return set(connection.execute(statement).scalars())


def is_registered(connection: Connection, cluster_id: str) -> bool:
    """Return whether a cluster of this id is there, as where its archive was adopted."""
    return connection.execute(select(clusters.c.id).where(clusters.c.id == cluster_id)).first() is not None
