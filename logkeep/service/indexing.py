"""Making of the index objects of a cluster, from the segments that are kept."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import structlog

from logkeep.archive.frame_reader import FrameReader
from logkeep.archive.orphans import ClusterPrefix, object_prefix
from logkeep.database import clusters, indexing
from logkeep.database.connection import reading, writing
from logkeep.domain.archive_search import IndexProgress
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Segment
from logkeep.errors import Overloaded, StoreCorrupt, StoreMissing
from logkeep.search.index_object import FULL_BYTES, SegmentIndex, encode_index, index_segment
from logkeep.search.plan import KeptFrame
from logkeep.service.orphans import find_prefixes
from logkeep.service.runtime import Runtime
from logkeep.service.search_index import list_indexes, read_index
from logkeep.service.searched_logs import Reads
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import ObjectStore
from logkeep.stores.layout import index_object, signature_object

_CLAIM_MS = 120_000  # prolonged at work; so long nobody else begins where a process was killed
_PROLONGED_MS = 20_000
_RETRY_MS = 600_000  # before it is tried again by itself where it failed
_LATER_MS = 3_600_000  # before a cluster is looked at again of which too little is new
_WORTH_BYTES = 32 * 1024 * 1024  # plain bytes that are read as soon as an index of them
_WORTH_SEGMENTS = 200
_MOST_SEGMENTS = 10_000  # of one object
_MERGED = 32  # index objects of a node that are merged once there are as many, or more, that are not full
_AHEAD = 8 * 1024 * 1024  # plain bytes of frames that are read ahead
_log = structlog.get_logger("logkeep.search")


def index_next(runtime: Runtime) -> tuple[Cluster, Generator[IndexProgress]] | None:
    """Claim a cluster of which enough is new, and return the making of its index; None if there is none now."""
    now = runtime.clock.now_ms()
    while True:
        with reading(runtime.database) as connection:
            cluster_id = indexing.fetch_next_cluster(connection, now)
            cluster = clusters.fetch_cluster(connection, cluster_id) if cluster_id else None
        if cluster is None:
            return None
        with writing(runtime.database) as connection:
            if not indexing.claim_cluster(connection, cluster.id, now, now + _CLAIM_MS):
                continue
            count, size = indexing.count_unindexed(connection, cluster.id)
            if count < _WORTH_SEGMENTS and size < _WORTH_BYTES:
                indexing.release_cluster(connection, cluster.id, look_at=now + _LATER_MS)
                continue
        return cluster, _Indexer(runtime, cluster).run()


def index_cluster(runtime: Runtime, cluster: Cluster, *, rebuild: bool = False) -> Generator[IndexProgress]:
    """Make the index of all that has none, also where it was lost or damaged; with `rebuild` of everything, anew.

    Raises `Overloaded` immediately where it is being made already, and a `StoreError` while it works.
    """
    now = runtime.clock.now_ms()
    with writing(runtime.database) as connection:
        if not indexing.claim_cluster(connection, cluster.id, now, now + _CLAIM_MS):
            raise Overloaded(
                "The index of this cluster is being made just now; see later what is left. If the service was killed "
                "at it, that can be begun again after two minutes."
            )
    return _Indexer(runtime, cluster).run(rebuild=rebuild, compare=True)


@dataclass(slots=True)
class _Batch:
    """Entries of an index object that is not stored yet."""

    entries: list[SegmentIndex] = field(default_factory=list[SegmentIndex])
    segments: list[Segment] = field(default_factory=list[Segment])
    size: int = 0

    def add(self, segment: Segment, entry: SegmentIndex) -> None:
        self.entries.append(entry)
        self.segments.append(segment)
        self.size += entry.size + 100  # and its row

    @property
    def full(self) -> bool:
        return self.size >= FULL_BYTES or len(self.segments) >= _MOST_SEGMENTS


class _Indexer:
    """Makes the index of one cluster, which it has claimed."""

    def __init__(self, runtime: Runtime, cluster: Cluster) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._stores: Mapping[str, ObjectStore] = cluster_stores(runtime, cluster.id)
        self._segments = self._bytes = self._unreadable = 0
        self._total = self._total_bytes = 0
        self._claimed_at = runtime.clock.now_ms()

    def run(self, *, rebuild: bool = False, compare: bool = False) -> Generator[IndexProgress]:
        """Yield the progress behind each segment; give up the claim at the end.

        With `compare` what is known to be indexed is held against the index objects that are there.
        """
        look_at = self._runtime.clock.now_ms() + _RETRY_MS  # after an error
        try:
            if rebuild:
                self._forget()
            elif compare:
                self._forget_lost()
            self._adopt_known()
            with reading(self._runtime.database) as connection:
                self._total, self._total_bytes = indexing.count_unindexed(connection, self._cluster.id)
            due = indexing.fetch_unindexed(self._runtime.database, self._cluster.id)
            with closing(FrameReader(self._stores)) as reader:
                for node, of_node in groupby(due, key=lambda segment: segment.node):
                    yield from self._index_node(reader, node, of_node)
            self._measure()
            look_at = 0
        except GeneratorExit:  # nobody follows any more
            look_at = 0
            raise
        finally:
            with writing(self._runtime.database) as connection:
                indexing.release_cluster(connection, self._cluster.id, look_at)
        yield self._progress(done=True)

    def _forget(self) -> None:
        """Delete the index objects of the cluster, once nothing counts on them."""
        with writing(self._runtime.database) as connection:
            indexing.forget_indexed(connection, self._cluster.id)
        for place in self._places:
            store = self._stores[place.bucket]
            for found in list(store.list(f"{place.folder}/_index/")):
                store.delete(found.name)

    def _forget_lost(self) -> None:
        """Know what is not indexed any more, as an object is gone; delete those that are damaged or not signed."""
        indexed = indexing.fetch_indexed(self._runtime.database, self._cluster.id)
        for node, of_node in groupby(indexed, key=lambda segment: segment.node):
            told = {entry.sha256 for place in self._places for entry in self._entries(place, node, clear=True)}
            lost = [segment for segment in of_node if segment.sha256 not in told]
            with writing(self._runtime.database) as connection:
                indexing.mark_indexed(connection, self._cluster.id, lost, indexing.NOT_YET)

    def _adopt_known(self) -> None:
        """Mark what the index objects in the bucket tell of, where the database knows of none, as behind a rebuild."""
        with reading(self._runtime.database) as connection:
            new = [
                node
                for node in indexing.fetch_unindexed_nodes(connection, self._cluster.id)
                if not indexing.is_any_indexed(connection, self._cluster.id, node)
            ]
        for node in new:
            told = {entry.sha256 for place in self._places for entry in self._entries(place, node)}
            if not told:
                continue
            due = indexing.fetch_unindexed(self._runtime.database, self._cluster.id, node)
            known = [segment for segment in due if segment.sha256 in told]
            with writing(self._runtime.database) as connection:
                indexing.mark_indexed(connection, self._cluster.id, known)

    @cached_property
    def _places(self) -> list[ClusterPrefix]:
        return find_prefixes(self._runtime, self._cluster)

    def _entries(self, place: ClusterPrefix, node: str, *, clear: bool = False) -> Iterator[SegmentIndex]:
        """Yield what the index objects of a node tell; with `clear` delete those that tell nothing."""
        store = self._stores[place.bucket]
        for found in list_indexes(store, place, node):
            try:
                yield from read_index(self._runtime, store, found)
            except StoreCorrupt as error:
                _log.warning("index not used", object=found.name, error=str(error))
                if clear:
                    store.delete(found.name)
                    store.delete(signature_object(found.name))

    def _index_node(self, reader: FrameReader, node: str, due: Iterator[Segment]) -> Iterator[IndexProgress]:
        batches: dict[ClusterPrefix, _Batch] = {}
        for segment in due:
            place = object_prefix(segment.bucket, segment.object)
            batch = batches.setdefault(place, _Batch())
            try:
                batch.add(segment, index_segment(segment.sha256, _read(reader, segment)))
            except (StoreCorrupt, StoreMissing) as error:
                self._unreadable += 1
                _log.warning("segment not indexed", object=segment.object, error=str(error))
                with writing(self._runtime.database) as connection:
                    indexing.mark_indexed(connection, self._cluster.id, [segment], indexing.UNREADABLE)
            self._segments, self._bytes = self._segments + 1, self._bytes + segment.end - segment.start
            if batch.full:
                self._store(place, node, batches.pop(place))
            self._prolong()
            yield self._progress()
        for place, batch in batches.items():
            self._store(place, node, batch)
            self._merge(place, node)

    def _prolong(self) -> None:
        now = self._runtime.clock.now_ms()
        if now - self._claimed_at > _PROLONGED_MS:
            self._claimed_at = now
            with writing(self._runtime.database) as connection:
                indexing.prolong_claim(connection, self._cluster.id, now + _CLAIM_MS)

    def _store(self, place: ClusterPrefix, node: str, batch: _Batch) -> None:
        if not batch.entries:
            return
        self._put(place, node, batch.entries)
        with writing(self._runtime.database) as connection:
            indexing.mark_indexed(connection, self._cluster.id, batch.segments)

    def _put(self, place: ClusterPrefix, node: str, entries: list[SegmentIndex]) -> None:
        """Store an index object; its signature first, so that none is ever unsigned."""
        store, data = self._stores[place.bucket], encode_index(entries)
        name = index_object(place.folder, node, self._runtime.clock.now_ms(), secrets.token_hex(16))
        store.put(signature_object(name), [self._runtime.signing.sign(data)])
        store.put(name, [data])

    def _merge(self, place: ClusterPrefix, node: str) -> None:
        """Merge the oldest index objects of a node while many are small, so that a search reads few.

        A search that has listed them before reads the frames of those that are gone.
        """
        store = self._stores[place.bucket]
        small = deque(found for found in list_indexes(store, place, node) if found.size < FULL_BYTES)
        while len(small) >= _MERGED:
            entries: dict[str, SegmentIndex] = {}
            size, merged = 0, list[str]()
            while small and size < FULL_BYTES:
                found = small.popleft()
                merged.append(found.name)
                try:
                    entries |= {entry.sha256: entry for entry in read_index(self._runtime, store, found)}
                    size += found.size
                except (StoreCorrupt, StoreMissing) as error:
                    _log.warning("index not used", object=found.name, error=str(error))
                    merged.pop()  # verification tells of it
            if entries:
                self._put(place, node, list(entries.values()))
            for name in merged:
                store.delete(name)
                store.delete(signature_object(name))

    def _measure(self) -> None:
        """Save what the index of the cluster takes."""
        objects = size = 0
        for place in self._places:
            for found in self._stores[place.bucket].list(f"{place.folder}/_index/"):
                objects, size = objects + 1, size + found.size
        with writing(self._runtime.database) as connection:
            indexing.save_index_size(connection, self._cluster.id, objects, size)

    def _progress(self, *, done: bool = False) -> IndexProgress:
        return IndexProgress(self._segments, self._total, self._bytes, self._total_bytes, self._unreadable, done)


def _read(reader: FrameReader, segment: Segment) -> Iterator[bytes]:
    """Yield the plain bytes of the frames of a segment, of which the next ones are being read."""
    for begun in Reads(reader, [KeptFrame(segment, number) for number in range(len(segment.frames))], _AHEAD):
        assert begun  # nothing is live
        yield begun.result()
