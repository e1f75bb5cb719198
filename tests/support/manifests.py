"""A true manifest with everything in it, and the rows that a database takes of one."""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from logkeep.archive.rebuild import Generations
from logkeep.database import clusters, findings, generations, jobs, keys, log_settings, manifests, segments
from logkeep.database.connection import writing
from logkeep.database.warnings import save_warnings
from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.cluster import Cluster, Node, Project
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.manifest import Fingerprint, Frame, Gap, Manifest, Segment, Sighting, UnreportedJob
from logkeep.domain.policy import next_start
from logkeep.domain.warning import JobWarning
from logkeep.stores.layout import VERSION, manifest_object, parse_object, segment_object

CLUSTER = "5f0c3a52-0d1e-4a55-9d43-6a0e7b1f0c11"
JOB, BEFORE = "0123456789abcdef" * 2, "fedcba9876543210" * 2
FOLDER = "css/log/prod"
CREATED = 1_790_000_000_123
NAME = manifest_object(FOLDER, CREATED, JOB, 1)
WARNING = JobWarning("n1", "es.log", "es.log", "LK-LOG-CUT", "a sentence")
TIME = "2026-11-24T06:40:21,123"


def _job(number: int, job_id: str, status: JobStatus, message: str | None) -> BackupJob:
    id_ = f"00000000-0000-4000-8000-{number:012d}"
    return BackupJob(
        id_, job_id, CLUSTER, JobType.AUTO, status, "logs", "css/log", CREATED - number + 1, CREATED + 9, message
    )


def _segment(family: str, generation: int, start: int, job_id: str) -> Segment:
    frames = (
        Frame(0, 400, start, 1000, TIME, f"{TIME[:-3]}999", ("ERROR", "INFO"), 10, "0a1b2c3d"),
        Frame(400, 300, start + 1000, 500, "", "", None, 0),
    )
    name = segment_object(FOLDER, "n1", family, generation, start, job_id, "1-1")
    head = Fingerprint(min(4096, start + 1500), "a" * 64)
    sizes = (start, start + 1500, "logs", name, 700, "b" * 64, head, Fingerprint(1500, "c" * 64), frames, "9" * 64)
    return Segment("n1", family, generation, 1.5, f"{family}-1", *sizes)


def true_manifest() -> Manifest:
    project = Project("0" * 32, "cn-north-4", CREATED, "")
    nodes = (
        Node("00000000-0000-4000-8000-000000000001", "n1", "file:///var/log/opensearch", "ess", "10.0.0.1"),
        Node("00000000-0000-4000-8000-000000000002", "n2", "sftp://logs@node-2:2222/var/log/es", "ess-master", "::1"),
        Node("00000000-0000-4000-8000-000000000003", "n3", "agent:node%203", "ess-cold", ""),
    )
    cluster = Cluster(CLUSTER, project.id, "prod", "opensearch", "2.19.6", "h:9200", CREATED, CREATED, nodes)
    setting = LogSetting(
        "00000000-0000-4000-8000-000000000009",
        CLUSTER,
        True,
        "css",
        "logs",
        "css/log",
        "00:00 GMT+08:00",
        CREATED,
        0,
        True,
    )
    gap = Gap("n1", "es.log", TIME, f"{TIME}+08:00", 17, "truncated")
    return Manifest(
        version=VERSION,
        cluster_id=CLUSTER,
        cluster_name="prod",
        object=NAME,
        job=_job(1, JOB, JobStatus.FAIL, "LK-SOURCE-UNREADABLE: node n1"),
        number=7,
        previous="d" * 64,
        key="e" * 64,
        project=project,
        cluster=cluster,
        setting=setting,
        segments=(
            _segment("es.log", 1, 0, BEFORE),
            _segment("es.log", 1, 1500, JOB),
            _segment("sub/es%0A.log", 2, 3000, JOB),
        ),
        sightings=(Sighting("n1", "gc.log", 3, 2.0, "gc.log.01", present=False),),
        gaps=(gap,),
        notes=("LK-SOURCE-UNREADABLE: node n1: file 'x'",),
        earlier=(
            UnreportedJob(_job(2, BEFORE, JobStatus.FAIL, "LK-STORE-UNREACHABLE: x"), (gap,), ("a note",), (WARNING,)),
        ),
        warnings=(WARNING,),
        unproven="f" * 64,
    )


def insert(engine: Engine, manifest: Manifest) -> None:
    """Put all of it into a database as a rebuild does, and take it out again by rolling back."""
    try:
        with writing(engine) as connection:
            insert_rows(connection, manifest)
            raise _Undone
    except _Undone:
        pass


class _Undone(Exception):
    pass


def insert_rows(connection: Connection, manifest: Manifest) -> None:
    keys.insert_project(connection, manifest.project)
    cluster = manifest.cluster
    clusters.insert_cluster(connection, cluster)
    if manifest.setting:
        log_settings.save_setting(connection, manifest.setting)
        if manifest.setting.period:
            due = next_start(manifest.setting.period, cluster.id, manifest.job.created_at, 0)
            log_settings.plan_policy(connection, cluster.id, manifest.setting.updated_at, due)
    for told in (*manifest.earlier, UnreportedJob(manifest.job, manifest.gaps, manifest.notes, manifest.warnings)):
        jobs.insert_job(connection, told.job, attempt=1, manifest_job_id=manifest.job.job_id)
        for gap in told.gaps:
            findings.insert_findings(connection, told.job.job_id, gap.node, [gap])
        findings.insert_findings(connection, told.job.job_id, "", told.notes)
        save_warnings(connection, cluster.id, told.job.job_id, told.warnings)
    for segment in manifest.segments:
        name = parse_object(segment.object)
        assert name
        segments.insert_segments(connection, cluster.id, name.job_id, [segment], manifest.job.job_id)
    row = manifests.ManifestRow(
        manifest.job.job_id, manifest.number, "logs", manifest.object, "f" * 64, unproven=manifest.unproven
    )
    manifests.insert_manifest(connection, cluster.id, row)
    rebuilt = Generations()
    rebuilt.add(manifest)
    for node, checkpoints in rebuilt.checkpoints().items():
        generations.save_checkpoints(connection, cluster.id, node, checkpoints)
