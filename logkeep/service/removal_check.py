"""Checking the removal entries of a cluster in the catalogue against the objects in the buckets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from logkeep.archive.chain import FindSigner, find_flaw
from logkeep.archive.removal_chain import NameSet
from logkeep.database import retention
from logkeep.database.connection import reading
from logkeep.database.retention import EntryRow
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Segment
from logkeep.domain.removal_entry import RemovalEntry
from logkeep.errors import BucketMissing, StoreCorrupt, StoreError, StoreMissing
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import ObjectStore, expect_bucket, find_store
from logkeep.stores.layout import LARGEST_ENTRY, decode_removal_entry, manifest_hash


@dataclass(slots=True)
class CheckedEntries:
    """What was found of the removal entries of a cluster."""

    rows: list[EntryRow]  # in the catalogue, that a bucket has confirmed
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # object, and what is wrong with it
    planned: list[EntryRow] = field(default_factory=list[EntryRow])  # that no bucket has confirmed yet
    named: NameSet = field(default_factory=NameSet)  # name and hash of each object that is named, if they were decoded

    @property
    def head(self) -> str:
        """Return the hash of the last one, '' for none."""
        return self.rows[-1].sha256 if self.rows else ""

    def are_known(self, sha256: str) -> bool:
        """Return whether the catalogue has the entry that a manifest names; '' names none."""
        return not sha256 or any(row.sha256 == sha256 for row in self.rows)

    def name(self, segment: Segment) -> bool:
        """Return whether an entry says that this very object was removed."""
        return (segment.object, segment.sha256) in self.named


def check_entries(runtime: Runtime, cluster: Cluster, find_signer: FindSigner, *, contents: bool) -> CheckedEntries:
    """Hold each entry against the catalogue, and its signature; with `contents` also what it says of its place."""
    with reading(runtime.database) as connection:
        found = retention.fetch_entries(connection, cluster.id)
    rows = [row for row in found if row.stored_at is not None]
    stores = cluster_stores(runtime, cluster.id)
    checked = CheckedEntries(rows, planned=[row for row in found if row.stored_at is None])
    if contents:
        _add_planned(runtime, cluster, checked)
    before = ""
    for row in rows:
        try:
            flaw, entry = _read(stores, row, find_signer, contents=contents)
        except BucketMissing:
            raise
        except StoreError as error:
            expect_bucket(stores[row.bucket])
            checked.problems.append((row.object, error.message))
        else:
            problems = [flaw] if flaw else []
            if entry:
                problems += _check_contents(cluster, row, entry, before)
                for one in entry.segments:
                    checked.named.add(one.object, one.sha256)
            checked.problems += [(row.object, problem) for problem in problems]
        before = row.sha256
    return checked


def _add_planned(runtime: Runtime, cluster: Cluster, checked: CheckedEntries) -> None:
    """Add what planned entries name: no proof before the bucket has them, but why the catalogue has less."""
    for row in checked.planned:
        with reading(runtime.database) as connection:
            data = retention.fetch_entry_data(connection, cluster.id, row.number)
        for one in decode_removal_entry(data).segments if data else ():
            checked.named.add(one.object, one.sha256)


def _read(
    stores: Mapping[str, ObjectStore], row: EntryRow, find_signer: FindSigner, *, contents: bool
) -> tuple[str, RemovalEntry | None]:
    """Return why the signature of an entry proves nothing, and with `contents` the entry. Raises a `StoreError`."""
    store = find_store(stores, row.bucket)
    try:
        data = store.get(row.object, LARGEST_ENTRY)
    except StoreMissing as error:
        raise StoreMissing("removal entry missing") from error
    if manifest_hash(data) != row.sha256:
        raise StoreCorrupt("removal entry changed since it was written")
    flaw = find_flaw(store, row.object, data, find_signer)
    return flaw, decode_removal_entry(data) if contents else None


def _check_contents(cluster: Cluster, row: EntryRow, entry: RemovalEntry, before: str) -> list[str]:
    problems: list[str] = []
    if entry.cluster_id != cluster.id:
        problems.append("it is an entry of another cluster")
    if entry.object != row.object:
        problems.append(f"it was written as {entry.object}, and was moved or copied to where it lies")
    if entry.previous != before:
        problems.append("it does not follow the removal entry before it")
    if entry.number != row.number:
        problems.append(f"it says that it is removal entry {entry.number}, and is number {row.number}")
    return problems
