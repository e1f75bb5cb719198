"""Manifest written at the end of a job: its segments and findings, signed and chained to the previous manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from logkeep.archive.orphans import object_prefix
from logkeep.database import clusters, findings, generations, jobs, log_settings, manifests, retention, segments
from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster, Project
from logkeep.domain.manifest import Manifest, Segment, Sighting, UnreportedJob
from logkeep.errors import JobSuperseded, StoreError
from logkeep.service.runtime import Runtime
from logkeep.service.stores import setting_stores
from logkeep.stores.base import LARGEST_MANIFEST, ObjectStore
from logkeep.stores.layout import (
    VERSION,
    cluster_folder,
    encode_manifest,
    encode_pointer,
    manifest_hash,
    manifest_object,
    pointer_object,
    signature_object,
)

_log = structlog.get_logger("logkeep.manifests")
MOST_FRAMES = LARGEST_MANIFEST // 512  # a frame takes 200 to 400 bytes; 2 TB of plain logs


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest that is to be stored."""

    manifest: Manifest
    last: manifests.ManifestRow | None  # that a trusted signature covers
    stores: Mapping[str, ObjectStore]  # of the cluster's archive


@dataclass(frozen=True, slots=True)
class Written:
    """A manifest whose storage the bucket has confirmed."""

    manifest: Manifest
    row: manifests.ManifestRow


def write_manifest(runtime: Runtime, store: ObjectStore, draft: Draft) -> Written:
    """Store the manifest of a job that is ending. Raises a `StoreError`.

    The signature is stored first, so that no manifest is ever unsigned.
    """
    manifest, data = draft.manifest, encode_manifest(draft.manifest)
    name, job = manifest.object, manifest.job
    _point_from_the_last(draft)
    store.put(signature_object(name), [runtime.signing.sign(data)])
    store.put(name, [data])
    row = manifests.ManifestRow(
        job.job_id, manifest.number, job.bucket, name, manifest_hash(data), unproven=manifest.unproven
    )
    return Written(manifest, row)


def _point_from_the_last(draft: Draft) -> None:
    """Store a pointer beside the last manifest if the chain continues in another place.

    A database restored from an older copy does not know the new place, and finds it by the pointer. The old place may
    be unreachable, which is often why it was left; then there is no pointer.
    """
    last, bucket, name = draft.last, draft.manifest.job.bucket, draft.manifest.object
    if last and object_prefix(last.bucket, last.object) != object_prefix(bucket, name):
        store = draft.stores.get(last.bucket)
        try:
            if store:
                store.put(pointer_object(last.object), [encode_pointer(bucket, name)])
        except StoreError as error:
            _log.warning("no pointer left in the place before", bucket=last.bucket, error=error.message)


def withdraw_manifest(store: ObjectStore, written: Written) -> None:
    """Delete a manifest that was never recorded because its job had ended otherwise."""
    with suppress(StoreError):
        store.delete(written.row.object)
        store.delete(signature_object(written.row.object))


def record_manifest(connection: Connection, written: Written) -> None:
    """Record the manifest, and that it names its segments and jobs that ended earlier; where its own job ends."""
    manifest = written.manifest
    manifests.insert_manifest(connection, manifest.cluster_id, written.row)
    segments.mark_listed(connection, manifest.cluster_id, manifest.job.job_id, manifest.segments)
    if manifest.earlier:
        jobs.mark_reported(connection, manifest.cluster_id, manifest.job.job_id)


def draft_manifest(
    runtime: Runtime,
    connection: Connection,
    job: BackupJob,
    attempt: int,
    cluster: Cluster,
    project: Project,
    found: findings.Findings,
) -> Draft:
    """Return the manifest. It follows the last proven one, so that its signature does not vouch for unproven ones.

    The last unproven manifest is named in a field of its own, and so is the last removal entry. Raises `JobSuperseded`
    if the cluster was removed.
    """
    present = clusters.fetch_cluster(connection, cluster.id)  # its nodes may have been changed during the job
    if present is None:
        raise JobSuperseded("the cluster was removed")
    last = manifests.fetch_last_manifest(connection, cluster.id)
    proven = last
    if last and not last.proven:
        proven = manifests.fetch_last_manifest(connection, cluster.id, proven=True)
    untold = jobs.fetch_untold_jobs(connection, cluster.id)
    met = {one.job_id: findings.fetch_findings(connection, one.job_id) for one in untold}
    sightings = [sighting for one in [*met.values(), found] for sighting in one.sightings]
    setting = log_settings.fetch_setting(connection, cluster.id)
    entry = retention.fetch_last_entry(connection, cluster.id, stored=True)
    manifest = Manifest(
        version=VERSION,
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        object=manifest_object(cluster_folder(job.base_path, cluster.name), job.created_at, job.job_id, attempt),
        job=job,
        number=last.number + 1 if last else 1,
        previous=proven.sha256 if proven else "",
        key=runtime.signing.key,
        project=project,
        cluster=present,
        setting=setting,
        segments=tuple(_fitting(segments.fetch_unlisted_segments(connection, cluster.id))),
        sightings=tuple(_as_they_are(connection, cluster, sightings)),
        gaps=found.gaps,
        notes=found.failures,
        earlier=tuple(_told(one, met[one.job_id]) for one in untold),
        warnings=found.warnings,
        unproven=last.sha256 if last and not last.proven else "",
        removal=entry.sha256 if entry else "",
    )
    return Draft(manifest, proven, setting_stores(runtime, setting))


def _told(job: BackupJob, found: findings.Findings) -> UnreportedJob:
    return UnreportedJob(job, found.gaps, found.failures, found.warnings)


def _fitting(new: Sequence[Segment]) -> Iterator[Segment]:
    """Yield as many segments as one manifest may name and still be read; the next manifest names the others."""
    frames = 0
    for segment in new:
        frames += len(segment.frames)
        if frames > MOST_FRAMES:
            return
        yield segment


def _as_they_are(connection: Connection, cluster: Cluster, sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return one sighting for each generation sighted, with its name and presence at the end of the job."""
    found: dict[tuple[str, int], Sighting] = {}
    for node in sorted({sighting.node for sighting in sightings}):
        sighted = {sighting.generation for sighting in sightings if sighting.node == node}
        for c in generations.fetch_checkpoints_of(connection, cluster.id, node, sighted):
            found[node, c.generation] = Sighting(
                node=node, family=c.family, generation=c.generation, position=c.position, name=c.name, present=c.present
            )
    return list(found.values())
