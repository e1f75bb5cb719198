"""Statements on manifests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from logkeep.database.connection import of
from logkeep.database.records import read_row, read_rows, values
from logkeep.database.tables import manifests


@dataclass(frozen=True, slots=True)
class ManifestRow:
    job_id: str
    number: int
    bucket: str
    object: str
    sha256: str
    proven: bool = True  # False where no trusted signature covers it
    unproven: str = ""  # see `Manifest.unproven`


_LAST = select(manifests).where(*of(manifests.c.cluster_id)).order_by(manifests.c.number.desc()).limit(1)
_LAST_PROVEN = _LAST.where(manifests.c.proven)
_INSERT = manifests.insert()


def insert_manifest(connection: Connection, cluster_id: str, row: ManifestRow) -> None:
    connection.execute(_INSERT, {"cluster_id": cluster_id, **values(manifests, row)})


def fetch_last_manifest(connection: Connection, cluster_id: str, *, proven: bool = False) -> ManifestRow | None:
    """Return the last manifest; with `proven` the last one that a trusted signature covers."""
    row = connection.execute(_LAST_PROVEN if proven else _LAST, {"of_cluster_id": cluster_id}).first()
    return read_row(ManifestRow, row) if row else None


def fetch_manifests(connection: Connection, cluster_id: str) -> list[ManifestRow]:
    """Return the chain of manifests from its start."""
    statement = select(manifests).where(manifests.c.cluster_id == cluster_id).order_by(manifests.c.number)
    return list(read_rows(ManifestRow, connection.execute(statement)))


def fetch_manifest_of_jobs(connection: Connection, job_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return cluster and object of the manifest of each of these jobs that has one."""
    statement = select(manifests.c.job_id, manifests.c.cluster_id, manifests.c.object)
    rows = connection.execute(statement.where(manifests.c.job_id.in_(list(job_ids))))
    return {row[0]: (row[1], row[2]) for row in rows}


def fetch_manifest_objects(connection: Connection, cluster_id: str) -> Iterator[tuple[str, str]]:
    """Fetch bucket and name of every manifest."""
    statement = select(manifests.c.bucket, manifests.c.object).where(manifests.c.cluster_id == cluster_id)
    for row in connection.execute(statement):
        yield row[0], row[1]
