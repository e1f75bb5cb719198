"""Statements on what the last verification of each cluster came to."""

from __future__ import annotations

from sqlalchemy import Connection, exists, func, or_, select, update

from logkeep.database.connection import upsert
from logkeep.database.records import read_row, values
from logkeep.database.tables import clusters, manifests, segments, verifications
from logkeep.domain.verification import Verification


def fetch_verification(connection: Connection, cluster_id: str) -> Verification:
    row = connection.execute(select(verifications).where(verifications.c.cluster_id == cluster_id)).first()
    return read_row(Verification, row) if row else Verification()


def fetch_most_due(connection: Connection, before: int, failed_before: int) -> tuple[str, int | None] | None:
    """Return the cluster whose last verification began longest ago, and when (None for never).

    It is due if that was before `before`. If the last one could not be run, it is due again if that was before
    `failed_before`. A cluster never verified counts from its registration, and only if something of it is archived.
    """
    v = verifications.c
    since = func.coalesce(v.started_at, clusters.c.created_at)
    kept = or_(
        exists().where(segments.c.cluster_id == clusters.c.id), exists().where(manifests.c.cluster_id == clusters.c.id)
    )
    statement = select(clusters.c.id, v.started_at).outerjoin_from(clusters, verifications)
    due = or_(since <= before, v.failed_at <= failed_before)
    row = connection.execute(statement.where(due, kept).order_by(since, clusters.c.id).limit(1)).first()
    return row and (row[0], row[1])


def begin_verification(connection: Connection, cluster_id: str, before: int | None, started_at: int) -> bool:
    """Begin a verification if the last one began at `before`; False if another process was first."""
    if before is None:
        empty = {"objects": 0, "bytes": 0, "objects_read": 0, "findings": 0, "problem": ""}
        insert = upsert(connection.dialect)(verifications).values(cluster_id=cluster_id, started_at=started_at, **empty)
        begun = insert.on_conflict_do_nothing().returning(verifications.c.cluster_id)
        return connection.execute(begun).first() is not None  # PostgreSQL's driver counts no rows here
    return _change_start(connection, cluster_id, before, started_at)


def give_up_verification(connection: Connection, cluster_id: str, started_at: int, before: int | None) -> None:
    """Undo the begin of a verification that was interrupted, so that it does not count."""
    if before is None:
        mine = verifications.c.cluster_id == cluster_id, verifications.c.started_at == started_at
        connection.execute(verifications.delete().where(*mine, verifications.c.finished_at.is_(None)))
    else:
        _change_start(connection, cluster_id, started_at, before)


def end_verification(connection: Connection, cluster_id: str, result: Verification) -> None:
    """Save the result of a verification."""
    statement = update(verifications).where(verifications.c.cluster_id == cluster_id)
    ended = {**values(verifications, result), "failed_at": None, "failure": ""}
    del ended["started_at"]
    connection.execute(statement.values(**ended))


def fail_verification(connection: Connection, cluster_id: str, failed_at: int, failure: str) -> None:
    """Save why a verification could not be run; keep the result of the last one that was."""
    statement = update(verifications).where(verifications.c.cluster_id == cluster_id)
    connection.execute(statement.values(failed_at=failed_at, failure=failure))


def _change_start(connection: Connection, cluster_id: str, before: int, after: int) -> bool:
    statement = update(verifications).where(
        verifications.c.cluster_id == cluster_id, verifications.c.started_at == before
    )
    return connection.execute(statement.values(started_at=after)).rowcount > 0
