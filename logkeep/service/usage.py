"""What a cluster's own API tells of its disks and snapshots, asked when a user asks."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from logkeep.database import clusters
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.errors import InvalidField, NoClusterApi, SourceUnreachable
from logkeep.service.runtime import Runtime
from logkeep.sources.base import FoundSnapshot

T = TypeVar("T")


class Volume(NamedTuple):
    """Space of the disks of a node."""

    node_id: str  # as in the list of the cluster's nodes; the cluster's own one of a node that is new there
    name: str
    total: int  # bytes
    used: int


def list_volumes(runtime: Runtime, cluster: Cluster) -> list[Volume]:
    """Return the disks of each node, by name. Raises `NoClusterApi`, `SourceUnreachable`."""
    ids = {node.instance or node.name: node.id for node in cluster.nodes}
    ids |= {node.name: node.id for node in cluster.nodes if node.name not in ids}
    found = _ask(runtime, cluster, runtime.read_volumes)
    return [
        Volume(
            node_id=ids.get(one.instance) or ids.get(one.name) or one.instance,
            name=one.name,
            total=max(one.total, 0),
            used=max(one.total - one.available, 0),
        )
        for one in sorted(found, key=lambda one: one.name)
    ]


def list_snapshots(runtime: Runtime, cluster: Cluster) -> list[FoundSnapshot]:
    """Return the snapshots in all repositories of the cluster, newest first. Raises as `list_volumes`."""
    found = _ask(runtime, cluster, runtime.read_snapshots)
    return sorted(found, key=lambda one: (-one.started_at, one.name))


def _ask(runtime: Runtime, cluster: Cluster, ask: Callable[[str, str, str], T]) -> T:
    discovery = cluster.discovery
    if discovery is None:
        raise NoClusterApi(
            "The cluster was registered by its nodes, and where its own API answers is not known; tell it with "
            f"`logkeep cluster update {quote(cluster.name)} --url URL`"
        )
    with reading(runtime.database) as connection:
        sealed = clusters.fetch_sealed_password(connection, cluster.id)
    try:
        return ask(discovery.url, discovery.user, runtime.seal.decrypt(sealed) if sealed else "")
    except InvalidField as error:
        # Readers of the project see this, and to them the address is not shown elsewhere either.
        told = error.message.removeprefix(f"{error.field}: ").replace(urlsplit(discovery.url).hostname or "\0", "it")
        raise SourceUnreachable(f"the cluster's own API cannot be asked: {told}") from error
