"""Statements on the audit."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Engine, func, select, tuple_

from logkeep.database.connection import delete_in_batches
from logkeep.database.records import read_row, read_rows, values
from logkeep.database.tables import audit
from logkeep.domain.access import AuditEntry, AuditPosition


def insert_entry(connection: Connection, entry: AuditEntry) -> None:
    connection.execute(audit.insert().values(**values(audit, entry)))


def fetch_entries(
    connection: Connection, *, project_id: str = "", since_ms: int = 0, offset: int = 0, limit: int
) -> tuple[list[AuditEntry], int]:
    """Return a page of entries, newest first, and the number of all; `offset` counts from 0."""
    wanted: list[ColumnElement[bool]] = [audit.c.at >= since_ms]
    if project_id:
        wanted.append(audit.c.project_id == project_id)
    total = connection.execute(select(func.count()).select_from(audit).where(*wanted)).scalar_one()
    page = select(audit).where(*wanted).order_by(audit.c.at.desc(), audit.c.id.desc())
    rows = connection.execute(page.limit(limit).offset(offset))
    return list(read_rows(AuditEntry, rows)), total


def fetch_entries_after(
    connection: Connection, project_id: str, since_ms: int, after: AuditPosition | None, limit: int
) -> list[tuple[AuditPosition, AuditEntry]]:
    """Return the entries of a project after a position, newest first, each with its own."""
    wanted = [audit.c.project_id == project_id, audit.c.at >= since_ms]
    if after:
        wanted.append(tuple_(audit.c.at, audit.c.id) < (after.at, after.id))
    page = select(audit).where(*wanted).order_by(audit.c.at.desc(), audit.c.id.desc())
    rows = connection.execute(page.limit(limit))
    return [(AuditPosition(row.at, row.id), read_row(AuditEntry, row)) for row in rows]


def delete_entries(engine: Engine, before_ms: int) -> None:
    """Delete entries written before a time."""
    delete_in_batches(engine, audit.c.id, audit.c.at < before_ms)
