"""Search for objects in a cluster's folders that the catalogue does not name, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection

from logkeep.archive.chain import SIGNATURE_BYTES, find_flaw
from logkeep.archive.orphans import (
    ClusterPrefix,
    JobOrigin,
    UnknownObject,
    Verdict,
    classify,
    describe,
    object_prefix,
    setting_prefix,
)
from logkeep.database import jobs, log_settings, manifests, retention, segments
from logkeep.database.connection import reading
from logkeep.database.removed_segments import fetch_entry_names
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.errors import ObjectError, StoreCorrupt, StoreMissing
from logkeep.service.removal import read_removal
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import StoredObject
from logkeep.stores.layout import (
    ObjectKind,
    decode_manifest,
    is_index,
    is_removal,
    parse_object,
    signature_object,
    signed_manifest,
    signed_object,
)

_BATCH = 500  # objects that are looked up at a time


def find_prefixes(runtime: Runtime, cluster: Cluster) -> list[ClusterPrefix]:
    """Return every folder that may contain objects of the cluster."""
    with reading(runtime.database) as connection:
        targets = jobs.fetch_targets(connection, cluster.id)
        if setting := log_settings.fetch_setting(connection, cluster.id):
            targets.append((setting.bucket, setting.base_path))
        found = {setting_prefix(bucket, path, cluster.name) for bucket, path in targets}
        found |= {object_prefix(*row) for row in manifests.fetch_manifest_objects(connection, cluster.id)}
        found |= set(_segment_prefixes(connection, cluster.id))
    return sorted(prefix for prefix in found if prefix.bucket in runtime.stores)


def _segment_prefixes(connection: Connection, cluster_id: str) -> Iterator[ClusterPrefix]:
    """Loose index scan: one lookup per folder."""
    row = segments.fetch_next_object(connection, cluster_id, "")
    while row:
        prefix = object_prefix(*row)
        yield prefix
        row = segments.fetch_next_object(connection, cluster_id, f"{prefix.folder}0")  # '0' follows '/'


@dataclass(frozen=True, slots=True)
class _Doubts:
    """Signs in a folder's manifests that the catalogue is incomplete."""

    unknown_jobs: bool  # a job that is not in the catalogue has a manifest there
    job_ids: frozenset[str]  # known jobs with a manifest that may name segments missing from the catalogue


