"""Coverage of a cluster's logs: which spans of time are archived, and the known gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from logkeep.database import coverage, generations
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.coverage import LogCoverage
from logkeep.service.runtime import Runtime

_BATCH = 50
_FIRST_BATCH = 5  # nodes of a page, which have some ten logs each
_MOST_GAPS = 10_000  # looked at for a page, of each batch of its nodes


@dataclass(frozen=True, slots=True)
class CoveragePage:
    """Coverage of some logs of a cluster, by node and family."""

    logs: list[LogCoverage]
    more: bool  # whether other logs follow the last one
    nodes: list[str]  # names of all nodes that anything is known of


def list_held(runtime: Runtime, cluster: Cluster, *, node: str = "", family: str = "") -> Iterator[LogCoverage]:
    """Yield the coverage of every log of every node, also of removed nodes, by node and family.

    Nodes are read in batches, so that no connection is held while the caller consumes them.
    """
    names = [name for name in _find_nodes(runtime, cluster) if node in {"", name}]
    for start in range(0, len(names), _BATCH):
        with reading(runtime.database) as connection:
            held = list(coverage.fetch_held(connection, cluster.id, names[start : start + _BATCH], family))
        yield from held


def list_page(
    runtime: Runtime,
    cluster: Cluster,
    *,
    node: str = "",
    family: str = "",
    after: tuple[str, str] | None = None,
    limit: int = 50,
) -> CoveragePage:
    """Return the coverage of the logs after one (its node and family), as `list_held` orders them.

    It reads the nodes of the page and not all of them, and of their gaps those that were told last.
    """
    known = _find_nodes(runtime, cluster)
    names = [name for name in known if node in {"", name} and (after is None or name >= after[0])]
    found: list[LogCoverage] = []
    batch = _FIRST_BATCH
    while names and len(found) <= limit:
        some, names = names[:batch], names[batch:]
        with reading(runtime.database) as connection:
            held = list(coverage.fetch_held(connection, cluster.id, some, family, _MOST_GAPS))
        found += [one for one in held if after is None or (one.node, one.family) > after]
        batch = min(2 * batch, _BATCH)
    return CoveragePage(found[:limit], len(found) > limit, known)


def get_last_success(runtime: Runtime, cluster: Cluster) -> tuple[str, int] | None:
    """Return id and end (Unix ms) of the newest job that ended as SUCCESS."""
    with reading(runtime.database) as connection:
        return coverage.fetch_last_success(connection, cluster.id)


def _find_nodes(runtime: Runtime, cluster: Cluster) -> list[str]:
    """Return the names of all nodes that anything is known of, removed ones included."""
    with reading(runtime.database) as connection:
        return sorted({one.name for one in cluster.nodes} | generations.fetch_nodes(connection, cluster.id))
