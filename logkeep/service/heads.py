"""Comparison of the catalogue's last manifest with the buckets, so that a restored database catches up before a backup.

Only manifests that may be newer are examined. Their names sort by the time of their jobs, so each place of the cluster
is listed from a day before the catalogue's last manifest on, in one request, and no known manifest is fetched.

A place that the database does not know is found by its pointer, an object beside the last manifest of the place before
(docs/backup-format.md).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from logkeep.archive.chain import SIGNATURE_BYTES
from logkeep.archive.heads import Beyond, follow, leave_out_settled
from logkeep.archive.orphans import ClusterPrefix, object_prefix, setting_prefix
from logkeep.archive.proof import Chain, Document, Entry, make_entry
from logkeep.archive.rebuild import Generations
from logkeep.database import clusters, findings, generations, jobs, log_settings, manifests, places, segments
from logkeep.database.connection import reading, writing
from logkeep.database.warnings import save_warnings
from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.causes import rebuild_command
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Manifest, Segment, UnreportedJob
from logkeep.domain.policy import next_start
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.errors import CatalogueBehind, ChainForked, JobSuperseded, StoreCorrupt, StoreError, StoreUnreachable
from logkeep.service.places import note_place
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores, setting_stores
from logkeep.stores.base import LARGEST_MANIFEST, ObjectStore
from logkeep.stores.layout import (
    ObjectKind,
    decode_manifest,
    decode_pointer,
    manifest_hash,
    manifests_from,
    parse_object,
    signature_object,
)

_OVERLAP_MS = 24 * 3_600_000  # names sort by the start of a job, not its end, and clocks of machines differ
_MOST_PLACES = 100
_UNTRUSTED_BYTES = LARGEST_MANIFEST  # of manifests that no trusted key signed, as each job reads them again
_LEAST_BYTES = 64 * 1024  # that each counts as, so that small ones do not come in any number
_POINTER_BYTES = 4096
_BATCH = 500
_MOST_TOLD = 10
_log = structlog.get_logger("logkeep.heads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """Manifests in the buckets that the catalogue does not have."""

    head: manifests.ManifestRow | None  # the catalogue's last proven manifest
    beyond: Beyond
    manifests: dict[str, Manifest]  # by hash
    unread: Counter[str]  # manifests that could not be read, by bucket
    buckets: tuple[str, ...]  # of the installation

    def refuse_strays(self) -> None:
        """Raise `ChainForked` if the bucket has manifests that do not follow the catalogue's last one."""
        if self.beyond.strays:
            own = f"{self.head.object} ({self.head.sha256})" if self.head else "no manifest at all"
            strays = sorted(self.beyond.strays, key=lambda one: (one.number, one.created_at), reverse=True)
            raise ChainForked(
                f"the database ends with {own}, and the bucket with {strays[0].object} ({strays[0].sha256}), which "
                "does not follow it: two services wrote there, or a manifest between them is missing. Put that back, "
                "or stop the other one. Where the database is to count, move out of _manifests, each with its .sig: "
                f"{tell_objects(strays)}. Where those are to count, move out the database's that they do not follow, "
                f"stop Logkeep, move its database away and run `{rebuild_command(self.buckets)}`"
            )


def stops_backups(chain: Chain, branch: Sequence[Entry]) -> bool:
    """Return whether a backup that continues this chain would find the branch, and so stop with `ChainForked`.

    A branch that ended more than `_OVERLAP_MS` before the chain is not listed any more.
    """
    end = branch[0]
    return not end.document.flaw and end.created_at >= chain.links[-1].created_at - _OVERLAP_MS


def tell_objects(entries: Sequence[Entry]) -> str:
    """Return the names of manifests for a message, at most `_MOST_TOLD`."""
    told = ", ".join(one.document.object for one in entries[:_MOST_TOLD])
    return told if len(entries) <= _MOST_TOLD else f"{told} and {len(entries) - _MOST_TOLD} more"


