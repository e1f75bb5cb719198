"""Audit: who changed what through the API, and from which address."""

from __future__ import annotations

from logkeep.database import audit
from logkeep.database.connection import reading, writing
from logkeep.domain.access import AuditEntry
from logkeep.service.context import Context

_DAY_MS = 86_400_000
_BATCH, _BATCHES = 500, 20  # entries per transaction, and transactions per call


def record(context: Context, entry: AuditEntry) -> None:
    with writing(context.database) as connection:
        audit.insert_entry(connection, entry)


def list_entries(
    context: Context, *, project_id: str = "", since_ms: int = 0, offset: int = 1, limit: int = 100
) -> tuple[list[AuditEntry], int]:
    """Return one page of entries, newest first, and the number of all; of all projects if `project_id` is ''."""
    with reading(context.database) as connection:
        return audit.fetch_entries(connection, project_id=project_id, since_ms=since_ms, offset=offset, limit=limit)


def remove_old_entries(context: Context, keep_days: int) -> None:
    """Delete old entries in batches, each in its own transaction, so that other writers wait for one batch at most."""
    before = context.clock.now_ms() - keep_days * _DAY_MS
    for _ in range(_BATCHES):
        with writing(context.database) as connection:
            if audit.delete_entries(connection, before, _BATCH) < _BATCH:
                return
