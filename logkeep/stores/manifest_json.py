"""Manifests from the records to their JSON and back.

What is written is named field by field, as it is signed. What is read is copied by the names that both have: a record
that is renamed, split or takes None for '' is read by a function of its own here, and no byte in the bucket changes.
"""

from __future__ import annotations

import msgspec

from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster, Discovery, Node, Project
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.manifest import Gap, Manifest, Segment, Sighting, UnreportedJob
from logkeep.domain.warning import JobWarning
from logkeep.stores import manifest_format as form


def write_json(manifest: Manifest) -> bytes:
    """Return the bytes that are signed."""
    return msgspec.json.format(msgspec.json.encode(_write_manifest(manifest)), indent=1)


def read_json(data: bytes) -> Manifest:
    """Return what a manifest says, unchecked. Raises `msgspec.MsgspecError`, `RecursionError` or `ValueError`."""
    return msgspec.convert(msgspec.json.decode(data, type=form.Manifest), Manifest, from_attributes=True)


def _write_job(job: BackupJob) -> form.Job:
    return form.Job(
        id=job.id,
        job_id=job.job_id,
        cluster_id=job.cluster_id,
        type=job.type,
        status=job.status,
        bucket=job.bucket,
        base_path=job.base_path,
        created_at=job.created_at,
        finished_at=job.finished_at,
        failed_msg=job.failed_msg,
    )


def _write_project(project: Project) -> form.Project:
    return form.Project(
        id=project.id,
        name=project.name,
        created_at=project.created_at,
        region=project.region,
    )


def _write_node(node: Node) -> form.Node:
    return form.Node(
        id=node.id,
        name=node.name,
        source=node.source,
        role=node.role,
        ip=node.ip,
        instance=node.instance,
        gone_at=node.gone_at,
    )


def _write_discovery(discovery: Discovery) -> form.Discovery:
    return form.Discovery(
        url=discovery.url,
        source=discovery.source,
        user=discovery.user,
    )


def _write_cluster(cluster: Cluster) -> form.Cluster:
    return form.Cluster(
        id=cluster.id,
        project_id=cluster.project_id,
        name=cluster.name,
        kind=cluster.kind,
        version=cluster.version,
        endpoint=cluster.endpoint,
        created_at=cluster.created_at,
        updated_at=cluster.updated_at,
        nodes=tuple(map(_write_node, cluster.nodes)),
        discovery=_write_discovery(cluster.discovery) if cluster.discovery else None,
    )


def _write_setting(setting: LogSetting) -> form.Setting:
    return form.Setting(
        id=setting.id,
        cluster_id=setting.cluster_id,
        enabled=setting.enabled,
        agency=setting.agency,
        bucket=setting.bucket,
        base_path=setting.base_path,
        period=setting.period,
        updated_at=setting.updated_at,
        failures_cleared_at=setting.failures_cleared_at,
        adaptive=setting.adaptive,
    )


def _write_segment(segment: Segment) -> form.Segment:
    return form.Segment(
        node=segment.node,
        family=segment.family,
        generation=segment.generation,
        position=segment.position,
        name=segment.name,
        start=segment.start,
        end=segment.end,
        bucket=segment.bucket,
        object=segment.object,
        stored=segment.stored,
        sha256=segment.sha256,
        head=segment.head,
        tail=segment.tail,
        frames=segment.frames,
        lead=segment.lead,
        flaw=segment.flaw,
    )


def _write_sighting(sighting: Sighting) -> form.Sighting:
    return form.Sighting(
        node=sighting.node,
        family=sighting.family,
        generation=sighting.generation,
        position=sighting.position,
        name=sighting.name,
        present=sighting.present,
        flaw=sighting.flaw,
    )


def _write_gap(gap: Gap) -> form.Gap:
    return form.Gap(
        node=gap.node,
        family=gap.family,
        after=gap.after,
        until=gap.until,
        at_least=gap.at_least,
        reason=gap.reason,
    )


def _write_warning(warning: JobWarning) -> form.Warning:
    return form.Warning(
        node=warning.node,
        family=warning.family,
        file=warning.file,
        code=warning.code,
        message=warning.message,
    )


def _write_earlier(told: UnreportedJob) -> form.Earlier:
    return form.Earlier(
        job=_write_job(told.job),
        gaps=tuple(map(_write_gap, told.gaps)),
        notes=told.notes,
        warnings=tuple(map(_write_warning, told.warnings)),
    )


def _write_manifest(manifest: Manifest) -> form.Manifest:
    return form.Manifest(
        version=manifest.version,
        cluster_id=manifest.cluster_id,
        cluster_name=manifest.cluster_name,
        object=manifest.object,
        job=_write_job(manifest.job),
        number=manifest.number,
        previous=manifest.previous,
        key=manifest.key,
        project=_write_project(manifest.project),
        cluster=_write_cluster(manifest.cluster),
        setting=_write_setting(manifest.setting) if manifest.setting else None,
        segments=tuple(map(_write_segment, manifest.segments)),
        sightings=tuple(map(_write_sighting, manifest.sightings)),
        gaps=tuple(map(_write_gap, manifest.gaps)),
        notes=manifest.notes,
        earlier=tuple(map(_write_earlier, manifest.earlier)),
        warnings=tuple(map(_write_warning, manifest.warnings)),
        unproven=manifest.unproven,
    )
