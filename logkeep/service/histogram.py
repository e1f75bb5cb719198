"""Counts of kept records, or of lines that match, over time: from the index where it tells, else by reading."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import groupby

from logkeep.archive.frame_reader import FrameReader
from logkeep.database import generations, segments
from logkeep.domain.archive_search import ArchiveQuery, SearchDamage, SearchEnd, SearchEvent, SearchProgress
from logkeep.domain.cluster import Cluster
from logkeep.domain.histogram import Interval
from logkeep.domain.manifest import Checkpoint
from logkeep.errors import StoreCorrupt, StoreMissing
from logkeep.search.count_plan import CountedFrame, Known, plan_counts
from logkeep.search.plan import KeptFrame
from logkeep.search.record_count import RecordCount
from logkeep.search.tally import Tally
from logkeep.service.archive_search import TELL_SECONDS, search_archive
from logkeep.service.orphans import find_prefixes
from logkeep.service.runtime import Runtime
from logkeep.service.search_index import read_node_index
from logkeep.service.searched_logs import Reads, expect_known, find_removed
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import ObjectStore


def count_over_time(
    runtime: Runtime, cluster: Cluster, query: ArchiveQuery, interval: Interval
) -> Iterator[SearchEvent]:
    """Yield progress and damage, then buckets in the order of time, and the end.

    With a text, lines that match are counted, each by time and level of its record; without one records, by those at
    their heads. Raises as `search_archive`, and `InvalidField` while counting where there are too many intervals.
    """
    tally = Tally(interval, query.wanted)
    if query.text:
        events = search_archive(runtime, cluster, replace(query, count=True, live=False), tally.add)
    else:
        logs = _fetch_logs(runtime, cluster, query)
        if not logs and (query.node or query.family):
            expect_known(runtime, cluster, query)
        events = _Counting(runtime, cluster, query, tally).run(logs)
    return _with_buckets(events, query, tally)


def _with_buckets(events: Iterator[SearchEvent], query: ArchiveQuery, tally: Tally) -> Iterator[SearchEvent]:
    for event in events:
        if isinstance(event, SearchEnd):
            yield from tally.buckets(query.order)
        yield event


_Logs = dict[tuple[str, int], Checkpoint]  # by node and generation


def _fetch_logs(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> _Logs:
    kept = generations.fetch_generations(runtime.database, cluster.id, node=query.node, family=query.family)
    return {(node, one.generation): one for node, one in kept if one.kept > one.first}


class _Counting:
    """Counts all records that are wanted, log by log."""

    def __init__(self, runtime: Runtime, cluster: Cluster, query: ArchiveQuery, tally: Tally) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._query = query
        self._tally = tally
        stores = cluster_stores(runtime, cluster.id)
        self._reader = FrameReader(stores)
        self._index = _CountIndex(runtime, cluster, stores, used=query.use_index)
        self._logs = self._frames = self._bytes = self._frames_read = self._bytes_read = 0
        self._damaged = self._ended = False  # the latter at a bound
        self._told_at = self._begun = time.monotonic()

    def run(self, logs: _Logs) -> Iterator[SearchEvent]:
        with closing(self._reader):
            kept = segments.fetch_segments(self._runtime.database, self._cluster.id, self._query.node) if logs else ()
            for (node, generation), of_log in groupby(kept, lambda segment: (segment.node, segment.generation)):
                log = logs.get((node, generation))
                if log is None:
                    continue
                if self._has_spent_all():
                    break
                frames = list[KeptFrame]()
                for segment in of_log:
                    if segment.start != (frames[-1].segment.end if frames else log.first):
                        yield self._note(node, log, f"bytes before {segment.start} are not in the catalogue")
                    frames += [KeptFrame(segment, number) for number in range(len(segment.frames))]
                yield from self._count_log(node, log, frames)
        yield from find_removed(self._runtime, self._cluster, self._query)
        yield SearchEnd(not (self._damaged or self._ended), self._progress(), None, self._index.missing)

    def _count_log(self, node: str, log: Checkpoint, frames: list[KeptFrame]) -> Iterator[SearchEvent]:
        self._logs += 1
        self._frames += len(frames)
        self._bytes += sum(one.frame.raw for one in frames)
        read = list[CountedFrame]()
        for one in plan_counts(frames, self._query.wanted, partial(self._index.consult, node)):
            if one.counts is None:
                read.append(one)
            elif not self._query.dry_run:
                self._tally.add_minutes(one.counts)
        if self._query.dry_run:
            self._frames_read += len(read)
            self._bytes_read += sum(one.kept.frame.raw for one in read)
        else:
            yield from self._read(node, log, read)
        yield from self._tell()

    def _read(self, node: str, log: Checkpoint, read: list[CountedFrame]) -> Iterator[SearchEvent]:
        count = RecordCount(self._query.wanted, self._tally)
        reads = Reads(self._reader, [one.kept for one in read])
        for one, begun in zip(read, reads, strict=True):
            if self._has_spent_all():
                break
            self._frames_read += 1
            self._bytes_read += one.kept.frame.raw
            assert begun  # nothing is live
            try:
                plain = begun.result()
            except (StoreCorrupt, StoreMissing) as error:
                yield self._note(node, log, str(error))
                continue
            count.feed(one, plain)
            yield from self._tell()
        count.finish()

    def _has_spent_all(self) -> bool:
        """Return whether as much was read, or as long, as is allowed."""
        query = self._query
        late = query.max_seconds and time.monotonic() - self._begun > query.max_seconds
        self._ended = self._ended or bool(late or (query.max_bytes and self._bytes_read >= query.max_bytes))
        return self._ended

    def _note(self, node: str, log: Checkpoint, problem: str) -> SearchDamage:
        self._damaged = True
        return SearchDamage(node, log.family, log.generation, problem)

    def _tell(self) -> Iterator[SearchEvent]:
        if time.monotonic() - self._told_at > TELL_SECONDS:
            self._told_at = time.monotonic()
            yield self._progress()

    def _progress(self) -> SearchProgress:
        return SearchProgress(
            hits=self._tally.total,
            logs=self._logs,
            frames=self._frames,
            frames_read=self._frames_read,
            bytes=self._bytes,
            bytes_read=self._bytes_read,
            partly=0,
        )


class _CountIndex:
    """Tables of the frames of one node at a time, from the index objects that a trusted key signed."""

    def __init__(self, runtime: Runtime, cluster: Cluster, stores: Mapping[str, ObjectStore], *, used: bool) -> None:
        self._runtime = runtime
        self._stores = stores
        self._places = find_prefixes(runtime, cluster) if used else []
        self._used = used
        self._node: str | None = None
        self._known: dict[bytes, list[Known]] = {}
        self.missing = 0  # frames that were asked for of which nothing is known

    def consult(self, node: str, one: KeptFrame) -> Known | None:
        if not self._used:
            return None
        if node != self._node:
            self._node, self._known = node, {}
            for entry in read_node_index(self._runtime, self._stores, self._places, node):
                known = [Known(table, at not in entry.unended) for at, table in enumerate(entry.minutes)]
                self._known[bytes.fromhex(entry.sha256)] = known
        known = self._known.get(bytes.fromhex(one.segment.sha256))
        if known is None or len(known) != len(one.segment.frames):
            self.missing += 1
            return None
        return known[one.number]
