"""Access of projects to log directories, checked when a node is registered and each time it is read."""

from __future__ import annotations

from typing import NamedTuple

from logkeep.database import clusters, keys
from logkeep.database.connection import reading
from logkeep.errors import InvalidField, RootsMissing, SettingError, SourceRefused, SourceUnreachable
from logkeep.service.runtime import Runtime
from logkeep.sources.base import LogSource, Tenant


def find_tenant(runtime: Runtime, project_id: str) -> Tenant:
    """Return the project as the tenant for which sources are opened."""
    with reading(runtime.database) as connection:
        found = keys.fetch_projects(connection, project_id=project_id)
        return Tenant(found[0].name if found else "", alone=not keys.has_other_projects(connection, project_id))


def check_source(runtime: Runtime, tenant: Tenant, url: str) -> str:
    """Return the URL to store, with the links of a local directory resolved.

    Raises `InvalidField` if the project may not read it, or it hangs.
    """
    try:
        settled = runtime.settle_source(url)
        runtime.open_source(settled, tenant)
    except (SettingError, SourceRefused, SourceUnreachable) as error:
        raise InvalidField("nodes.source", error.message) from error
    return settled


def open_source(runtime: Runtime, tenant: Tenant, url: str) -> LogSource:
    """Open a source. Raises `SourceRefused` if the project may not read it now, `SourceUnreachable` if it hangs."""
    try:
        return runtime.open_source(url, tenant)
    except SettingError as error:
        raise SourceRefused(error.message) from error


class Refused(NamedTuple):
    """A node that may not be read."""

    cluster: str
    node: str
    why: str
    project: str = ""  # where nothing but `root` among the roots of this project is missing; else ''
    root: str = ""


def find_refused(runtime: Runtime, most: int = 1000) -> tuple[list[Refused], int]:
    """Return the nodes, of the first `most`, that may not be read any more, and the number of nodes not checked."""
    with reading(runtime.database) as connection:
        found = clusters.fetch_clusters(connection)
    nodes = [(cluster, node) for cluster in found for node in cluster.nodes]
    refused: list[Refused] = []
    for cluster, node in nodes[:most]:
        try:
            open_source(runtime, find_tenant(runtime, cluster.project_id), node.source)
        except RootsMissing as error:
            refused.append(
                Refused(
                    cluster=cluster.name, node=node.name, why=error.message, project=error.project, root=error.directory
                )
            )
        except SourceRefused as error:
            refused.append(Refused(cluster.name, node.name, error.message))
        except SourceUnreachable:  # reported by its backups
            continue
    return refused, len(nodes[most:])
