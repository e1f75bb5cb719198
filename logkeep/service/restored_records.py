"""What the manifests of one cluster report, written into the tables of a catalogue that lacks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from shlex import quote

import msgspec
from sqlalchemy import Connection

from logkeep.archive.orphans import object_prefix, setting_prefix
from logkeep.archive.proof import (
    Document,
    Entry,
    Link,
)
from logkeep.archive.rebuild import Generations
from logkeep.backup.retirement import find_retired
from logkeep.database import clusters, findings, generations, jobs, keys, log_settings, manifests, segments
from logkeep.database.connection import writing
from logkeep.database.removed_segments import ask_for_removal
from logkeep.database.retired import RetiredGenerations
from logkeep.database.warnings import save_warnings
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster, Project
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.manifest import Manifest, Segment, UnreportedJob
from logkeep.domain.policy import next_start
from logkeep.domain.removal_entry import RemovalEntry
from logkeep.errors import CatalogueError, StoreCorrupt, StoreError
from logkeep.service.manifest_reader import one_line
from logkeep.service.places import find_conflict, note_place
from logkeep.service.rebuild_report import Rebuilt, State
from logkeep.service.removal_entries import apply_entry
from logkeep.service.runtime import Runtime
from logkeep.stores.layout import (
    parse_object,
)


@dataclass(frozen=True, slots=True)
class Removed:
    """Proven removal entries of a cluster, oldest first, how each is read, and which objects lie in a bucket yet."""

    documents: Sequence[Document]
    read: Callable[[Document], RemovalEntry]
    is_there: Callable[[str, str], bool]  # by bucket and name


def put_in(
    runtime: Runtime,
    links: Sequence[Link],
    rebuilt: Rebuilt,
    register: Callable[[Connection, Manifest], Cluster],
    read: Callable[[Entry], Manifest],
    removed: Removed,
) -> None:
    """Restore a cluster as its last proven manifest describes it, or the last one if none is proven.

    If the chain ends with unproven manifests, log backup is closed: unproven sources must not be read automatically.
    What proven removal entries name is taken out again. `register` puts the cluster itself into the database. `read`,
    and that of `removed`, is called while the database is locked.
    """
    teller = next((link for link in reversed(links) if link.proven), links[-1])
    told = read(teller.entry)
    closed = not links[-1].proven
    rebuilt.name = told.cluster_name
    rebuilt.taken = {link.entry.sha256 for link in links}
    with writing(runtime.database) as connection:
        if clusters.fetch_cluster(connection, rebuilt.cluster_id):
            rebuilt.state = State.KNOWN
            return
        cluster = register(connection, told)
        rebuilt.name = cluster.name
        setting = _setting_of(runtime, connection, cluster, told.setting, rebuilt)
        if setting and closed:
            setting = replace(setting, enabled=False, period=None, adaptive=False)
        records = Records(connection, rebuilt.cluster_id, setting, runtime.policy.spread_ms)
        for link in links:
            records.add(link, read(link.entry))
        records.finish()
        records.remove(removed, runtime.clock.now_ms())
    rebuilt.state = State.REBUILT
    rebuilt.unproven = sum(not link.proven for link in links)
    rebuilt.records, rebuilt.objects, rebuilt.size = records.jobs, records.objects, records.size
    rebuilt.removed = records.removed
    if closed:
        rebuilt.problems.append(
            f"log backup is closed: look at its nodes, and open it with `logkeep logs open {quote(rebuilt.name)}`"
        )


def find_project(connection: Connection, told: Project) -> Project | None:
    """Find the project of a manifest by id, or by name: a new installation gave it another id."""
    found = keys.fetch_projects(connection, project_id=told.id) or keys.fetch_projects(connection, name=told.name)
    return found[0] if found else None


def _setting_of(
    runtime: Runtime, connection: Connection, cluster: Cluster, setting: LogSetting | None, rebuilt: Rebuilt
) -> LogSetting | None:
    """Return the setting, closed if another cluster has its folder by now."""
    if setting is None:
        return None
    if problem := find_conflict(runtime, connection, cluster, setting.bucket, setting.base_path):
        rebuilt.problems.append(f"its log backup is closed: {problem}; then open it")
        return replace(setting, enabled=False, period=None, adaptive=False)
    note_place(connection, cluster.id, setting_prefix(setting.bucket, setting.base_path, cluster.name))
    return setting


class Records:
    """Writes what the manifests of one cluster report into its tables."""

    def __init__(self, connection: Connection, cluster_id: str, setting: LogSetting | None, spread_ms: int) -> None:
        self._connection = connection
        self._cluster_id = cluster_id
        self._setting = setting
        self._spread_ms = spread_ms
        self._generations = Generations()
        self._newest = 0  # creation of the newest job, Unix ms
        self.jobs = self.objects = self.size = self.removed = 0

    def add(self, link: Link, manifest: Manifest) -> None:
        """Add one manifest. Raises `StoreCorrupt` with the name of the object if the database rejects a value."""
        document = link.entry.document
        try:
            self._add(link, manifest)
        except CatalogueError:
            raise
        except Exception as error:
            raise StoreCorrupt(f"{document.object}: it cannot be put in: {one_line(error)}") from error

    def _add(self, link: Link, manifest: Manifest) -> None:
        document = link.entry.document
        for told in manifest.earlier:
            self._add_job(1, manifest, told)
        told = UnreportedJob(manifest.job, manifest.gaps, manifest.notes, manifest.warnings)
        self._add_job(link.entry.attempt, manifest, told)
        moved = {manifest.job.bucket: document.bucket}  # the bucket may have another name in this installation
        for segment in manifest.segments:
            bucket = moved.get(segment.bucket, segment.bucket)
            self._add_segment(msgspec.structs.replace(segment, bucket=bucket), manifest)
        row = manifests.ManifestRow(
            manifest.job.job_id,
            link.number,
            document.bucket,
            document.object,
            document.sha256,
            link.proven,
            manifest.unproven,
        )
        manifests.insert_manifest(self._connection, self._cluster_id, row)
        note_place(self._connection, self._cluster_id, object_prefix(document.bucket, document.object))
        self._generations.add(manifest)

    def finish(self) -> None:
        """Write checkpoints, retired generations and the setting, once all manifests are added."""
        for node, checkpoints in self._generations.checkpoints().items():
            generations.save_checkpoints(self._connection, self._cluster_id, node, checkpoints)
            RetiredGenerations(self._connection, self._cluster_id, node).add(find_retired(checkpoints))
        if self._setting:  # a daily start missed since the last job happens once, late
            log_settings.save_setting(self._connection, self._setting)
            if self._setting.period:
                due_at = next_start(self._setting.period, self._cluster_id, self._newest, self._spread_ms)
                log_settings.plan_policy(self._connection, self._cluster_id, self._setting.updated_at, due_at)

    def remove(self, removed: Removed, now: int) -> None:
        """Take out what rules of retention removed, once all is written; `now` in Unix ms.

        Raises `StoreCorrupt` with the name of the entry that cannot be read.
        """
        for document in removed.documents:
            try:
                entry = removed.read(document)
            except StoreError as error:
                raise StoreCorrupt(f"{document.object}: {one_line(error)}") from error
            taken = apply_entry(self._connection, self._cluster_id, entry, document, removed.is_there)
            self.removed += len(taken)
            self.objects -= len(taken)
            self.size -= sum(one.segment.end - one.segment.start for one in taken)
        if removed.documents:
            ask_for_removal(self._connection, self._cluster_id, now)

    def _add_job(self, attempt: int, manifest: Manifest, told: UnreportedJob) -> None:
        job = told.job
        cleared = self._setting.failures_cleared_at if self._setting else 0
        if job.status is JobStatus.FAIL and (job.finished_at or 0) <= cleared:
            return
        jobs.insert_job(self._connection, job, attempt=attempt, manifest_job_id=manifest.job.job_id)
        for gap in told.gaps:
            findings.insert_findings(self._connection, job.job_id, gap.node, [gap])
        findings.insert_findings(self._connection, job.job_id, "", told.notes)
        save_warnings(self._connection, self._cluster_id, job.job_id, told.warnings)
        self._newest = max(self._newest, job.created_at)
        self.jobs += 1

    def _add_segment(self, segment: Segment, manifest: Manifest) -> None:
        name = parse_object(segment.object)
        job_id = name.job_id if name else manifest.job.job_id
        segments.insert_segments(self._connection, self._cluster_id, job_id, [segment], manifest.job.job_id)
        self.objects += 1
        self.size += segment.end - segment.start
