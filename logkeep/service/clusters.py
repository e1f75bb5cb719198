"""Registering, changing and reading clusters."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from logkeep.database import clusters, jobs
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import (
    KINDS,
    MAX_CLUSTER_NAME,
    MAX_ENDPOINT,
    MAX_NODE_NAME,
    MAX_NODES,
    ChangedNode,
    Cluster,
    ClusterChange,
    Discovery,
    NewNode,
    Node,
    is_cluster_id,
)
from logkeep.domain.members import match_nodes
from logkeep.errors import BackupRunning, ClusterNotFound, InvalidField, NameTaken
from logkeep.service.removal import write_removal
from logkeep.service.runtime import Runtime
from logkeep.service.sources import check_source, find_tenant
from logkeep.sources.base import FoundNode

# host:port, several joined by commas, as CSS shows it of a cluster with several nodes
_REACHED = r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}"
_ENDPOINT = re.compile(rf"{_REACHED}(,{_REACHED})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def get_cluster(runtime: Runtime, project_id: str, cluster_id: str) -> Cluster:
    """Return a cluster. Raises `ClusterNotFound` if the project has none with this id."""
    with reading(runtime.database) as connection:
        cluster = clusters.fetch_cluster(connection, cluster_id)
    if cluster is None or cluster.project_id != project_id:
        raise ClusterNotFound()
    return cluster


def find_clusters(runtime: Runtime, name_or_id: str = "") -> list[Cluster]:
    """Return clusters of every project, for administrators; with a name or an id, only those that have it."""
    with reading(runtime.database) as connection:
        if is_cluster_id(name_or_id):
            found = clusters.fetch_cluster(connection, name_or_id.lower())
            return [found] if found else []
        return clusters.fetch_clusters(connection, name_or_id)


def list_clusters(
    runtime: Runtime, project_id: str, *, offset: int = 0, limit: int = 10, kind: str = "", name: str = ""
) -> tuple[list[Cluster], int]:
    """Return one page, newest first, and the number of all of that kind and name; `offset` counts from 0."""
    with reading(runtime.database) as connection:
        return clusters.fetch_cluster_page(connection, project_id, offset=offset, limit=limit, kind=kind, name=name)


def add_cluster(
    runtime: Runtime,
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
    check_endpoint(endpoint)
    if kind not in KINDS:
        raise InvalidField("kind", f"is one of {', '.join(KINDS)}")
    nodes = checked_nodes(runtime, project_id, nodes)
    now = runtime.clock.now_ms()
    cluster = Cluster(
        id=str(uuid4()),
        project_id=project_id,
        name=name,
        kind=kind,
        version=version[:MAX_CLUSTER_NAME],
        endpoint=endpoint,
        created_at=now,
        updated_at=now,
        nodes=tuple(make_node(one, kind) for one in nodes),
        discovery=discovery,
    )
    with writing(runtime.database) as connection:
        insert_cluster(runtime, connection, cluster, password)
    return cluster


def insert_cluster(runtime: Runtime, connection: Connection, cluster: Cluster, password: str = "") -> None:
    """Insert a cluster. Raises `NameTaken`."""
    try:
        clusters.insert_cluster(connection, cluster)
    except IntegrityError as error:
        raise NameTaken(f"there is a cluster named {cluster.name}; choose another name or remove that one") from error
    if cluster.discovery and password:
        clusters.save_discovery(connection, cluster.id, cluster.discovery, runtime.seal.encrypt(password))


def discover_cluster(
    runtime: Runtime,
    project_id: str,
    name: str,
    url: str,
    source: str,
    *,
    user: str = "",
    password: str = "",
    endpoint: str = "",
) -> Cluster:
    """Register a cluster from its own API; `source` is a pattern such as `file://{path.logs}`.

    Clients reach it where its API is, unless an `endpoint` says otherwise.

    Raises `InvalidField` if the URL does not answer as a search cluster, `NameTaken`.
    """
    discovery = make_discovery(url, source, user)
    found = runtime.describe_cluster(url, user, password)
    return add_cluster(
        runtime,
        project_id,
        name,
        [_new_node(node, source) for node in found.nodes],
        kind=found.kind,
        version=found.version,
        endpoint=endpoint or found.endpoint,
        discovery=discovery,
        password=password,
    )


def check_new_nodes(runtime: Runtime, project_id: str, name: str, nodes: Sequence[NewNode]) -> list[NewNode]:
    """Return the nodes as `add_cluster` would register them. Raises `InvalidField`."""
    _check_name("name", name, MAX_CLUSTER_NAME)
    return checked_nodes(runtime, project_id, nodes)


def find_new_nodes(
    runtime: Runtime, project_id: str, name: str, url: str, source: str, *, user: str = "", password: str = ""
) -> list[NewNode]:
    """Return the nodes as `discover_cluster` would register them. Raises `InvalidField`."""
    make_discovery(url, source, user)
    found = runtime.describe_cluster(url, user, password)
    return check_new_nodes(runtime, project_id, name, [_new_node(node, source) for node in found.nodes])


def update_cluster(runtime: Runtime, cluster: Cluster, change: ClusterChange) -> Cluster:
    """Change nodes, sources, endpoint and discovery. The archive of removed nodes stays.

    A changed URL or source pattern is used to ask the cluster now. Raises `InvalidField`.
    """
    check_endpoint(change.endpoint or "")
    endpoint = change.endpoint
    discovery, password = _changed_discovery(runtime, cluster, change)
    nodes = {node.name: node for node in cluster.nodes}
    for name in change.remove_nodes:
        if nodes.pop(name, None) is None:
            raise InvalidField("remove_nodes", f"the cluster has no node {name[:100]!r}")
    nodes |= {node.name: node for node in _changed_nodes(runtime, cluster, change.nodes, nodes)}
    members = tuple(nodes.values())
    if discovery and (change.url is not None or change.source is not None):
        found = runtime.describe_cluster(discovery.url, discovery.user, password)
        endpoint = found.endpoint if endpoint is None and change.url else endpoint
        fresh = checked_nodes(runtime, cluster.project_id, [_new_node(one, discovery.source) for one in found.nodes])
        members = match_nodes(members, [make_node(one, cluster.kind) for one in fresh], runtime.clock.now_ms()).nodes
    check_apart(members)
    if not 1 <= len(members) <= MAX_NODES:
        raise InvalidField("nodes", f"a cluster has 1 to {MAX_NODES} nodes; {len(members)} would be left")
    with writing(runtime.database) as connection:
        clusters.save_nodes(connection, cluster.id, members)
        if discovery != cluster.discovery or change.password is not None:
            clusters.save_discovery(
                connection, cluster.id, discovery, runtime.seal.encrypt(password) if password else None
            )
        if endpoint is not None:
            clusters.save_endpoint(connection, cluster.id, endpoint)
        clusters.touch_cluster(connection, cluster.id, runtime.clock.now_ms())
    return get_cluster(runtime, cluster.project_id, cluster.id)


def _changed_nodes(
    runtime: Runtime, cluster: Cluster, changes: Sequence[ChangedNode], known: Mapping[str, Node]
) -> list[Node]:
    """Return the nodes as they are to be. Raises `InvalidField`."""
    if not changes:
        return []
    wanted: list[NewNode] = []
    for change in changes:
        old = known.get(change.name)
        source, ip = change.source or (old.source if old else ""), change.ip
        if not source:
            raise InvalidField("nodes.source", f"is missing; {change.name[:100]!r} is a new node")
        if old and old.instance and not change.source and ip is not None:
            raise InvalidField("nodes.ip", f"the cluster's own API tells the address of {change.name}")
        ip = ip if ip is not None else (old.ip if old else "")
        wanted.append(NewNode(change.name, source, role=old.role if old else None, ip=ip))
    return [
        make_node(node, cluster.kind, known.get(node.name))
        for node in checked_nodes(runtime, cluster.project_id, wanted)
    ]


def _changed_discovery(runtime: Runtime, cluster: Cluster, change: ClusterChange) -> tuple[Discovery | None, str]:
    """Return the discovery from now on, and its password."""
    before = cluster.discovery
    url = change.url if change.url is not None else (before.url if before else "")
    if not url:
        if any(one is not None for one in (change.source, change.user, change.password)):
            raise InvalidField("url", "source, user and password are those of a url; give it too")
        return None, ""
    source = change.source or (before.source if before else "file://{path.logs}")
    user = change.user if change.user is not None else (before.user if before else "")
    with reading(runtime.database) as connection:
        sealed = clusters.fetch_sealed_password(connection, cluster.id)
    kept = runtime.seal.decrypt(sealed) if sealed and change.url is None else ""
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


def make_node(new: NewNode, kind: str, old: Node | None = None) -> Node:
    """Make a node of a cluster of this kind; a changed one keeps its id."""
    return Node(
        id=old.id if old else str(uuid4()),
        name=new.name,
        source=new.source,
        role=new.role or ("lgs" if kind == "logstash" else "ess"),
        ip=new.ip,
        instance=new.instance,
    )


def _new_node(found: FoundNode, pattern: str) -> NewNode:
    return NewNode(
        name=found.name, source=found.source_url(pattern), role=found.role, ip=found.ip, instance=instance_of(found)
    )


def remove_cluster(runtime: Runtime, cluster: Cluster) -> str | None:
    """Delete a cluster and its records. Its archive stays in the bucket, with an entry that the cluster was removed.

    Returns why that entry could not be written, None on success. Raises `BackupRunning`.
    """
    with reading(runtime.database) as connection:
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
    problem = write_removal(runtime, cluster)  # if the removal fails after this, the next manifest cancels it
    with writing(runtime.database) as connection:
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
        clusters.delete_cluster(connection, cluster.id)
    return problem


def checked_nodes(runtime: Runtime, project_id: str, nodes: Sequence[NewNode]) -> list[NewNode]:
    """Return the nodes with their source URLs as they are stored. Raises `InvalidField`."""
    if not 1 <= len(nodes) <= MAX_NODES:
        raise InvalidField("nodes", f"1 to {MAX_NODES} nodes are allowed, each with a name and a source")
    names = [node.name for node in nodes]
    if len(set(names)) < len(names):
        again = next(index for index, name in enumerate(names) if name in names[:index])
        raise InvalidField("nodes", "each node needs a name of its own", again)
    for index, node in enumerate(nodes):
        with _of_item(index):
            check_node_name(node.name)
            _check_address(node.ip)
    tenant = find_tenant(runtime, project_id)
    checked: list[NewNode] = []
    for index, node in enumerate(nodes):
        with _of_item(index):
            checked.append(replace(node, source=check_source(runtime, tenant, node.source)))
    check_apart(checked)
    return checked


@contextmanager
def _of_item(index: int) -> Generator[None]:
    """Tell with an `InvalidField` which item of the list is meant."""
    try:
        yield
    except InvalidField as error:
        error.index = index
        raise


def check_apart(nodes: Sequence[Node | NewNode]) -> None:
    """Raise `InvalidField` if two nodes have the same directory, as far as their URLs show."""
    seen: dict[tuple[object, ...], str] = {}
    for index, node in enumerate(nodes):
        other = seen.setdefault(_directory(node.source), node.name)
        if other != node.name:
            raise InvalidField(
                "nodes.source",
                f"{other} and {node.name} have the same directory, so all of it would be kept twice; give each its own",
                index,
            )


def _directory(source: str) -> tuple[object, ...]:
    """Return what a source URL points to, without the user that reads it."""
    parts = urlsplit(source)
    path = posixpath.normpath(f"/{unquote(parts.path).lstrip('/')}")
    if parts.scheme == "sftp":
        return parts.scheme, parts.hostname, parts.port or 22, path
    return (parts.scheme, path) if parts.scheme == "file" else (source,)


def check_endpoint(endpoint: str) -> None:
    """Raise `InvalidField` for what no client could reach; '' is unknown."""
    if endpoint and (len(endpoint) > MAX_ENDPOINT or not _ENDPOINT.fullmatch(endpoint)):
        raise InvalidField("endpoint", "write it as HOST:PORT, such as 10.0.0.5:9200, several joined by commas")


def _check_address(ip: str) -> None:
    try:
        if ip:
            ip_address(ip)
    except ValueError:
        raise InvalidField("nodes.ip", "write an address such as 10.0.0.5 or 2001:db8::5") from None


def check_node_name(name: str) -> None:
    """Raise `InvalidField` for a name that no node may have."""
    _check_name("nodes.name", name, MAX_NODE_NAME)


def check_cluster_name(name: str) -> None:
    """Raise `InvalidField` for a name that no cluster may have."""
    _check_name("name", name, MAX_CLUSTER_NAME)
    if is_cluster_id(name):
        raise InvalidField("name", "has the form of a cluster's id, and could be taken for one; choose another name")


def _check_name(field: str, name: str, longest: int) -> None:
    if not 1 <= len(name) <= longest:
        raise InvalidField(field, f"1 to {longest} characters are allowed")
    if any(not character.isprintable() or character in "/\\" for character in name) or name.startswith("."):
        raise InvalidField(field, "must not contain '/', '\\' or control characters, nor begin with '.'")
