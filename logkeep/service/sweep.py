"""Removal of orphans: objects of uploads that were never confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from logkeep.archive.orphans import ClusterPrefix, UnknownObject, Verdict
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service.heads import expect_none_newer
from logkeep.service.orphans import OrphanScanner, find_prefixes
from logkeep.service.removal_entries import take_up_entries
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import ObjectStore, StoredObject


class Fate(StrEnum):
    """Treatment of an orphan by a sweep."""

    REMOVED = "removed"
    REMOVABLE = "removable"  # would be removed; this was a dry run
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that no manifest names, and whether it was removed."""

    cluster_id: str
    cluster: str
    bucket: str
    object: str
    bytes: int
    modified_at: int | None  # Unix ms; None if the store does not report it
    job_id: str
    fate: Fate
    reason: str  # why it is kept, '' otherwise


def sweep(runtime: Runtime, cluster: Cluster, *, grace_ms: int, remove: bool) -> Iterator[Orphan]:
    """Yield every orphan of a cluster. With `remove`, delete those older than `grace_ms` whose job has ended.

    Raises a `StoreError` if the bucket fails, and `CatalogueBehind` or `ChainForked` if it has manifests that are not
    in the catalogue.
    """
    expect_none_newer(runtime, cluster)  # a segment named by such a manifest would look like an orphan
    take_up_entries(runtime, cluster)  # and so would one that such an entry names
    places = find_prefixes(runtime, cluster)
    stores = cluster_stores(runtime, cluster.id)
    scanner = OrphanScanner(runtime, cluster, places)
    for verdict, unknown_object in scanner.scan(_listed(stores, places)):
        if verdict is not Verdict.ORPHAN:
            continue
        reason = _why_kept(runtime, scanner, unknown_object, grace_ms)
        if not reason and remove:
            stores[unknown_object.prefix.bucket].delete(unknown_object.object.name)
        fate = Fate.KEPT if reason else Fate.REMOVED if remove else Fate.REMOVABLE
        yield _orphan(cluster, unknown_object, fate, reason)


def _listed(
    stores: Mapping[str, ObjectStore], places: list[ClusterPrefix]
) -> Iterator[tuple[ClusterPrefix, StoredObject]]:
    for place in places:
        for found in stores[place.bucket].list(f"{place.folder}/"):
            yield place, found


def _why_kept(runtime: Runtime, scanner: OrphanScanner, unknown_object: UnknownObject, grace_ms: int) -> str:
    """Return why an orphan is kept; '' if it may be removed.

    The catalogue is asked again, because the object may have been committed since it was listed.
    """
    modified_at = unknown_object.object.modified_at
    if modified_at is None:
        return "the store does not tell its age"
    if runtime.clock.now_ms() - modified_at < grace_ms:
        return "it is younger than the grace time"
    verdict, origin = scanner.look_again(unknown_object)
    if verdict is not Verdict.ORPHAN:
        return "it was committed meanwhile"
    return "its job is running" if origin and origin.status is JobStatus.RUNNING else ""


def _orphan(cluster: Cluster, unknown_object: UnknownObject, fate: Fate, reason: str) -> Orphan:
    found = unknown_object.object
    job_id = unknown_object.name.job_id if unknown_object.name else ""
    return Orphan(
        cluster_id=cluster.id,
        cluster=cluster.name,
        bucket=unknown_object.prefix.bucket,
        object=found.name,
        bytes=found.size,
        modified_at=found.modified_at,
        job_id=job_id,
        fate=fate,
        reason=reason,
    )
