"""Coverage of a cluster's logs: which spans of time are archived, and the known gaps."""

from __future__ import annotations

from collections.abc import Iterator

from logkeep.database import archive, coverage
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.coverage import LogCoverage
from logkeep.service.context import Context

_NODES_AT_ONCE = 50


def list_held(context: Context, cluster: Cluster, *, node: str = "", family: str = "") -> Iterator[LogCoverage]:
    """Yield the coverage of every log of every node, also of removed nodes, by node and family.

    Nodes are read in batches, so that no connection is held while the caller consumes them.
    """
    with reading(context.database) as connection:
        known = {one.name for one in cluster.nodes} | archive.fetch_nodes(connection, cluster.id)
    names = sorted(name for name in known if node in {"", name})
    for start in range(0, len(names), _NODES_AT_ONCE):
        with reading(context.database) as connection:
            held = list(coverage.fetch_held(connection, cluster.id, names[start : start + _NODES_AT_ONCE], family))
        yield from held


def get_last_success(context: Context, cluster: Cluster) -> tuple[str, int] | None:
    """Return id and end (Unix ms) of the newest job that ended as SUCCESS."""
    with reading(context.database) as connection:
        return coverage.fetch_last_success(connection, cluster.id)
