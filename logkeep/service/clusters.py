"""Registering, changing and reading clusters."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from logkeep.database import clusters, jobs
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster, Discovery, Node, is_cluster_id
from logkeep.domain.members import match_nodes
from logkeep.errors import BackupRunning, ClusterNotFound, InvalidField, NameTaken
from logkeep.service.context import Context
from logkeep.service.removal import write_removal
from logkeep.service.sources import check_source, find_tenant
from logkeep.sources.base import FoundNode

KINDS = ("elasticsearch", "opensearch", "logstash")
_LONGEST_CLUSTER, _LONGEST_NODE = 64, 128
_MOST_NODES = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class NewNode:
    """Node as a caller or discovery describes it, before it is registered."""

    name: str
    source: str  # URL of the log directory
    role: str = "ess"
    ip: str = ""
    instance: str = ""  # id that the cluster gave the node


def get_cluster(context: Context, project_id: str, cluster_id: str) -> Cluster:
    """Return a cluster. Raises `ClusterNotFound` if the project has none with this id."""
    with reading(context.database) as connection:
        cluster = clusters.fetch_cluster(connection, cluster_id)
    if cluster is None or cluster.project_id != project_id:
        raise ClusterNotFound()
    return cluster


def find_clusters(context: Context, name_or_id: str = "") -> list[Cluster]:
    """Return clusters of every project, for administrators; with a name or an id, only those that have it."""
    with reading(context.database) as connection:
        if is_cluster_id(name_or_id):
            found = clusters.fetch_cluster(connection, name_or_id.lower())
            return [found] if found else []
        return clusters.fetch_clusters(connection, name_or_id)


def list_clusters(
    context: Context, project_id: str, *, offset: int = 1, limit: int = 10, kind: str = "", name: str = ""
) -> tuple[list[Cluster], int]:
    """Return one page, newest first, and the number of all of that kind and name; `offset` counts from 1."""
    with reading(context.database) as connection:
        return clusters.fetch_cluster_page(connection, project_id, offset=offset - 1, limit=limit, kind=kind, name=name)


def add_cluster(
    context: Context,
    project_id: str,
    name: str,
    nodes: Sequence[NewNode],
    *,
    kind: str = "opensearch",
    version: str = "",
    endpoint: str = "",
    discovery: Discovery | None = None,
    password: str = "",
) -> Cluster:
    """Register a cluster with its nodes. With a `discovery`, each job asks the cluster's own API for the nodes.

    Raises `NameTaken`, `InvalidField`.
    """
    check_cluster_name(name)
    if kind not in KINDS:
        raise InvalidField("kind", f"is one of {', '.join(KINDS)}")
    nodes = checked_nodes(context, project_id, nodes)
    now = context.clock.now_ms()
    cluster = Cluster(
        id=str(uuid4()),
        project_id=project_id,
        name=name,
        kind=kind,
        version=version[:_LONGEST_CLUSTER],
        endpoint=endpoint[:1024],
        created_at=now,
        updated_at=now,
        nodes=tuple(make_node(one) for one in nodes),
        discovery=discovery,
    )
    with writing(context.database) as connection:
        insert_cluster(context, connection, cluster, password)
    return cluster


def insert_cluster(context: Context, connection: Connection, cluster: Cluster, password: str = "") -> None:
    """Insert a cluster. Raises `NameTaken`."""
    try:
        clusters.insert_cluster(connection, cluster)
    except IntegrityError as error:
        raise NameTaken(f"there is a cluster named {cluster.name}; choose another name or remove that one") from error
    if cluster.discovery and password:
        clusters.save_discovery(connection, cluster.id, cluster.discovery, context.seal(password))


def discover_cluster(
    context: Context, project_id: str, name: str, url: str, source: str, *, user: str = "", password: str = ""
) -> Cluster:
    """Register a cluster from its own API; `source` is a pattern such as `file://{path.logs}`.

    Raises `InvalidField` if the URL does not answer as a search cluster, `NameTaken`.
    """
    discovery = make_discovery(url, source, user)
    found = context.describe_cluster(url, user, password)
    return add_cluster(
        context,
        project_id,
        name,
        [_new_node(node, source) for node in found.nodes],
        kind=found.kind,
        version=found.version,
        endpoint=found.endpoint,
        discovery=discovery,
        password=password,
    )


def check_new_nodes(context: Context, project_id: str, name: str, nodes: Sequence[NewNode]) -> list[NewNode]:
    """Return the nodes as `add_cluster` would register them. Raises `InvalidField`."""
    _check_name("name", name, _LONGEST_CLUSTER)
    return checked_nodes(context, project_id, nodes)


def find_new_nodes(
    context: Context, project_id: str, name: str, url: str, source: str, *, user: str = "", password: str = ""
) -> list[NewNode]:
    """Return the nodes as `discover_cluster` would register them. Raises `InvalidField`."""
    make_discovery(url, source, user)
    found = context.describe_cluster(url, user, password)
    return check_new_nodes(context, project_id, name, [_new_node(node, source) for node in found.nodes])


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """Change of a cluster; None leaves a value as it is."""

    nodes: Sequence[NewNode] = ()  # to be added or changed; from now on registered by hand
    remove_nodes: Sequence[str] = ()  # names
    url: str | None = None  # '' turns discovery off
    source: str | None = None
    user: str | None = None
    password: str | None = None


def update_cluster(context: Context, cluster: Cluster, change: ClusterChange) -> Cluster:
    """Change nodes, sources and discovery. The archive of removed nodes stays.

    A changed URL or source pattern is used to ask the cluster now. Raises `InvalidField`.
    """
    discovery, password = _changed_discovery(context, cluster, change)
    nodes = {node.name: node for node in cluster.nodes}
    for name in change.remove_nodes:
        if nodes.pop(name, None) is None:
            raise InvalidField("remove_nodes", f"the cluster has no node {name[:100]!r}")
    for node in checked_nodes(context, cluster.project_id, change.nodes) if change.nodes else ():
        old = nodes.get(node.name)
        nodes[node.name] = replace(make_node(node, old), instance="")
    members = tuple(nodes.values())
    if discovery and (change.url is not None or change.source is not None):
        found = context.describe_cluster(discovery.url, discovery.user, password)
        fresh = checked_nodes(context, cluster.project_id, [_new_node(one, discovery.source) for one in found.nodes])
        members = match_nodes(members, [make_node(one) for one in fresh], context.clock.now_ms()).nodes
    check_apart(members)
    if not 1 <= len(members) <= _MOST_NODES:
        raise InvalidField("nodes", f"a cluster has 1 to {_MOST_NODES} nodes; {len(members)} would be left")
    with writing(context.database) as connection:
        clusters.save_nodes(connection, cluster.id, members)
        if discovery != cluster.discovery or change.password is not None:
            clusters.save_discovery(connection, cluster.id, discovery, context.seal(password) if password else None)
        clusters.touch_cluster(connection, cluster.id, context.clock.now_ms())
    return get_cluster(context, cluster.project_id, cluster.id)


def _changed_discovery(context: Context, cluster: Cluster, change: ClusterChange) -> tuple[Discovery | None, str]:
    """Return the discovery from now on, and its password."""
    before = cluster.discovery
    url = change.url if change.url is not None else (before.url if before else "")
    if not url:
        if any(one is not None for one in (change.source, change.user, change.password)):
            raise InvalidField("url", "source, user and password are those of a url; give it too")
        return None, ""
    source = change.source or (before.source if before else "file://{path.logs}")
    user = change.user if change.user is not None else (before.user if before else "")
    with reading(context.database) as connection:
        sealed = clusters.fetch_sealed_password(connection, cluster.id)
    kept = context.unseal(sealed) if sealed and change.url is None else ""
    # A stored password is never sent to another URL.
    return make_discovery(url, source, user), change.password if change.password is not None else kept


def make_discovery(url: str, source: str, user: str) -> Discovery:
    """Return a discovery with these values. Raises `InvalidField` for a malformed one."""
    try:
        parts = urlsplit(url)
        secret = parts.username is not None or parts.password is not None
    except ValueError as error:
        raise InvalidField("url", "write it as http://host:9200; a log directory is the source of a node") from error
    if secret:
        raise InvalidField("url", "no user and no password may stand in it; give them as user and password")
    for field, value, most in (("url", url, 1024), ("user", user, 255), ("source", source, 4096)):
        if len(value) > most or _CONTROL.search(value):
            raise InvalidField(field, f"at most {most} characters are allowed, and none that controls")
    return Discovery(url, source, user)


def instance_of(found: FoundNode) -> str:
    """Return the node's id within its cluster, or its name if the cluster gives it no id."""
    return (found.instance or found.name)[:64]


