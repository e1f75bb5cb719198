"""Statements on the audit."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, func, select

from logkeep.database.tables import audit
from logkeep.domain.access import AuditEntry


def insert_entry(connection: Connection, entry: AuditEntry) -> None:
    connection.execute(
        audit.insert().values(
            at=entry.at,
            who=entry.who,
            project_id=entry.project_id,
            operation=entry.operation,
            cluster_id=entry.cluster_id,
            address=entry.address,
            status=entry.status,
            code=entry.code,
            request_id=entry.request_id,
        )
    )


def fetch_entries(
    connection: Connection, *, project_id: str = "", since_ms: int = 0, offset: int = 1, limit: int
) -> tuple[list[AuditEntry], int]:
    """Return a page of entries, newest first, and the number of all; `offset` counts from 1."""
    wanted: list[ColumnElement[bool]] = [audit.c.at >= since_ms]
    if project_id:
        wanted.append(audit.c.project_id == project_id)
    total = connection.execute(select(func.count()).select_from(audit).where(*wanted)).scalar_one()
    page = select(audit).where(*wanted).order_by(audit.c.at.desc(), audit.c.id.desc())
    rows = connection.execute(page.limit(limit).offset(offset - 1))
    return [
        AuditEntry(
            at=row.at,
            who=row.who,
            project_id=row.project_id,
            operation=row.operation,
            cluster_id=row.cluster_id,
            address=row.address,
            status=row.status,
            code=row.code,
            request_id=row.request_id,
        )
        for row in rows
    ], total


def delete_entries(connection: Connection, before_ms: int, limit: int) -> int:
    """Delete at most `limit` entries written before a time; return how many."""
    old = select(audit.c.id).where(audit.c.at < before_ms).limit(limit)
    return connection.execute(delete(audit).where(audit.c.id.in_(old))).rowcount
