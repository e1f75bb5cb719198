"""Holding a cluster's chain of manifests against what the catalogue knows."""

from __future__ import annotations

from collections.abc import Iterator

from logkeep.database import archive
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Manifest, Segment
from logkeep.engine.chain import Link, check_chain, check_hashes
from logkeep.service.context import Context
from logkeep.service.stores import cluster_stores


def check_manifests(context: Context, cluster: Cluster, *, signatures: bool) -> Iterator[tuple[str, str, str]]:
    """Object, problem and job of whatever is wrong with the manifests.

    With `signatures`, also whether each is signed, follows the one before, and names what the catalogue has.
    """
    with reading(context.database) as connection:
        rows = archive.fetch_manifests(connection, cluster.id)
    jobs = {row.object: row.job_id for row in rows}
    stores = cluster_stores(context, cluster.id)
    chain = [Link(row.bucket, row.object, row.sha256) for row in rows]
    if not signatures:
        for link, problem in check_hashes(stores, chain):
            yield link.object, problem, jobs[link.object]
        return
    for link, problems, manifest in check_chain(stores, chain, context.check_signature):
        for problem in problems:
            yield link.object, problem, jobs[link.object]
        if manifest:
            for name, problem in _differences(context, cluster, manifest, jobs[link.object]):
                yield name, problem, jobs[link.object]


def _differences(context: Context, cluster: Cluster, manifest: Manifest, job_id: str) -> Iterator[tuple[str, str]]:
    with reading(context.database) as connection:
        listed = archive.fetch_listed_segments(connection, cluster.id, job_id)
    known = {segment.object: _essence(segment) for segment in listed}
    for segment in manifest.segments:
        if known.pop(segment.object, None) != _essence(segment):
            yield segment.object, "the catalogue does not have it as its manifest names it"
    for name in known:
        yield name, "the manifest of its job does not name it"


def _essence(segment: Segment) -> tuple[object, ...]:
    """All but the bucket, which a rebuilt catalogue may call by another name."""
    return (
        segment.node,
        segment.family,
        segment.generation,
        segment.start,
        segment.end,
        segment.stored,
        segment.sha256,
    )
