"""Making the catalogue anew from what lies in the buckets, where the database was lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sqlalchemy import Connection

from logkeep.database import archive, clusters, jobs, keys, log_settings
from logkeep.database.connection import reading, writing
from logkeep.database.warnings import save_warnings
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster, Project
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.manifest import Manifest, Segment, Told
from logkeep.domain.policy import next_start
from logkeep.engine.chain import check_signature
from logkeep.engine.rebuild import Chain, Found, Generations, order_chain
from logkeep.engine.strangers import object_place, setting_place
from logkeep.errors import StoreCorrupt, StoreError
from logkeep.service.context import Context
from logkeep.service.places import find_conflict, note_place
from logkeep.stores.base import find_store
from logkeep.stores.layout import ObjectKind, decode_manifest, manifest_hash, parse_object


class State(StrEnum):
    REBUILT = "rebuilt"
    KNOWN = "known"  # the database had it; nothing was changed
    REFUSED = "refused"  # nothing of it was put in


@dataclass(slots=True)
class Rebuilt:
    """What became of one cluster; without an id it is of a manifest that cannot be read."""

    cluster_id: str
    state: State = State.REFUSED
    name: str = ""
    project: str = ""
    records: int = 0
    objects: int = 0
    size: int = 0  # plain bytes kept
    problems: list[str] = field(default_factory=list[str])
    new_key: str = ""  # that was taken for a trusted one, as this installation is new


class Unproven(StoreCorrupt):
    """A manifest is not signed with a trusted key."""


def rebuild(context: Context, buckets: Sequence[str], *, unproven: bool = False) -> Iterator[Rebuilt]:
    """Put every cluster that the manifests in these buckets tell of into the database, the newest first.

    A cluster that the database has is left alone. Each is put in whole or not at all; only with `unproven` where a
    manifest is not signed with a trusted key, since manifests say which directories the next backup reads. An
    installation that is new takes the key of the newest manifest. Raises a `StoreError` where a bucket fails.
    """
    chains, damaged = _read_chains(context, buckets)
    new_key = _meet(context, chains)
    for chain in sorted(chains, key=lambda chain: chain.links[-1].created_at, reverse=True):
        rebuilt = Rebuilt(chain.links[-1].cluster_id, new_key=new_key)
        try:
            _rebuild_cluster(context, chain, rebuilt, unproven=unproven)
        except StoreError as error:
            rebuilt.problems.append(error.message)
        yield rebuilt
    for name, problem in damaged:
        yield Rebuilt("", problems=[f"{name}: {problem}"])


def _meet(context: Context, chains: Sequence[Chain]) -> str:
    """The key that is trusted from now on, as ssh trusts a host that it meets first; '' where that is not so.

    Only where nothing was signed by this installation, and no other key was ever trusted here.
    """
    links = [link for chain in chains for link in chain.links]
    if not links or any(link.key == context.signing_key for link in links):
        return ""
    with reading(context.database) as connection:
        if clusters.count_clusters(connection):
            return ""
    newest = max(links, key=lambda link: link.created_at)
    return newest.key if newest.key and context.trust_first_key(newest.key) else ""


def _read_chains(context: Context, buckets: Sequence[str]) -> tuple[list[Chain], list[tuple[str, str]]]:
    found: defaultdict[str, list[Found]] = defaultdict(list)
    damaged: list[tuple[str, str]] = []
    for bucket in buckets:
        store = find_store(context.stores, bucket)
        for thing in store.list(""):
            name = parse_object(thing.name)
            if name is None or name.kind is not ObjectKind.MANIFEST:
                continue
            data = store.get(thing.name)
            try:
                manifest = decode_manifest(data)
            except StoreCorrupt as error:
                damaged.append((thing.name, error.message))
                continue
            found[manifest.cluster_id].append(
                Found(
                    bucket,
                    thing.name,
                    manifest_hash(data),
                    manifest.previous,
                    manifest.cluster_id,
                    manifest.job.job_id,
                    name.attempt,
                    manifest.job.created_at,
                    manifest.key,
                )
            )
    return [order_chain(manifests) for manifests in found.values()], damaged


def _rebuild_cluster(context: Context, chain: Chain, rebuilt: Rebuilt, *, unproven: bool) -> None:
    rebuilt.problems += [f"{one.object}: the manifest before it is missing" for one in chain.breaks]
    rebuilt.problems += [f"{one.object}: another manifest follows the same one; left out" for one in chain.forks]
    last, _ = _read(context, chain.links[-1])
    rebuilt.name = last.cluster_name
    if last.project is None or last.cluster is None:
        rebuilt.problems.append("its last manifest is of an older Logkeep and tells neither its project nor its nodes")
        return
    with writing(context.database) as connection:
        if clusters.fetch_cluster(connection, last.cluster_id):
            rebuilt.state = State.KNOWN
            return
        cluster = _insert_cluster(connection, last.project, last.cluster, rebuilt)
        records = _Records(connection, cluster.id, _setting_of(context, connection, cluster, last.setting, rebuilt))
        for number, (link, manifest, problem) in enumerate(_proven(context, chain), 1):
            if problem and not unproven:
                raise Unproven(f"{problem}; nothing of this cluster was put in")
            rebuilt.problems += [problem] if problem else []
            records.add(link, manifest, number)
        records.finish()
    rebuilt.state = State.REBUILT
    rebuilt.records, rebuilt.objects, rebuilt.size = records.jobs, records.objects, records.size


def _proven(context: Context, chain: Chain) -> Iterator[tuple[Found, Manifest, str]]:
    """Each manifest of the chain, and what is wrong with its signature."""
    signed = False
    for link in chain.links:
        manifest, data = _read(context, link)
        problem = check_signature(
            find_store(context.stores, link.bucket),
            link.object,
            data,
            manifest,
            context.check_signature,
            signed_before=signed,
        )
        signed = signed or bool(manifest.key)
        yield link, manifest, f"{link.object}: {problem}" if problem else ""


def _read(context: Context, link: Found) -> tuple[Manifest, bytes]:
    data = find_store(context.stores, link.bucket).get(link.object)
    if manifest_hash(data) != link.sha256:
        raise StoreCorrupt(f"{link.object} changed while it was read; is a service writing to this bucket?")
    return decode_manifest(data), data


def _insert_cluster(connection: Connection, project: Project, cluster: Cluster, rebuilt: Rebuilt) -> Cluster:
    """Under its project, which an installation made anew knows by name only, and a name that is free."""
    found = keys.fetch_projects(connection, project_id=project.id) or keys.fetch_projects(connection, name=project.name)
    if not found:
        keys.insert_project(connection, project)
    owner = found[0] if found else project
    name, number = cluster.name, 0
    while clusters.fetch_cluster_page(connection, owner.id, offset=0, limit=1, name=name)[1]:
        number += 1
        name = f"{cluster.name}.~{number}"
    cluster = replace(cluster, project_id=owner.id, name=name)
    clusters.insert_cluster(connection, cluster)
    rebuilt.cluster_id, rebuilt.name, rebuilt.project = cluster.id, name, owner.name
    return cluster


def _setting_of(
    context: Context, connection: Connection, cluster: Cluster, setting: LogSetting | None, rebuilt: Rebuilt
) -> LogSetting | None:
    """Closed where another cluster has its place by now."""
    if setting is None:
        return None
    if problem := find_conflict(context, connection, cluster, setting.bucket, setting.base_path):
        rebuilt.problems.append(f"its log backup is closed: {problem}; then open it")
        return replace(setting, enabled=False, period=None, adaptive=False)
    note_place(connection, cluster.id, setting_place(setting.bucket, setting.base_path, cluster.name))
    return setting


class _Records:
    """Writes what the manifests of one cluster tell into its tables."""

    def __init__(self, connection: Connection, cluster_id: str, setting: LogSetting | None) -> None:
        self._connection = connection
        self._cluster_id = cluster_id
        self._setting = setting
        self._generations = Generations()
        self._newest = 0  # creation of the newest job, Unix ms
        self.jobs = self.objects = self.size = 0

    def add(self, link: Found, manifest: Manifest, number: int) -> None:
        for told in manifest.earlier:
            self._add_job(1, manifest, told)
        told = Told(manifest.job, manifest.gaps, manifest.notes, manifest.warnings)
        self._add_job(link.attempt, manifest, told)
        moved = {manifest.job.bucket: link.bucket}  # the bucket may have another name here than it had then
        for segment in manifest.segments:
            self._add_segment(replace(segment, bucket=moved.get(segment.bucket, segment.bucket)), manifest)
        row = archive.ManifestRow(manifest.job.job_id, number, link.bucket, link.object, link.sha256)
        archive.insert_manifest(self._connection, self._cluster_id, row)
        note_place(self._connection, self._cluster_id, object_place(link.bucket, link.object))
        self._generations.add(manifest)

    def finish(self) -> None:
        for node, checkpoints in self._generations.checkpoints().items():
            archive.save_checkpoints(self._connection, self._cluster_id, node, checkpoints)
        if self._setting:  # a daily moment that passed since the last job is made up for
            log_settings.save_setting(self._connection, self._setting)
            if self._setting.period:
                due_at = next_start(self._setting.period, self._cluster_id, self._newest, 0)
                log_settings.plan_policy(self._connection, self._cluster_id, self._setting.updated_at, due_at)

    def _add_job(self, attempt: int, manifest: Manifest, told: Told) -> None:
        job = told.job
        cleared = self._setting.failures_cleared_at if self._setting else 0
        if job.status is JobStatus.FAIL and (job.finished_at or 0) <= cleared:
            return
        jobs.insert_job(self._connection, job, attempt=attempt, manifest_job_id=manifest.job.job_id)
        for gap in told.gaps:
            archive.insert_findings(self._connection, job.job_id, gap.node, [gap])
        archive.insert_findings(self._connection, job.job_id, "", told.notes)
        save_warnings(self._connection, self._cluster_id, job.job_id, told.warnings)
        self._newest = max(self._newest, job.created_at)
        self.jobs += 1

    def _add_segment(self, segment: Segment, manifest: Manifest) -> None:
        name = parse_object(segment.object)
        job_id = name.job_id if name else manifest.job.job_id
        archive.insert_segment(self._connection, self._cluster_id, job_id, segment, manifest.job.job_id)
        self.objects += 1
        self.size += segment.end - segment.start
