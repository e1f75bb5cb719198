"""Registering and reading clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from logkeep.domain.cluster import Cluster
from logkeep.service.context import Context


@dataclass(frozen=True, slots=True)
class NewNode:
    name: str
    source: str  # URL of the log directory


def get_cluster(context: Context, project_id: str, cluster_id: str) -> Cluster:
    """Raises `ClusterNotFound` where there is none of this id in the project."""
    raise NotImplementedError


def list_clusters(
    context: Context, project_id: str, *, offset: int = 1, limit: int = 10, kind: str = "", name: str = ""
) -> tuple[list[Cluster], int]:
    """One page, newest first, and the number of all of that kind (and name); `offset` counts from 1."""
    raise NotImplementedError


def add_cluster(
    context: Context, project_id: str, name: str, nodes: Sequence[NewNode], *, kind: str = "opensearch", version: str = ""
) -> Cluster:
    """Register a cluster by hand. Raises `NameTaken`, `InvalidField`."""
    raise NotImplementedError


def discover_cluster(
    context: Context, project_id: str, name: str, url: str, source: str, *, user: str = "", password: str = ""
) -> Cluster:
    """Register a cluster from its own API; `source` is a pattern such as `file://{path.logs}`.

    Raises `InvalidField` where the URL does not answer as a search cluster, `NameTaken`.
    """
    raise NotImplementedError


def remove_cluster(context: Context, cluster: Cluster) -> None:
    """Forget a cluster and its records; what lies in the bucket stays. Raises `BackupRunning`."""
    raise NotImplementedError
