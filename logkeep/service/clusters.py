"""Registering and reading clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from sqlalchemy.exc import IntegrityError

from logkeep.database import clusters, jobs
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster, Node, is_cluster_id
from logkeep.errors import BackupRunning, ClusterNotFound, InvalidField, NameTaken
from logkeep.service.context import Context
from logkeep.service.sources import check_source, find_tenant

KINDS = ("elasticsearch", "opensearch", "logstash")
_LONGEST_CLUSTER, _LONGEST_NODE = 64, 128
_MOST_NODES = 1000


@dataclass(frozen=True, slots=True)
class NewNode:
    name: str
    source: str  # URL of the log directory
    role: str = "ess"
    ip: str = ""


def get_cluster(context: Context, project_id: str, cluster_id: str) -> Cluster:
    """Raises `ClusterNotFound` where there is none of this id in the project."""
    with reading(context.database) as connection:
        cluster = clusters.fetch_cluster(connection, cluster_id)
    if cluster is None or cluster.project_id != project_id:
        raise ClusterNotFound()
    return cluster


def find_clusters(context: Context, name_or_id: str = "") -> list[Cluster]:
    """Those of every project, for who administers the installation; with a name or an id those that have it."""
    with reading(context.database) as connection:
        if is_cluster_id(name_or_id):
            found = clusters.fetch_cluster(connection, name_or_id.lower())
            return [found] if found else []
        return clusters.fetch_clusters(connection, name_or_id)


def list_clusters(
    context: Context, project_id: str, *, offset: int = 1, limit: int = 10, kind: str = "", name: str = ""
) -> tuple[list[Cluster], int]:
    """One page, newest first, and the number of all of that kind (and name); `offset` counts from 1."""
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
) -> Cluster:
    """Register a cluster by hand. Raises `NameTaken`, `InvalidField`."""
    _check_name("name", name, _LONGEST_CLUSTER)
    if is_cluster_id(name):
        raise InvalidField("name", "has the form of a cluster's id, and could be taken for one; choose another name")
    if kind not in KINDS:
        raise InvalidField("kind", f"is one of {', '.join(KINDS)}")
    nodes = _checked_nodes(context, project_id, nodes)
    now = context.clock.now_ms()
    cluster = Cluster(
        str(uuid4()),
        project_id,
        name,
        kind,
        version[:_LONGEST_CLUSTER],
        endpoint[:1024],
        now,
        now,
        tuple(Node(str(uuid4()), node.name, node.source, node.role, node.ip) for node in nodes),
    )
    try:
        with writing(context.database) as connection:
            clusters.insert_cluster(connection, cluster)
    except IntegrityError as error:
        raise NameTaken(f"there is a cluster named {name}; choose another name or remove that one") from error
    return cluster


def discover_cluster(
    context: Context, project_id: str, name: str, url: str, source: str, *, user: str = "", password: str = ""
) -> Cluster:
    """Register a cluster from its own API; `source` is a pattern such as `file://{path.logs}`.

    Raises `InvalidField` where the URL does not answer as a search cluster, `NameTaken`.
    """
    found = context.describe_cluster(url, user, password)
    nodes = [NewNode(node.name, node.source_url(source), node.role, node.ip) for node in found.nodes]
    return add_cluster(
        context, project_id, name, nodes, kind=found.kind, version=found.version, endpoint=found.endpoint
    )


def remove_cluster(context: Context, cluster: Cluster) -> None:
    """Forget a cluster and its records; what lies in the bucket stays. Raises `BackupRunning`."""
    with writing(context.database) as connection:
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
        clusters.delete_cluster(connection, cluster.id)


def _checked_nodes(context: Context, project_id: str, nodes: Sequence[NewNode]) -> list[NewNode]:
    """The nodes with the sources that are kept of them. Raises `InvalidField`."""
    if not 1 <= len(nodes) <= _MOST_NODES:
        raise InvalidField("nodes", f"1 to {_MOST_NODES} nodes are allowed, each with a name and a source")
    names = [node.name for node in nodes]
    if len(set(names)) < len(names):
        raise InvalidField("nodes", "each node needs a name of its own")
    for node in nodes:
        _check_name("nodes.name", node.name, _LONGEST_NODE)
    tenant = find_tenant(context, project_id)
    return [replace(node, source=check_source(context, tenant, node.source)) for node in nodes]


def _check_name(field: str, name: str, longest: int) -> None:
    if not 1 <= len(name) <= longest:
        raise InvalidField(field, f"1 to {longest} characters are allowed")
    if any(not character.isprintable() or character in "/\\" for character in name) or name.startswith("."):
        raise InvalidField(field, "must not contain '/', '\\' or control characters, nor begin with '.'")
