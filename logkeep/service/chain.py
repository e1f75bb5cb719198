"""Checking a cluster's chain of manifests against the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from logkeep.archive.chain import FindSigner, Kept, check_chain
from logkeep.database import manifests, segments
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Manifest, Segment
from logkeep.service.removal_check import CheckedEntries
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores


def check_manifests(
    runtime: Runtime,
    cluster: Cluster,
    entries: CheckedEntries,
    find_signer: FindSigner,
    *,
    contents: bool,
    noted: str,
) -> Iterator[tuple[str, str, str]]:
    """Yield object, problem and job for everything that is wrong with the manifests.

    With `contents`, also check that each manifest follows the one before, lists what the catalogue has or what one of
    the removal entries names, and is proven. `noted` is the hash of a manifest that must be among them, '' for none.
    """
    with reading(runtime.database) as connection:
        rows = manifests.fetch_manifests(connection, cluster.id)
    jobs = {row.object: row.job_id for row in rows}
    chain = [
        Kept(bucket=row.bucket, object=row.object, sha256=row.sha256, number=row.number, proven=row.proven)
        for row in rows
    ]
    for checked in check_chain(cluster_stores(runtime, cluster.id), chain, find_signer, contents=contents):
        name = checked.kept.object
        for problem in checked.problems:
            yield name, problem, jobs[name]
        if checked.manifest:
            for segment, problem in _differences(runtime, cluster, checked.manifest, entries, jobs[name]):
                yield segment, problem, jobs[name]
            if checked.kept.proven and not entries.are_known(checked.manifest.removal):
                yield name, f"the removal entry {checked.manifest.removal} that it names is missing", jobs[name]
    if contents:
        yield from _tell_unproven(rows)
    if noted and noted not in {row.sha256 for row in rows if row.proven}:
        yield noted, "no proven manifest has the hash that was noted", ""


def find_heads(runtime: Runtime, cluster: Cluster) -> tuple[tuple[int, str], tuple[int, str]]:
    """Return number and last hash of the proven manifests in the catalogue, and of the unproven ones; '' for none.

    The unproven hash is also returned if that manifest is not in the catalogue, but a later one names it as unproven.
    """
    with reading(runtime.database) as connection:
        rows = manifests.fetch_manifests(connection, cluster.id)
    proven = [row.sha256 for row in rows if row.proven]
    unproven = [row.unproven if row.proven else row.sha256 for row in rows]
    head, unproven_head = (next(filter(None, reversed(hashes)), "") for hashes in (proven, unproven))
    return (len(proven), head), (len(rows) - len(proven), unproven_head)


def _tell_unproven(rows: Sequence[manifests.ManifestRow]) -> Iterator[tuple[str, str, str]]:
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


def _differences(
    runtime: Runtime, cluster: Cluster, manifest: Manifest, entries: CheckedEntries, job_id: str
) -> Iterator[tuple[str, str]]:
    with reading(runtime.database) as connection:
        listed = segments.fetch_listed_segments(connection, cluster.id, job_id)
    known = {segment.object: _essence(segment) for segment in listed}
    for segment in manifest.segments:
        there = known.pop(segment.object, None)
        if there is None and entries.name(segment):
            continue  # removed by a rule of retention
        if there != _essence(segment):
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