def make_node(new: NewNode, old: Node | None = None) -> Node:
    return Node(
        id=old.id if old else str(uuid4()),
        name=new.name,
        source=new.source,
        role=new.role,
        ip=new.ip,
        instance=new.instance,
    )


def _new_node(found: FoundNode, pattern: str) -> NewNode:
    return NewNode(
        name=found.name, source=found.source_url(pattern), role=found.role, ip=found.ip, instance=instance_of(found)
    )


def remove_cluster(context: Context, cluster: Cluster) -> str:
    """Delete a cluster and its records. Its archive stays in the bucket, with an entry that the cluster was removed.

    Returns why that entry could not be written, '' on success. Raises `BackupRunning`.
    """
    with reading(context.database) as connection:
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
    problem = write_removal(context, cluster)  # if the removal fails after this, the next manifest cancels it
    with writing(context.database) as connection:
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
        clusters.delete_cluster(connection, cluster.id)
    return problem


def checked_nodes(context: Context, project_id: str, nodes: Sequence[NewNode]) -> list[NewNode]:
    """Return the nodes with their source URLs as they are stored. Raises `InvalidField`."""
    if not 1 <= len(nodes) <= _MOST_NODES:
        raise InvalidField("nodes", f"1 to {_MOST_NODES} nodes are allowed, each with a name and a source")
    names = [node.name for node in nodes]
    if len(set(names)) < len(names):
        raise InvalidField("nodes", "each node needs a name of its own")
    for node in nodes:
        check_node_name(node.name)
    tenant = find_tenant(context, project_id)
    checked = [replace(node, source=check_source(context, tenant, node.source)) for node in nodes]
    check_apart(checked)
    return checked