def find_newer(runtime: Runtime, cluster: Cluster, job: BackupJob | None = None) -> Newer:
    """Return proven manifests of the cluster that the catalogue does not have.

    Raises a `StoreError` if the bucket of `job`, which is running, fails; others that cannot be reached are skipped.
    """
    bucket = job.bucket if job else ""
    with reading(runtime.database) as connection:
        head = manifests.fetch_last_manifest(connection, cluster.id, proven=True)
        setting = log_settings.fetch_setting(connection, cluster.id)
        running = job or jobs.fetch_running_job(connection, cluster.id)
        known = [ClusterPrefix(*row) for row in places.fetch_places(connection, cluster.id)]
        since = _since(connection, head)
    known += [setting_prefix(one.bucket, one.base_path, cluster.name) for one in (setting, running) if one]
    if head:
        known.append(object_prefix(head.bucket, head.object))
    stores = setting_stores(runtime, setting)
    reader = _Reader(runtime, cluster, stores, bucket)
    for place, sizes in _listed(runtime, cluster, stores, known, since, bucket):
        reader.read(place, sizes)
    reader.log_unread()
    found = reader.found
    entries = [entry for entry, _ in found.values()]
    beyond = follow(head.sha256 if head else "", entries)
    if beyond.strays:
        beside = _read_beside(runtime, cluster, {one.number for one in beyond.strays})
        beyond = replace(beyond, strays=leave_out_settled(beside, beyond.strays))
    by_hash = {sha256: manifest for sha256, (_, manifest) in found.items()}
    return Newer(
        head=head,
        beyond=_without_own(runtime, cluster, beyond, by_hash),
        manifests=by_hash,
        unread=reader.unread,
        buckets=tuple(runtime.stores),
    )


class _Reader:
    """Reads manifests that the catalogue does not have. Anybody who may write to the bucket can put any number there.

    So much as `_UNTRUSTED_BYTES` is read of what no trusted key signed; what is left then is counted, as what fails is.
    """

    def __init__(self, runtime: Runtime, cluster: Cluster, stores: Mapping[str, ObjectStore], bucket: str) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._stores = stores
        self._bucket = bucket
        self._left = _UNTRUSTED_BYTES
        self.found: dict[str, tuple[Entry, Manifest]] = {}  # by hash
        self.unread = Counter[str]()  # by bucket

    def read(self, place: ClusterPrefix, sizes: Mapping[str, int]) -> None:
        """Read the manifests of a place. Raises `StoreUnreachable` if it lies in the bucket of the job."""
        store = self._stores[place.bucket]
        for name, size in sizes.items():
            try:
                if self._left <= 0:
                    raise StoreCorrupt("too many manifests beside it are not signed with a key of sign.pub")
                one = _read(store, self._runtime, place.bucket, name, size)
            except StoreUnreachable as error:  # it may be the next of the chain, which those after it need
                if place.bucket == self._bucket:
                    raise
                _log.warning("place not looked at", bucket=place.bucket, folder=place.folder, error=error.message)
                break
            except StoreError as error:
                if not self.unread:
                    _log.warning("manifest not looked at", bucket=place.bucket, object=name, error=error.message)
                self.unread[place.bucket] += 1
                continue
            if one is None:
                self._left -= max(size, _LEAST_BYTES)
            elif one[0].cluster_id == self._cluster.id and one[0].object == name:
                self.found[one[0].sha256] = one

    def log_unread(self) -> None:
        if self.unread.total() > 1:  # one line for all: there may be any number
            _log.warning("manifests not looked at", numbers=dict(self.unread))


def _read_beside(runtime: Runtime, cluster: Cluster, numbers: set[int]) -> Iterator[Entry]:
    """Yield the catalogue's own manifests of these numbers, to see which jobs they report as ended."""
    with reading(runtime.database) as connection:
        rows = manifests.fetch_manifests(connection, cluster.id)
    stores = cluster_stores(runtime, cluster.id)
    for row in rows:
        if row.proven and row.number in numbers and (store := stores.get(row.bucket)):
            with suppress(StoreError):
                one = _read(store, runtime, row.bucket, row.object)
                if one and one[0].sha256 == row.sha256:
                    yield one[0]


