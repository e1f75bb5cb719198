"""What index objects tell of the frames that a search would read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from typing import NamedTuple

import structlog

from logkeep.archive.chain import find_flaw
from logkeep.archive.orphans import ClusterPrefix
from logkeep.archive.removal_chain import NameSet
from logkeep.database import segments
from logkeep.domain.cluster import Cluster
from logkeep.errors import ObjectError, StoreCorrupt, StoreError, StoreMissing
from logkeep.search.frame_filter import Needle
from logkeep.search.index_object import MOST_BYTES, SegmentIndex, decode_index, read_hashes
from logkeep.search.plan import KeptFrame, Ruling
from logkeep.service.orphans import find_prefixes
from logkeep.service.runtime import Runtime
from logkeep.stores.base import ObjectStore, StoredObject
from logkeep.stores.layout import index_folder, is_index, signature_object

_TABLE_BYTES = 4 * 1024 * 1024  # from the beginning of an index object, which hold the table of 10,000 segments
_log = structlog.get_logger("logkeep.search")


class _Rulings(NamedTuple):
    """Of the frames of a segment; bit i is frame i."""

    frames: int
    absent: int
    unended: int


class SearchIndex:
    """Rulings on frames, read node by node from the index objects that a trusted key signed.

    What is missing, damaged or not signed tells nothing, and the frames are read.
    """

    def __init__(
        self, runtime: Runtime, cluster: Cluster, stores: Mapping[str, ObjectStore], literals: Sequence[bytes]
    ) -> None:
        """`literals` are texts of which each line that is looked for contains all."""
        self._runtime = runtime
        self._cluster = cluster
        self._stores = stores
        self._needles = [needle for needle in map(Needle, literals) if needle.usable]
        self._nodes: dict[str, dict[bytes, _Rulings]] = {}
        self.missing = 0  # frames that were asked for of which nothing is known

    def consult(self, node: str, one: KeptFrame) -> Ruling | None:
        if not self._needles or not one.segment.object:  # what is live has none
            return None
        if node not in self._nodes:
            entries = read_node_index(self._runtime, self._stores, self._places, node)
            self._nodes[node] = {bytes.fromhex(entry.sha256): self._rule(entry) for entry in entries}
        known = self._nodes[node].get(bytes.fromhex(one.segment.sha256))
        if known is None or known.frames != len(one.segment.frames):
            self.missing += 1
            return None
        return Ruling(bool(known.absent >> one.number & 1), not known.unended >> one.number & 1)

    @cached_property
    def _places(self) -> list[ClusterPrefix]:
        return find_prefixes(self._runtime, self._cluster)

    def _rule(self, entry: SegmentIndex) -> _Rulings:
        absent = 0
        for number, filter_ in enumerate(entry.filters):
            if filter_ and not all(needle.may_be_in(filter_) for needle in self._needles):
                absent |= 1 << number
        return _Rulings(len(entry.filters), absent, sum(1 << number for number in entry.unended))


def list_indexes(store: ObjectStore, place: ClusterPrefix, node: str) -> list[StoredObject]:
    """List the index objects of a node in one place, oldest first. Raises a `StoreError`."""
    return [found for found in store.list(index_folder(place.folder, node)) if is_index(found.name)]


def read_node_index(
    runtime: Runtime, stores: Mapping[str, ObjectStore], places: Iterable[ClusterPrefix], node: str
) -> Iterator[SegmentIndex]:
    """Yield what the index objects of a node tell; those that cannot be read, or are not signed, are passed over."""
    for place in places:
        store = stores[place.bucket]
        for found in list_indexes(store, place, node):
            try:
                yield from read_index(runtime, store, found)
            except StoreError as error:
                _log.warning("index not used", object=found.name, error=str(error))


def check_indexes(
    runtime: Runtime, cluster: Cluster, stores: Mapping[str, ObjectStore], *, read: bool
) -> Iterator[tuple[str, str]]:
    """Yield the name of each index object that search does not use, and why; without `read` those without signature."""
    for place in find_prefixes(runtime, cluster):
        store = stores[place.bucket]
        sizes = {found.name: found for found in store.list(f"{place.folder}/_index/")}
        for name, found in sizes.items():
            if not is_index(name):
                continue
            if signature_object(name) not in sizes:
                yield name, "its signature is missing"
            elif read:
                try:
                    read_index(runtime, store, found)
                except ObjectError as error:
                    yield name, error.message


def delete_empty_indexes(
    runtime: Runtime, cluster: Cluster, stores: Mapping[str, ObjectStore], nodes: Iterable[str]
) -> int:
    """Delete the index objects of nodes that tell of nothing that is kept any more; return how many.

    Raises a `StoreError` where the bucket fails.
    """
    places = find_prefixes(runtime, cluster)
    deleted = 0
    for node in nodes:
        found = [
            (stores[place.bucket], one.name)
            for place in places
            for one in list_indexes(stores[place.bucket], place, node)
        ]
        kept = NameSet()
        for segment in segments.fetch_segments(runtime.database, cluster.id, node) if found else ():
            kept.add(segment.sha256)
        for store, name in found:
            if _tells_nothing(store, name, kept):
                store.delete(name)
                store.delete(signature_object(name))
                deleted += 1
    return deleted


def _tells_nothing(store: ObjectStore, name: str, kept: NameSet) -> bool:
    """Return whether an index object tells of nothing that is kept; its signature matters only to who believes it."""
    try:
        with closing(store.open(name)) as stream:
            hashes = read_hashes(stream.read(_TABLE_BYTES))
    except (StoreCorrupt, StoreMissing):  # verification tells of it; or it was merged with others
        return False
    return not any((sha256,) in kept for sha256 in hashes)


def read_index(runtime: Runtime, store: ObjectStore, found: StoredObject) -> list[SegmentIndex]:
    """Read an index object that a trusted key signed. Raises `StoreCorrupt` for any other, and other `StoreError`s."""
    data = store.get(found.name, MOST_BYTES, found.size)
    if flaw := find_flaw(store, found.name, data, runtime.signing.find_signer):
        raise StoreCorrupt(flaw)
    return decode_index(data)
