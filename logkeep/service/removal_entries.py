"""Removal entries: signed objects that say what rules of retention removed, put into the bucket before anything goes.

A catalogue that lacks some, as one put back from a copy, takes them up. They count only if they are proven.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog
from sqlalchemy import Connection

from logkeep.archive.chain import find_flaw
from logkeep.archive.orphans import ClusterPrefix
from logkeep.archive.proof import Document, Link
from logkeep.archive.removal_chain import EntryChain, EntryLink, NameSet, make_link, prove_entries
from logkeep.database import manifests, places, retention
from logkeep.database.connection import reading, writing
from logkeep.database.removed_segments import TakenOut, ask_for_removal, take_out
from logkeep.domain.cluster import Cluster
from logkeep.domain.instant import earliest, latest
from logkeep.domain.job_detail import JobRemoved
from logkeep.domain.manifest import Segment
from logkeep.domain.removal_entry import RemovalEntry
from logkeep.domain.retention import Removal
from logkeep.errors import BucketMissing, StoreCorrupt, StoreError
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import ObjectStore, StoredObject, find_store, hash_object
from logkeep.stores.layout import (
    LARGEST_ENTRY,
    decode_removal_entry,
    is_segment,
    manifest_hash,
    parse_removal_entry,
    removal_entries_from,
    removal_entry_folder,
    signature_object,
    signed_object,
)

_OVERLAP_MS = 24 * 3_600_000  # clocks of machines differ
_log = structlog.get_logger("logkeep.retention")

# Reading --------------------------------------------------------------------------------------------------------


def find_documents(
    runtime: Runtime, store: ObjectStore, bucket: str, sizes: Mapping[str, int], cluster_id: str
) -> Iterator[Document | tuple[str, str]]:
    """Yield the entries of a cluster among listed objects, not decoded; name and problem of one that cannot be read."""
    for name, size in sizes.items():
        found = parse_removal_entry(name)
        if found and found.cluster_id == cluster_id:
            try:
                yield _find_document(runtime, store, bucket, name, size, sizes.get(signature_object(name), 0))
            except BucketMissing:
                raise
            except StoreError as error:
                yield name, error.message


def _find_document(runtime: Runtime, store: ObjectStore, bucket: str, name: str, size: int, signature: int) -> Document:
    if size > LARGEST_ENTRY:
        raise StoreCorrupt(f"it has {size} bytes; Logkeep writes at most {LARGEST_ENTRY} there")
    if not signature:  # only its hash can prove it, so that its bytes need not be held
        return Document(bucket, name, hash_object(store, name, size), "its signature is missing")
    data = store.get(name, LARGEST_ENTRY, size)
    flaw = find_flaw(store, name, data, runtime.signing.find_signer, signature)
    return Document(bucket, name, manifest_hash(data), flaw)


def read_entry(stores: Mapping[str, ObjectStore], document: Document, cluster_id: str) -> RemovalEntry:
    """Read an entry that is proven. Raises a `StoreError`."""
    data = find_store(stores, document.bucket).get(document.object, LARGEST_ENTRY)
    if manifest_hash(data) != document.sha256:
        raise StoreCorrupt("it changed while it was read; is a service writing to this bucket?")
    entry = decode_removal_entry(data)
    if entry.cluster_id != cluster_id:
        raise StoreCorrupt("it is an entry of another cluster")
    return entry


# Applying -------------------------------------------------------------------------------------------------------


def apply_entry(
    connection: Connection,
    cluster_id: str,
    entry: RemovalEntry,
    document: Document,
    is_there: Callable[[str, str], bool] | None = None,
) -> list[TakenOut]:
    """Take what a proven entry names out of a catalogue that does not know the entry, and return it.

    Objects that lie in their bucket yet are to be removed by the next run of the retention: those of which `is_there`
    says so, by bucket and name; all without it.
    """
    taken = take_out(connection, cluster_id, entry.segments)
    row = retention.EntryRow(
        number=entry.number,
        bucket=document.bucket,
        object=document.object,
        sha256=document.sha256,
        removed_at=entry.removed_at,
        stored_at=entry.removed_at,
    )
    record_entry(connection, cluster_id, row, taken, is_there)
    return taken


def record_entry(
    connection: Connection,
    cluster_id: str,
    entry: retention.EntryRow,
    taken: Sequence[TakenOut],
    is_there: Callable[[str, str], bool] | None = None,
) -> None:
    """Record an entry: what of each log and of each job was removed with it, and the objects that are to be removed.

    These are the ones of which `is_there` says so, by bucket and name; all without it.
    """
    retention.insert_entry(connection, cluster_id, entry)
    left = [
        retention.RemovedObject(one.bucket, one.segment.object, entry.number, one.segment.stored)
        for one in taken
        if is_there is None or is_there(one.bucket, one.segment.object)
    ]
    retention.insert_removed_objects(connection, cluster_id, left)
    logs: defaultdict[tuple[str, str, str], list[Segment]] = defaultdict(list)
    of_jobs: defaultdict[str, list[Segment]] = defaultdict(list)
    for one in taken:
        logs[one.segment.node, one.segment.family, one.rule].append(one.segment)
        of_jobs[one.job_id].append(one.segment)
    retention.insert_removals(connection, cluster_id, [_removal(entry, *log, found) for log, found in logs.items()])
    removed = {job_id: JobRemoved(**_sum(found)) for job_id, found in of_jobs.items()}
    retention.add_removed_of_jobs(connection, cluster_id, removed)


def _removal(entry: retention.EntryRow, node: str, family: str, rule: str, removed: Sequence[Segment]) -> Removal:
    return Removal(
        number=entry.number,
        node=node,
        log=family,
        rule=rule,
        removed_at=entry.removed_at,
        first_time=earliest(one.first_time for one in removed),
        last_time=latest(one.last_time for one in removed),
        sha256=entry.sha256,
        **_sum(removed),
    )


def _sum(removed: Sequence[Segment]) -> dict[str, int]:
    return {
        "objects": len(removed),
        "raw": sum(one.end - one.start for one in removed),
        "stored": sum(one.stored for one in removed),
        "lines": sum(one.lines for one in removed),
    }


# Taking up ------------------------------------------------------------------------------------------------------


def take_up_entries(runtime: Runtime, cluster: Cluster, bucket: str = "") -> int:
    """Apply entries that the bucket has and the catalogue lacks, in their order; return how many.

    Manifests that the catalogue lacks are to be taken up before: an entry that follows one of these waits for it. A
    place that cannot be looked at is passed over, but for one in `bucket`. Raises a `StoreError`.
    """
    stores = cluster_stores(runtime, cluster.id)
    taken = 0
    for document in _find_newer(runtime, cluster, stores, bucket):
        try:
            entry = read_entry(stores, document, cluster.id)
        except StoreCorrupt as error:  # verification tells of it
            _log.warning("removal entry not looked at", object=document.object, error=error.message)
            continue
        with writing(runtime.database) as connection:
            if not _follows(connection, cluster.id, entry):  # as a copy, which must not hold up those behind it
                continue
            apply_entry(connection, cluster.id, entry, document)
            ask_for_removal(connection, cluster.id, runtime.clock.now_ms())
        taken += 1
    if taken:
        _log.warning("database was behind its bucket", cluster=cluster.id, removal_entries=taken)
    return taken


def _follows(connection: Connection, cluster_id: str, entry: RemovalEntry) -> bool:
    """Return whether an entry is the next one of the catalogue, which has the manifest that it follows."""
    retention.lock_retention(connection, cluster_id)
    last = retention.fetch_last_entry(connection, cluster_id)
    known = (row.sha256 for row in manifests.fetch_manifests(connection, cluster_id))
    return entry.previous == (last.sha256 if last else "") and entry.manifest in known


def _find_newer(runtime: Runtime, cluster: Cluster, stores: Mapping[str, ObjectStore], bucket: str) -> list[Document]:
    """Return entries signed with a trusted key that the catalogue does not have, by number."""
    with reading(runtime.database) as connection:
        rows = retention.fetch_entries(connection, cluster.id)
        found = [ClusterPrefix(*row) for row in places.fetch_places(connection, cluster.id)]
    since = max((row.removed_at for row in rows), default=0) - _OVERLAP_MS
    known = {row.object for row in rows}
    newer: list[tuple[int, Document]] = []
    for place in sorted(place for place in found if place.bucket in stores):
        try:
            newer += _unknown(runtime, stores[place.bucket], place, cluster.id, known, since)
        except StoreError as error:
            if place.bucket == bucket:
                raise
            _log.warning("place not looked at", bucket=place.bucket, folder=place.folder, error=error.message)
    return [document for _, document in sorted(newer, key=lambda one: (one[0], one[1].object))]


def _unknown(
    runtime: Runtime, store: ObjectStore, place: ClusterPrefix, cluster_id: str, known: set[str], since: int
) -> Iterator[tuple[int, Document]]:
    after = removal_entries_from(place.folder, since)
    sizes = {one.name: one.size for one in store.list(removal_entry_folder(place.folder), after)}
    # What has no signature is not even read: anybody may have put it there, by the hundred thousand.
    new = {
        name: size
        for name, size in sizes.items()
        if signed_object(name) not in known and (name.endswith(".sig") or signature_object(name) in sizes)
    }
    for found in find_documents(runtime, store, place.bucket, new, cluster_id):
        name = parse_removal_entry(found.object) if isinstance(found, Document) and not found.flaw else None
        if name and isinstance(found, Document):
            yield name.number, found


# For a catalogue that is made anew ------------------------------------------------------------------------------


def name_removals(links: Iterable[Link]) -> list[str]:
    """Return the hashes of the entries that proven manifests name, in their order."""
    return list(dict.fromkeys(link.entry.removal for link in links if link.proven and link.entry.removal))


class RemovalListing:
    """The removal entries and the segments of buckets, as they were listed."""

    def __init__(self) -> None:
        self._sizes: defaultdict[str, dict[str, int]] = defaultdict(dict)  # of entries and signatures, by bucket
        self._segments = NameSet()
        self._buckets = set[str]()

    def add(self, bucket: str, thing: StoredObject) -> None:
        self._buckets.add(bucket)
        if parse_removal_entry(signed_object(thing.name)):
            self._sizes[bucket][thing.name] = thing.size
        elif is_segment(thing.name):
            self._segments.add(bucket, thing.name)

    def is_there(self, bucket: str, name: str) -> bool:
        """Return whether an object lies in its bucket, as far as that was listed."""
        return bucket not in self._buckets or (bucket, name) in self._segments

    def prove(self, runtime: Runtime, cluster_id: str, named: Sequence[str]) -> EntryChain:
        """Return the proven entries of a cluster; `named` are the hashes that its proven manifests name."""
        documents: list[Document] = []
        problems: list[tuple[str, str]] = []
        for bucket, sizes in self._sizes.items():
            for found in find_documents(runtime, find_store(runtime.stores, bucket), bucket, sizes, cluster_id):
                if isinstance(found, Document):
                    documents.append(found)
                else:
                    problems.append(found)

        def read(document: Document) -> EntryLink | None:
            try:
                return make_link(document, read_entry(runtime.stores, document, cluster_id))
            except BucketMissing:
                raise
            except StoreError as error:
                problems.append((document.object, error.message))
                return None

        chain = prove_entries(documents, named, read)
        return EntryChain(chain.links, (*problems, *chain.problems))
