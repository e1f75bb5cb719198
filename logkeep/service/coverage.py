"""Coverage of a cluster's logs: which spans of time are archived, and the known gaps."""

from __future__ import annotations

from collections.abc import Iterator

from logkeep.database import coverage, generations
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.coverage import LogCoverage
from logkeep.service.runtime import Runtime

_BATCH = 50


def list_held(runtime: Runtime, cluster: Cluster, *, node: str = "", family: str = "") -> Iterator[LogCoverage]:
    """Yield the coverage of every log of every node, also of removed nodes, by node and family.

    Nodes are read in batches, so that no connection is held while the caller consumes them.
    """
    with reading(runtime.database) as connection:
        known = {one.name for one in cluster.nodes} | generations.fetch_nodes(connection, cluster.id)
    names = sorted(name for name in known if node in {"", name})
    for start in range(0, len(names), _BATCH):
        with reading(runtime.database) as connection:
            held = list(coverage.fetch_held(connection, cluster.id, names[start : start + _BATCH], family))
        yield from held


def get_last_success(runtime: Runtime, cluster: Cluster) -> tuple[str, int] | None:
    """Return id and end (Unix ms) of the newest job that ended as SUCCESS."""
    with reading(runtime.database) as connection:
        return coverage.fetch_last_success(connection, cluster.id)