def check_apart(nodes: Sequence[Node | NewNode]) -> None:
    """Raise `InvalidField` if two nodes have the same directory, as far as their URLs show."""
    seen: dict[tuple[object, ...], str] = {}
    for node in nodes:
        other = seen.setdefault(_directory(node.source), node.name)
        if other != node.name:
            raise InvalidField(
                "nodes.source",
                f"{other} and {node.name} have the same directory, so all of it would be kept twice; give each its own",
            )


def _directory(source: str) -> tuple[object, ...]:
    """Return what a source URL points to, without the user that reads it."""
    parts = urlsplit(source)
    path = posixpath.normpath(f"/{unquote(parts.path).lstrip('/')}")
    if parts.scheme == "sftp":
        return parts.scheme, parts.hostname, parts.port or 22, path
    return (parts.scheme, path) if parts.scheme == "file" else (source,)


def check_node_name(name: str) -> None:
    """Raise `InvalidField` for a name that no node may have."""
    _check_name("nodes.name", name, _LONGEST_NODE)


def check_cluster_name(name: str) -> None:
    """Raise `InvalidField` for a name that no cluster may have."""
    _check_name("name", name, _LONGEST_CLUSTER)
    if is_cluster_id(name):
        raise InvalidField("name", "has the form of a cluster's id, and could be taken for one; choose another name")


def _check_name(field: str, name: str, longest: int) -> None:
    if not 1 <= len(name) <= longest:
        raise InvalidField(field, f"1 to {longest} characters are allowed")
    if any(not character.isprintable() or character in "/\\" for character in name) or name.startswith("."):
        raise InvalidField(field, "must not contain '/', '\\' or control characters, nor begin with '.'")
