"""Statements on buckets that were named at run time."""

from __future__ import annotations

from sqlalchemy import Connection, select

from logkeep.database.tables import buckets, clusters, named_buckets, places


def insert_bucket(connection: Connection, name: str, sealed: bytes, created_at: int) -> None:
    """Insert a bucket. Raises `IntegrityError` if there is one of this name."""
    connection.execute(named_buckets.insert().values(name=name, sealed=sealed, created_at=created_at))


def fetch_buckets(connection: Connection) -> dict[str, bytes]:
    """Return what is sealed of each bucket, by name."""
    statement = select(named_buckets.c.name, named_buckets.c.sealed).order_by(named_buckets.c.name)
    return {row.name: row.sealed for row in connection.execute(statement)}


def delete_bucket(connection: Connection, name: str) -> bool:
    """Delete a bucket with what is remembered of it, and return whether there was one."""
    removed = bool(connection.execute(named_buckets.delete().where(named_buckets.c.name == name)).rowcount)
    if removed:
        connection.execute(buckets.delete().where(buckets.c.name == name))
    return removed


def fetch_users(connection: Connection, name: str, most: int) -> list[str]:
    """Return the names of clusters that have or had objects in a bucket, at most so many."""
    statement = (
        select(clusters.c.name)
        .join_from(places, clusters, places.c.cluster_id == clusters.c.id)
        .where(places.c.bucket == name)
        .distinct()
        .order_by(clusters.c.name)
        .limit(most)
    )
    return list(connection.execute(statement).scalars())