def _without_own(runtime: Runtime, cluster: Cluster, beyond: Beyond, manifests: dict[str, Manifest]) -> Beyond:
    """Leave out the manifest of a running job whose worker was killed before it was recorded in the database.

    Such a manifest names only segments of the catalogue, and nothing follows it; the next attempt writes another one.
    """
    if len(beyond.line) != 1:
        return beyond
    [entry] = beyond.line
    with reading(runtime.database) as connection:
        running = jobs.fetch_running_job(connection, cluster.id)
        if running is None or running.job_id != entry.job_id:
            return beyond
        known = all(
            segments.fetch_segment_object(connection, cluster.id, segment) == segment.object
            for segment in manifests[entry.sha256].segments
        )
    return Beyond((), beyond.strays) if known else beyond


def _listed(
    runtime: Runtime,
    cluster: Cluster,
    stores: Mapping[str, ObjectStore],
    known: Sequence[ClusterPrefix],
    since: int,
    bucket: str,
) -> Iterator[tuple[ClusterPrefix, dict[str, int]]]:
    """Yield the signed manifests of each place that may be newer and that the catalogue does not have, with sizes."""
    waiting = list(known)
    seen: set[ClusterPrefix] = set()
    while waiting and len(seen) < _MOST_PLACES:
        place = waiting.pop()
        if place in seen or place.bucket not in stores:
            continue
        seen.add(place)
        try:
            store = stores[place.bucket]
            after = manifests_from(place.folder, since) if since else ""
            sizes = {one.name: one.size for one in store.list(f"{place.folder}/_manifests/", after)}
            waiting += _pointed_to(store, sizes, cluster)
        except StoreError as error:
            if place.bucket == bucket:
                raise
            _log.warning("place not looked at", bucket=place.bucket, folder=place.folder, error=error.message)
            continue
        yield place, {name: sizes[name] for name in _unknown(runtime, _signed(sizes))}


def _since(connection: Connection, head: manifests.ManifestRow | None) -> int:
    """Return the Unix ms from which on manifests may be newer; 0 for all."""
    if head is None:
        return 0
    job = jobs.fetch_job(connection, head.job_id)
    return max(0, job.created_at - _OVERLAP_MS) if job else 0


def _pointed_to(store: ObjectStore, sizes: dict[str, int], cluster: Cluster) -> Iterator[ClusterPrefix]:
    for name, size in sizes.items():
        found = parse_object(name)
        if found and found.kind is ObjectKind.POINTER:
            with suppress(StoreCorrupt):  # too long to be a pointer
                if pointer := decode_pointer(store.get(name, _POINTER_BYTES, size), cluster.name):
                    yield object_prefix(pointer.bucket, pointer.object)


def _signed(sizes: dict[str, int]) -> list[str]:
    """Return the manifests that have an object of the size of a signature beside them."""
    return [
        name
        for name in sizes
        if (found := parse_object(name))
        and found.kind is ObjectKind.MANIFEST
        and sizes.get(signature_object(name)) == SIGNATURE_BYTES
    ]


def _unknown(runtime: Runtime, names: Sequence[str]) -> list[str]:
    """Return the manifests whose jobs have neither ended nor a recorded manifest.

    Any other manifest of an ended job is of a superseded attempt.
    """
    unknown: list[str] = []
    for at in range(0, len(names), _BATCH):
        part = {name: found.job_id for name in names[at : at + _BATCH] if (found := parse_object(name))}
        with reading(runtime.database) as connection:
            told = manifests.fetch_manifest_of_jobs(connection, list(part.values()))
            traces = jobs.fetch_traces(connection, list(part.values()))
        ended = {job_id for job_id, (_, status, _) in traces.items() if status is not JobStatus.RUNNING}
        unknown += [name for name, job_id in part.items() if job_id not in told and job_id not in ended]
    return unknown


