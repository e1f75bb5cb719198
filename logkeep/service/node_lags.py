"""Until when logs are kept: what was written since is on the nodes alone."""

from __future__ import annotations

from collections.abc import Sequence

from logkeep.database import node_lags
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.service.runtime import Runtime


def list_kept_until(runtime: Runtime, cluster_ids: Sequence[str]) -> dict[str, int]:
    """Return until when (Unix ms) the logs of each cluster are kept; clusters without a success are left out."""
    with reading(runtime.database) as connection:
        return node_lags.fetch_last_begun(connection, cluster_ids)


def list_nodes_kept_until(runtime: Runtime, cluster: Cluster) -> dict[str, int]:
    """Return until when (Unix ms) the logs of each node are kept; nodes that no recent job kept are left out."""
    with reading(runtime.database) as connection:
        return node_lags.fetch_kept_nodes(connection, cluster.id)
