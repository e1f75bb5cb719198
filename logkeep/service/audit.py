"""Audit: who changed what through the API, and from which address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from logkeep.database import audit, clusters
from logkeep.database.connection import reading, writing
from logkeep.domain.access import AuditEntry, AuditPosition
from logkeep.service.runtime import Runtime

_DAY_MS = 86_400_000
_BATCH = 1000  # entries read at a time


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries of a project, newest first."""

    entries: list[AuditEntry]
    more: AuditPosition | None  # the position after which the next page begins; None at the end
    names: dict[str, str]  # of the clusters that they are about, by id; not of those that were removed


def record(runtime: Runtime, entry: AuditEntry) -> None:
    with writing(runtime.database) as connection:
        audit.insert_entry(connection, entry)


def list_entries(
    runtime: Runtime, *, project_id: str = "", since_ms: int = 0, offset: int = 0, limit: int = 100
) -> tuple[list[AuditEntry], int]:
    """Return one page of entries, newest first, and the number of all; of all projects if `project_id` is ''."""
    with reading(runtime.database) as connection:
        return audit.fetch_entries(connection, project_id=project_id, since_ms=since_ms, offset=offset, limit=limit)


def list_page(
    runtime: Runtime, project_id: str, *, since_ms: int = 0, after: AuditPosition | None = None, limit: int = 50
) -> AuditPage:
    """Return the entries of a project after a position, which stays where it is while new ones come."""
    with reading(runtime.database) as connection:
        found = audit.fetch_entries_after(connection, project_id, since_ms, after, limit + 1)
        entries = [entry for _, entry in found[:limit]]
        names = clusters.fetch_names(connection, project_id, {one.cluster_id for one in entries if one.cluster_id})
    return AuditPage(entries, found[limit - 1][0] if len(found) > limit else None, names)


def iterate_entries(runtime: Runtime, project_id: str, *, since_ms: int = 0) -> Iterator[AuditEntry]:
    """Yield all entries of a project, newest first; no connection is held while the caller consumes them."""
    position: AuditPosition | None = None
    while True:
        with reading(runtime.database) as connection:
            found = audit.fetch_entries_after(connection, project_id, since_ms, position, _BATCH)
        yield from (entry for _, entry in found)
        if len(found) < _BATCH:
            return
        position = found[-1][0]


def remove_old_entries(runtime: Runtime, keep_days: int) -> None:
    audit.delete_entries(runtime.database, runtime.clock.now_ms() - keep_days * _DAY_MS)
