"""What is kept of a cluster: listing it, reading it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from logkeep.database import archive
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.engine.restore import read_generation
from logkeep.errors import InvalidField
from logkeep.service.context import Context


@dataclass(frozen=True, slots=True)
class KeptLog:
    """One generation of one log as it lies in the archive."""

    node: str
    family: str  # name of the active file, e.g. oslogs_server.json
    generation: int  # number within the node; the address for reading, together with the node
    name: str  # the file's name at its last sighting, without '.gz'
    size: int  # plain bytes kept


def list_kept(context: Context, cluster: Cluster, *, node: str = "", family: str = "") -> Iterator[KeptLog]:
    """Every generation, by node and family, in the order it was written."""
    for node_name, c in archive.fetch_generations(context.database, cluster.id, node=node, family=family):
        yield KeptLog(node_name, c.family, c.generation, c.name, c.kept)


def read_kept(context: Context, cluster: Cluster, node: str, generation: int) -> Iterator[bytes]:
    """The plain bytes of one generation, frame by frame, each checked before it is handed out.

    Raises `InvalidField` at the call where there is no such generation, `StoreCorrupt` or another `StoreError` on
    the way.
    """
    with reading(context.database) as connection:
        checkpoints = {c.generation: c for c in archive.fetch_checkpoints(connection, cluster.id, node)}
    segments = (segment for segment, _ in archive.fetch_segments(context.database, cluster.id, node, generation))
    if generation not in checkpoints:
        raise InvalidField("generation", "the archive of this node has no such generation")
    return read_generation(context.stores, segments)
