"""Statements on clusters and their nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, select, update

from logkeep.database.archive_deletions import give_up_deletion
from logkeep.database.bodies import decode_bodies, encode_bodies
from logkeep.database.connection import of, upsert
from logkeep.database.records import read_row, values
from logkeep.database.tables import clusters, findings, nodes
from logkeep.domain.cluster import Cluster, Discovery, Node
from logkeep.domain.manifest import PendingFile

# Without what the last listing left, which may be megabytes.
_NODE_COLUMNS = tuple(column for column in nodes.c if column.name not in {"listing_digest", "unread"})

_OF_NODE = of(nodes.c.cluster_id, nodes.c.name)
_LISTING = select(nodes.c.listing_digest, nodes.c.unread).where(*_OF_NODE)
_SAVE_LISTING = update(nodes).where(*_OF_NODE)
_CLUSTER = select(clusters).where(*of(clusters.c.id))
_NODES = select(*_NODE_COLUMNS).where(nodes.c.cluster_id.in_(bindparam("ids", expanding=True))).order_by(nodes.c.name)


def insert_cluster(connection: Connection, cluster: Cluster) -> None:
    """Insert a cluster. Raises `IntegrityError` if the project has one of this name.

    A deletion of its archive that is not finished is given up: it would go on as soon as the cluster was removed again.
    """
    give_up_deletion(connection, cluster.id, cluster.updated_at, "the cluster was registered again, so the rest stays")
    connection.execute(clusters.insert().values(**values(clusters, cluster), **_asked(cluster.discovery)))
    save_nodes(connection, cluster.id, cluster.nodes)


def save_discovery(
    connection: Connection, cluster_id: str, discovery: Discovery | None, sealed_password: bytes | None
) -> None:
    """Save how the cluster is asked for its nodes."""
    values = {**_asked(discovery), "sealed_password": sealed_password}
    connection.execute(update(clusters).where(clusters.c.id == cluster_id).values(**values))


def fetch_sealed_password(connection: Connection, cluster_id: str) -> bytes | None:
    """Return the sealed password of the user for the cluster's own API."""
    return connection.execute(select(clusters.c.sealed_password).where(clusters.c.id == cluster_id)).scalar()


def touch_cluster(connection: Connection, cluster_id: str, updated_at: int) -> None:
    connection.execute(update(clusters).where(clusters.c.id == cluster_id).values(updated_at=updated_at))


def save_endpoint(connection: Connection, cluster_id: str, endpoint: str) -> None:
    connection.execute(update(clusters).where(clusters.c.id == cluster_id).values(endpoint=endpoint))


def save_nodes(connection: Connection, cluster_id: str, members: Sequence[Node]) -> None:
    """Replace the nodes of the cluster; a node that stays keeps its listing digest and its unread files."""
    left_out = (nodes.c.cluster_id == cluster_id, nodes.c.name.not_in([node.name for node in members]))
    connection.execute(nodes.delete().where(*left_out))
    rows = [{"cluster_id": cluster_id, **values(nodes, node)} for node in members]
    if rows:
        insert = upsert(connection.dialect)(nodes)
        changes = {name: insert.excluded[name] for name in rows[0].keys() - {"cluster_id", "name"}}
        connection.execute(insert.on_conflict_do_update(index_elements=["cluster_id", "name"], set_=changes), rows)


def fetch_listing(connection: Connection, cluster_id: str, node: str) -> tuple[str, list[PendingFile]]:
    """Return the digest of a node's last listing, '' where something was left, and the files it left unread."""
    row = connection.execute(_LISTING, {"of_cluster_id": cluster_id, "of_name": node}).first()
    if row is None:
        return "", []
    return row.listing_digest or "", decode_bodies(row.unread, PendingFile) if row.unread else []


def save_listing(
    connection: Connection,
    cluster_id: str,
    node: str,
    *,
    digest: str | None = None,
    unread: Sequence[PendingFile] | None = None,
) -> None:
    """Save the digest of a node's last listing and the files it left unread; None leaves what is there."""
    changes: dict[str, Any] = {} if digest is None else {"listing_digest": digest}
    if unread is not None:
        changes["unread"] = encode_bodies(unread) if unread else None
    if changes:
        connection.execute(_SAVE_LISTING, {"of_cluster_id": cluster_id, "of_name": node, **changes})


def fetch_cluster(connection: Connection, cluster_id: str) -> Cluster | None:
    row = connection.execute(_CLUSTER, {"of_id": cluster_id}).first()
    return _with_nodes(connection, [row])[0] if row else None


def fetch_clusters(connection: Connection, name: str = "") -> list[Cluster]:
    """Return the clusters of all projects; with `name` only those of that name."""
    statement = select(clusters).order_by(clusters.c.created_at, clusters.c.id)
    if name:
        statement = statement.where(clusters.c.name == name)
    return _with_nodes(connection, connection.execute(statement).all())


def fetch_cluster_page(
    connection: Connection, project_id: str, *, offset: int, limit: int, kind: str = "", name: str = ""
) -> tuple[list[Cluster], int]:
    """Return a page of clusters, newest first, and the number of all; `offset` counts from 0."""
    wanted: list[ColumnElement[bool]] = [clusters.c.project_id == project_id]
    if kind:
        wanted.append(clusters.c.kind == kind)
    if name:
        wanted.append(clusters.c.name == name)
    total = connection.execute(select(func.count()).select_from(clusters).where(*wanted)).scalar_one()
    page = select(clusters).where(*wanted).order_by(clusters.c.created_at.desc(), clusters.c.id)
    rows = connection.execute(page.limit(limit).offset(offset)).all()
    return _with_nodes(connection, rows), total


def fetch_names(connection: Connection, project_id: str, cluster_ids: Collection[str]) -> dict[str, str]:
    """Return the names of clusters of a project by their ids, of those that there are."""
    wanted = clusters.c.project_id == project_id, clusters.c.id.in_(cluster_ids)
    return {row.id: row.name for row in connection.execute(select(clusters.c.id, clusters.c.name).where(*wanted))}


def count_clusters(connection: Connection) -> int:
    """Count the clusters of all projects."""
    return connection.execute(select(func.count()).select_from(clusters)).scalar_one()


def delete_cluster(connection: Connection, cluster_id: str) -> None:
    """Delete a cluster with its settings, jobs and archive rows."""
    connection.execute(findings.delete().where(findings.c.cluster_id == cluster_id))
    connection.execute(clusters.delete().where(clusters.c.id == cluster_id))


def _with_nodes(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Cluster]:
    by_cluster: dict[str, list[Node]] = defaultdict(list)
    for node in connection.execute(_NODES, {"ids": [row.id for row in rows]}):
        by_cluster[node.cluster_id].append(read_row(Node, node))
    return [
        replace(
            read_row(Cluster, row),
            nodes=tuple(by_cluster[row.id]),
            discovery=Discovery(row.url, row.source, row.url_user) if row.url else None,
        )
        for row in rows
    ]


def _asked(discovery: Discovery | None) -> dict[str, str]:
    if discovery is None:
        return {"url": "", "url_user": "", "source": ""}
    return {"url": discovery.url, "url_user": discovery.user, "source": discovery.source}
