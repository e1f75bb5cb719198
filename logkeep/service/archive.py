"""What is kept of a cluster: listing it, reading it back, verifying it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from logkeep.domain.cluster import Cluster
from logkeep.service.context import Context


@dataclass(frozen=True, slots=True)
class KeptLog:
    """One generation of one log as it lies in the archive."""

    node: str
    family: str  # name of the active file, e.g. oslogs_server.json
    generation: int  # number within node and family order; part of the address for reading
    name: str  # the file's name at its last sighting, without '.gz'
    size: int  # plain bytes kept


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that `verify` found wrong."""

    node: str
    family: str
    object: str
    problem: str  # missing, wrong size, damaged, …
    job_id: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is."""

    objects: int
    objects_total: int
    bytes: int  # stored bytes looked at
    bytes_total: int


def list_kept(context: Context, cluster: Cluster, *, node: str = "", family: str = "") -> Iterator[KeptLog]:
    """Every generation, by node and family, in the order it was written."""
    raise NotImplementedError


def read_kept(context: Context, cluster: Cluster, node: str, generation: int) -> Iterator[bytes]:
    """The plain bytes of one generation, each segment held against its hash before it is handed out.

    Raises `InvalidField` where there is no such generation, `StoreCorrupt` or another `StoreError` on the way.
    """
    raise NotImplementedError


def verify(context: Context, cluster: Cluster, *, read_data: bool = False) -> Iterator[Finding | Progress]:
    """Hold the bucket against the catalogue and the chain of manifests; with `read_data`, read every byte back."""
    raise NotImplementedError
