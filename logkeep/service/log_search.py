"""Search in logs that nodes are writing (docs/contract.md, "ShowLogBackup")."""

from __future__ import annotations

import time

from logkeep.domain.cluster import Cluster
from logkeep.domain.log_line import LogLine, LogQuery
from logkeep.errors import InvalidField, SourceVanished
from logkeep.search.live import find_log, search_log
from logkeep.service.runtime import Runtime
from logkeep.service.sources import find_tenant, open_source

_PAUSE = 0.05  # seconds; log4j2 opens the new file within one millisecond


def search_live(runtime: Runtime, cluster: Cluster, node_name: str, query: LogQuery) -> tuple[list[LogLine], bool]:
    """Return matching records, newest first, and whether these are all. Raises `InvalidField`, a `SourceError`.

    A node without a log of this kind has no matching records.
    """
    node = next((node for node in cluster.nodes if node.name == node_name), None)
    if node is None:
        raise InvalidField("instance_name", "the cluster has no such node; ShowClusterDetail names them")
    source = open_source(runtime, find_tenant(runtime, cluster.project_id), node.source)
    for last in (False, False, True):
        name = find_log((file.name for file in source.list()), query.kind)
        if name is None:
            break
        try:
            return search_log(source, name, query)
        except SourceVanished:  # just rotated; the new file follows within a moment
            if last:
                raise
            time.sleep(_PAUSE)
    return [], True
