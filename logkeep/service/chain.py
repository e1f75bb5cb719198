"""Checking a cluster's chain of manifests against the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from logkeep.database import archive
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Manifest, Segment
from logkeep.engine.chain import Kept, check_chain
from logkeep.service.context import Context
from logkeep.service.stores import cluster_stores


def check_manifests(
    context: Context, cluster: Cluster, *, contents: bool, noted: str
) -> Iterator[tuple[str, str, str]]:
    """Yield object, problem and job for everything that is wrong with the manifests.

    With `contents`, also check that each manifest follows the one before, lists what the catalogue has, and is proven.
    `noted` is the hash of a manifest that must be among them, '' for none.
    """
    with reading(context.database) as connection:
        rows = archive.fetch_manifests(connection, cluster.id)
    jobs = {row.object: row.job_id for row in rows}
    chain = [
        Kept(bucket=row.bucket, object=row.object, sha256=row.sha256, number=row.number, proven=row.proven)
        for row in rows
    ]
    for checked in check_chain(cluster_stores(context, cluster.id), chain, context.find_signer, contents=contents):
        name = checked.kept.object
        for problem in checked.problems:
            yield name, problem, jobs[name]
        if checked.manifest:
            for segment, problem in _differences(context, cluster, checked.manifest, jobs[name]):
                yield segment, problem, jobs[name]
    if contents:
        yield from _tell_unproven(rows)
    if noted and noted not in {row.sha256 for row in rows if row.proven}:
        yield noted, "no proven manifest has the hash that was noted", ""


def find_unproven(context: Context, cluster: Cluster) -> tuple[int, str]:
    """Return the number of unproven manifests in the catalogue, and the hash of the last one, '' if all are proven.

    That hash is also returned if the manifest is not in the catalogue, but a later one names it as unproven.
    """
    with reading(context.database) as connection:
        rows = archive.fetch_manifests(connection, cluster.id)
    hashes = [row.unproven if row.proven else row.sha256 for row in rows]
    return sum(not row.proven for row in rows), next(filter(None, reversed(hashes)), "")


def _tell_unproven(rows: Sequence[archive.ManifestRow]) -> Iterator[tuple[str, str, str]]:
    """Yield one problem for each run of consecutive unproven manifests, and one for each that is named but missing."""
    for proven, together in groupby(rows, key=lambda row: row.proven):
        *before, last = together
        if not proven:
            text = f"unproven: no trusted signature covers this manifest and the {len(before)} before it"
            yield last.object, text, last.job_id
    there = {row.sha256 for row in rows}
    for row in rows:
        if row.unproven and row.unproven not in there:
            yield row.object, "unproven: what came before it, which is not in the catalogue", row.job_id


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
    """Return all fields but the bucket, which may have another name in a rebuilt catalogue."""
    return (
        segment.node,
        segment.family,
        segment.generation,
        segment.start,
        segment.end,
        segment.stored,
        segment.sha256,
    )