class OrphanScanner:
    """Finds orphans and foreign objects in the folders of one cluster."""

    def __init__(self, runtime: Runtime, cluster: Cluster, prefixes: Iterable[ClusterPrefix]) -> None:
        self._runtime = runtime
        self._stores = cluster_stores(runtime, cluster.id)
        self._cluster_id = cluster.id
        self._places = frozenset(prefixes)
        self._doubts: dict[ClusterPrefix, _Doubts] = {}

    def scan(self, found: Iterable[tuple[ClusterPrefix, StoredObject]]) -> Iterator[tuple[Verdict, UnknownObject]]:
        """Yield every orphan and foreign object."""
        objects = iter(found)
        while batch := [describe(prefix, one) for prefix, one in islice(objects, _BATCH)]:
            for unknown_object, origin in self._strangers(batch):
                verdict = self._judge(unknown_object, origin)
                if verdict is not Verdict.OTHER_CLUSTER:
                    yield verdict, unknown_object

    def look_again(self, unknown_object: UnknownObject) -> tuple[Verdict, JobOrigin | None]:
        """Return the current verdict on an object, and what is known of its job."""
        for one, origin in self._strangers([unknown_object]):
            return self._judge(one, origin), origin
        return Verdict.OTHER_CLUSTER, None

    def _strangers(self, batch: list[UnknownObject]) -> list[tuple[UnknownObject, JobOrigin | None]]:
        """Return the objects that the catalogue does not name.

        Jobs are fetched before segments: if a job has ended by then, all of its segments are committed.
        """
        job_ids = sorted({one.name.job_id for one in batch if one.name})
        with reading(self._runtime.database) as connection:
            traces, manifests = _fetch_traces(connection, job_ids)
            names = [one.object.name for one in batch]
            named = segments.fetch_named_segments(connection, self._cluster_id, names)
            named |= retention.fetch_removed_names(connection, self._cluster_id, names)
            named |= fetch_entry_names(connection, self._cluster_id, list(map(signed_manifest, names)))
        named |= manifests
        return [
            (one, traces.get(one.name.job_id) if one.name else None)
            for one in batch
            if one.object.name not in named and signed_manifest(one.object.name) not in named
        ]

    def _judge(self, unknown_object: UnknownObject, origin: JobOrigin | None) -> Verdict:
        verdict = classify(unknown_object, self._cluster_id, self._places, origin, doubtful=False)
        if verdict is Verdict.ORPHAN and self._is_doubtful(unknown_object, origin):
            verdict = Verdict.UNKNOWN
        if verdict is Verdict.UNKNOWN and (
            self._is_gone(unknown_object)
            if unknown_object.name
            else self._is_removal(unknown_object) or is_index(signed_object(unknown_object.object.name))
        ):
            return Verdict.OTHER_CLUSTER
        return verdict

    def _is_removal(self, unknown_object: UnknownObject) -> bool:
        """Return whether the object is a valid removal entry of this cluster, or the signature of one.

        An entry remains if the removal failed or was undone. Its signature is stored first, so after a crash there may
        be nothing but the signature.
        """
        store, name = self._stores[unknown_object.prefix.bucket], signed_object(unknown_object.object.name)
        if not is_removal(name):
            return False
        try:
            return read_removal(store, name, self._runtime.signing.find_signer).cluster_id == self._cluster_id
        except StoreMissing:
            alone = name != unknown_object.object.name and unknown_object.object.size == SIGNATURE_BYTES
            return alone and name.endswith(f"-{self._cluster_id}.json")
        except ObjectError:
            return False

    def _is_gone(self, unknown_object: UnknownObject) -> bool:
        """Return whether the object is gone: a job may have deleted it after it was listed."""
        return self._stores[unknown_object.prefix.bucket].size(unknown_object.object.name) is None

    def _is_doubtful(self, unknown_object: UnknownObject, origin: JobOrigin | None) -> bool:
        if unknown_object.prefix not in self._doubts:
            self._doubts[unknown_object.prefix] = self._find_doubts(unknown_object.prefix)
        doubts = self._doubts[unknown_object.prefix]
        assert unknown_object.name
        return doubts.unknown_jobs if origin is None else unknown_object.name.job_id in doubts.job_ids

    def _find_doubts(self, prefix: ClusterPrefix) -> _Doubts:
        """Read every manifest of the folder that is not in the catalogue: a segment that it names is no orphan."""
        store = self._stores[prefix.bucket]
        unknown = False
        contested: set[str] = set()
        manifests = ((prefix, found) for found in store.list(f"{prefix.folder}/_manifests/"))
        while batch := [describe(*one) for one in islice(manifests, _BATCH)]:
            for unknown_object, origin in self._strangers(batch):
                if unknown_object.name is None or unknown_object.name.kind is not ObjectKind.MANIFEST:
                    continue
                if origin is None:
                    unknown = True
                elif origin.cluster_id == self._cluster_id and self._names_more(unknown_object):
                    contested.add(unknown_object.name.job_id)
        return _Doubts(unknown, frozenset(contested))

    def _names_more(self, manifest: UnknownObject) -> bool:
        """Return whether a manifest is unsigned or unreadable, or names a segment that is not in the catalogue."""
        store, name = self._stores[manifest.prefix.bucket], manifest.object.name
        try:
            if store.size(signature_object(name)) != SIGNATURE_BYTES:
                return True  # unsigned: no need to read it
            data = store.get(name, size=manifest.object.size)
            if find_flaw(store, name, data, self._runtime.signing.find_signer):
                return True
            names = [segment.object for segment in decode_manifest(data).segments]
        except StoreMissing:
            return False
        except StoreCorrupt:
            return True
        with reading(self._runtime.database) as connection:
            return any(
                len(segments.fetch_named_segments(connection, self._cluster_id, part)) < len(part)
                for part in (names[at : at + _BATCH] for at in range(0, len(names), _BATCH))
            )


def _fetch_traces(connection: Connection, job_ids: Sequence[str]) -> tuple[dict[str, JobOrigin], set[str]]:
    """Return what is known of these jobs, and the names of their manifests.

    A job whose record was cleared is known by its segments; only records of failed jobs are ever cleared. In a rebuilt
    catalogue the number of attempts comes from the manifest's name.
    """
    known = jobs.fetch_traces(connection, job_ids)
    listed = manifests.fetch_manifest_of_jobs(connection, job_ids)
    found: dict[str, JobOrigin] = {}
    for job_id in job_ids:
        owner, name = listed.get(job_id, ("", ""))
        if job_id in known:
            parsed = parse_object(name)
            cluster_id, status, attempts = known[job_id]
            found[job_id] = JobOrigin(cluster_id, status, max(attempts, parsed.attempt if parsed else 0))
        elif owner := owner or segments.fetch_segment_owner(connection, job_id):
            found[job_id] = JobOrigin(owner, JobStatus.FAIL, 1)
    return found, {name for _, name in listed.values()}
