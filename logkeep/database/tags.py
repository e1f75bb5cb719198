"""Statements on the tags of clusters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from logkeep.database.connection import upsert
from logkeep.database.tables import cluster_tags, clusters
from logkeep.domain.cluster import Tag


def fetch_tags(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, list[Tag]]:
    """Return the tags of each of the clusters, by key."""
    statement = select(cluster_tags).where(cluster_tags.c.cluster_id.in_(cluster_ids)).order_by(cluster_tags.c.key)
    found: dict[str, list[Tag]] = {one: [] for one in cluster_ids}
    for row in connection.execute(statement):
        found[row.cluster_id].append(Tag(row.key, row.value))
    return found


def fetch_values(connection: Connection, project_id: str, most: int) -> list[Tag]:
    """Return each key of the project's clusters with each value that it has, at most so many, in their order."""
    statement = (
        select(cluster_tags.c.key, cluster_tags.c.value)
        .join(clusters, clusters.c.id == cluster_tags.c.cluster_id)
        .where(clusters.c.project_id == project_id)
        .distinct()
        .order_by(cluster_tags.c.key, cluster_tags.c.value)
        .limit(most)
    )
    return [Tag(row.key, row.value) for row in connection.execute(statement)]


def save_tags(connection: Connection, cluster_id: str, tags: Iterable[Tag]) -> None:
    """Save tags; one of the same key gets another value."""
    insert = upsert(connection.dialect)(cluster_tags)
    statement = insert.on_conflict_do_update(
        index_elements=["cluster_id", "key"], set_={"value": insert.excluded["value"]}
    )
    connection.execute(statement, [{"cluster_id": cluster_id, "key": tag.key, "value": tag.value} for tag in tags])


def delete_tags(connection: Connection, cluster_id: str, keys: Sequence[str]) -> int:
    """Delete the tags of these keys, and return how many there were."""
    of_cluster = (cluster_tags.c.cluster_id == cluster_id, cluster_tags.c.key.in_(keys))
    return connection.execute(cluster_tags.delete().where(*of_cluster)).rowcount
