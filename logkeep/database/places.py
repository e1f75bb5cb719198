"""Statements on places: the folders of buckets that hold, or held, objects of a cluster."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select

from logkeep.database.connection import of, upsert
from logkeep.database.tables import archive_deletions, clusters, deleted_places, places

_PLACES = select(places.c.bucket, places.c.folder).where(*of(places.c.cluster_id))


def insert_place(connection: Connection, cluster_id: str, bucket: str, folder: str, folded: str) -> None:
    """Insert a place unless it exists. `folded` is the folder as a store sees it that ignores case."""
    insert = upsert(connection.dialect)(places)
    connection.execute(
        insert.values(cluster_id=cluster_id, bucket=bucket, folder=folder, folded=folded).on_conflict_do_nothing()
    )


def fetch_places(connection: Connection, cluster_id: str) -> list[tuple[str, str]]:
    """Return bucket and folder of each place of a cluster."""
    return [(row.bucket, row.folder) for row in connection.execute(_PLACES, {"of_cluster_id": cluster_id})]


def count_clusters(connection: Connection, project_id: str = "") -> dict[str, int]:
    """Return how many clusters, of all projects or of one, have or had objects in each bucket, by its name."""
    statement = select(places.c.bucket, func.count(places.c.cluster_id.distinct())).group_by(places.c.bucket)
    if project_id:
        statement = statement.join_from(places, clusters).where(clusters.c.project_id == project_id)
    return {row[0]: row[1] for row in connection.execute(statement)}


def fetch_neighbours(connection: Connection, cluster_id: str, bucket: str, folded: str) -> list[tuple[str, str, str]]:
    """Return project id, name and folder of other clusters in, at or above a folder of a bucket ('' for all of it).

    Those of removed clusters, whose archives are being deleted, come behind the others.
    """
    found: list[tuple[str, str, str]] = []
    for table, owners, owner_id in (
        (places, clusters, clusters.c.id),
        (deleted_places, archive_deletions, archive_deletions.c.cluster_id),
    ):
        statement = (
            select(owners.c.project_id, owners.c.name, table.c.folder)
            .join_from(table, owners, table.c.cluster_id == owner_id)
            .where(table.c.bucket == bucket, table.c.cluster_id != cluster_id, _meets(table, folded))
            .order_by(table.c.folder, owners.c.name)
        )
        found += [(row.project_id, row.name, row.folder) for row in connection.execute(statement)]
    return found


def _meets(table: Table, folded: str) -> ColumnElement[bool]:
    if not folded:
        return table.c.folder != ""
    parts = folded.split("/")
    at_or_above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return or_(table.c.folded.in_(at_or_above), table.c.folded.startswith(f"{folded}/", autoescape=True))
