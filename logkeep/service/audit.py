"""Audit: who changed what through the API, and from which address."""

from __future__ import annotations

from logkeep.database import audit
from logkeep.database.connection import reading, writing
from logkeep.domain.access import AuditEntry
from logkeep.service.runtime import Runtime

_DAY_MS = 86_400_000


def record(runtime: Runtime, entry: AuditEntry) -> None:
    with writing(runtime.database) as connection:
        audit.insert_entry(connection, entry)


def list_entries(
    runtime: Runtime, *, project_id: str = "", since_ms: int = 0, offset: int = 0, limit: int = 100
) -> tuple[list[AuditEntry], int]:
    """Return one page of entries, newest first, and the number of all; of all projects if `project_id` is ''."""
    with reading(runtime.database) as connection:
        return audit.fetch_entries(connection, project_id=project_id, since_ms=since_ms, offset=offset, limit=limit)


def remove_old_entries(runtime: Runtime, keep_days: int) -> None:
    audit.delete_entries(runtime.database, runtime.clock.now_ms() - keep_days * _DAY_MS)