def _read(
    store: ObjectStore, runtime: Runtime, bucket: str, name: str, size: int | None = None
) -> tuple[Entry, Manifest] | None:
    """Read a manifest, of `size` bytes as listed; None if no trusted key signed it.

    Raises a `StoreError` if it or its signature is gone, or damaged, or larger than any manifest.
    """
    signature = store.get(signature_object(name), SIGNATURE_BYTES)
    data = store.get(name, LARGEST_MANIFEST, size)
    if not runtime.signing.find_signer(data, signature):
        return None
    manifest = decode_manifest(data)
    return make_entry(Document(bucket, name, manifest_hash(data), ""), manifest), manifest


# Taking up --------------------------------------------------------------------------------------------------------


def take_up(runtime: Runtime, job: BackupJob, cluster: Cluster, attempt: int) -> None:
    """Put manifests that the catalogue does not have into it, before the job reads anything.

    All or none are taken up. Raises `ChainForked` if database and bucket have both gone on from one manifest,
    `JobSuperseded` if another attempt has begun or the job's own manifest was among them, and a `StoreError`.
    """
    newer = find_newer(runtime, cluster, job)
    newer.refuse_strays()
    line = newer.beyond.line
    warnings = [*([_behind(line)] if line else ()), *([_unread(newer.unread)] if newer.unread else ())]
    if not warnings:
        return
    with writing(runtime.database) as connection:
        if not jobs.is_current_attempt(connection, job.job_id, attempt):
            raise JobSuperseded()
        if line:
            taking = _Taking(connection, cluster, newer.buckets, runtime.policy.spread_ms)
            for entry in line:
                taking.add(entry, newer.manifests[entry.sha256])
            taking.finish(newer.manifests[line[-1].sha256])
        ended = not jobs.is_current_attempt(connection, job.job_id, attempt)
        if not ended:
            save_warnings(connection, cluster.id, job.job_id, warnings)
    if line:
        _log.warning("database was behind its bucket", cluster=cluster.id, manifests=len(line), last=line[-1].object)
    if ended:
        raise JobSuperseded("the bucket tells how this job ended")


def _behind(line: Sequence[Entry]) -> JobWarning:
    message = (
        f"the database was behind its bucket, as after it was put back from a copy: {len(line)} manifests up to "
        f"{line[-1].object} were taken up; keys, users and settings changed since that copy are as they were then"
    )
    return JobWarning(node="", family="", file="", code=WarningCode.CATALOGUE_BEHIND, message=message)


def _unread(unread: Mapping[str, int]) -> JobWarning:
    where = ", ".join(f"{number} of bucket {bucket}" for bucket, number in sorted(unread.items()))
    message = (
        f"manifests that the database does not know were not read: {where}; the log of the service names the first. "
        "Damaged ones and those of strangers do no harm, if none of this cluster is among them: move them out of "
        "_manifests, each with its .sig, and find out who may write to the bucket"
    )
    return JobWarning(node="", family="", file="", code=WarningCode.MANIFESTS_UNREAD, message=message)


def expect_none_newer(runtime: Runtime, cluster: Cluster) -> None:
    """Raise `ChainForked` or `CatalogueBehind` if the bucket has manifests that the catalogue does not have."""
    newer = find_newer(runtime, cluster)
    newer.refuse_strays()
    if newer.beyond.line:
        raise CatalogueBehind(
            f"the bucket has {len(newer.beyond.line)} manifests up to {newer.beyond.line[-1].object} that the database "
            "does not know, as after it was put back from a copy; the next backup of the cluster takes them up"
        )


