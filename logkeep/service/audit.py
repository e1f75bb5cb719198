"""What was changed, by whom, from where."""

from __future__ import annotations

from logkeep.database import audit
from logkeep.database.connection import reading, writing
from logkeep.domain.access import AuditEntry
from logkeep.service.context import Context

_DAY_MS = 86_400_000
_BATCH, _BATCHES = 500, 20  # entries that are removed at a time, and how often in one look


def record(context: Context, entry: AuditEntry) -> None:
    with writing(context.database) as connection:
        audit.insert_entry(connection, entry)


def list_entries(
    context: Context, *, project_id: str = "", since_ms: int = 0, offset: int = 1, limit: int = 100
) -> tuple[list[AuditEntry], int]:
    """Newest first, of all projects where none is named; and how many there are in all."""
    with reading(context.database) as connection:
        return audit.fetch_entries(connection, project_id=project_id, since_ms=since_ms, offset=offset, limit=limit)


def remove_old_entries(context: Context, keep_days: int) -> None:
    """In batches, each a transaction of its own."""
    before = context.clock.now_ms() - keep_days * _DAY_MS
    for _ in range(_BATCHES):
        with writing(context.database) as connection:
            if audit.delete_entries(connection, before, _BATCH) < _BATCH:
                return