class _Taking:
    """Writes newer manifests over the state of the catalogue."""

    def __init__(self, connection: Connection, cluster: Cluster, buckets: Sequence[str], spread_ms: int) -> None:
        self._connection = connection
        self._cluster = cluster
        self._buckets = buckets
        self._spread_ms = spread_ms
        self._generations = Generations()
        self._begun: defaultdict[str, set[int]] = defaultdict(set)  # generations of each node

    def add(self, entry: Entry, manifest: Manifest) -> None:
        for told in (*manifest.earlier, UnreportedJob(manifest.job, manifest.gaps, manifest.notes, manifest.warnings)):
            self._add_job(told, manifest.job.job_id, entry.attempt if told.job is manifest.job else 1)
        bucket = entry.document.bucket
        named: dict[str, set[int]] = defaultdict(set)
        for one in (*manifest.segments, *manifest.sightings):
            named[one.node].add(one.generation)
        for node, numbers in named.items():
            self._begin(node, numbers)
        for segment in manifest.segments:
            self._add_segment(segment, manifest.job.job_id)
        row = manifests.ManifestRow(
            manifest.job.job_id, entry.number, bucket, entry.object, entry.sha256, unproven=entry.unproven
        )
        manifests.insert_manifest(self._connection, self._cluster.id, row)
        note_place(self._connection, self._cluster.id, object_prefix(bucket, entry.object))
        self._generations.add(manifest)

    def finish(self, last: Manifest) -> None:
        """Write checkpoints, and the setting if it is newer; drop hints for the next backup, which are outdated."""
        for node, checkpoints in self._generations.checkpoints().items():
            new = [one for one in checkpoints if (node, one.generation) in self._generations.touched]
            generations.save_checkpoints(self._connection, self._cluster.id, node, new)
            clusters.save_listing(self._connection, self._cluster.id, node, digest="", unread=())
        setting = last.setting
        known = log_settings.fetch_setting(self._connection, self._cluster.id)
        if setting and (known is None or setting.updated_at > known.updated_at):
            log_settings.save_setting(self._connection, setting)
            if setting.period:
                due_at = next_start(setting.period, self._cluster.id, last.job.created_at, self._spread_ms)
                log_settings.plan_policy(self._connection, self._cluster.id, setting.updated_at, due_at)

    def _begin(self, node: str, numbers: set[int]) -> None:
        """Start from the catalogue's checkpoints of these generations."""
        new = numbers - self._begun[node]
        self._begun[node] |= new
        self._generations.begin(node, generations.fetch_checkpoints_of(self._connection, self._cluster.id, node, new))

    def _add_job(self, told: UnreportedJob, manifest_job_id: str, attempt: int) -> None:
        job, connection = told.job, self._connection
        known = jobs.fetch_job(connection, job.job_id)
        if known and known.status is not JobStatus.RUNNING:
            jobs.mark_job_told(connection, job.job_id, manifest_job_id)
            return
        if known:
            jobs.finish_job(connection, job)
            jobs.mark_job_told(connection, job.job_id, manifest_job_id)
        else:
            jobs.insert_job(connection, job, attempt=attempt, manifest_job_id=manifest_job_id)
        for gap in told.gaps:
            findings.insert_findings(connection, job.job_id, gap.node, [gap])
        findings.insert_findings(connection, job.job_id, "", told.notes)
        save_warnings(connection, self._cluster.id, job.job_id, told.warnings)

    def _add_segment(self, segment: Segment, manifest_job_id: str) -> None:
        there = segments.fetch_segment_object(self._connection, self._cluster.id, segment)
        if there == segment.object:
            segments.mark_segment_listed(self._connection, self._cluster.id, segment, manifest_job_id)
            return
        kept = self._generations.kept(segment)
        if there or (kept is not None and kept != segment.start):
            raise ChainForked(
                f"the database has kept other bytes of {segment.name} of node {segment.node} than the bucket's "
                f"manifests tell in {segment.object}; stop Logkeep, move its database away and make it anew with "
                f"`{rebuild_command(self._buckets)}`"
            )
        name = parse_object(segment.object)
        job_id = name.job_id if name else manifest_job_id
        segments.insert_segments(self._connection, self._cluster.id, job_id, [segment], manifest_job_id)
        self._generations.extend(segment)
