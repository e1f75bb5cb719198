"""Verification of a cluster's archive: object sizes, the bytes of some or all objects, and foreign objects."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from math import ceil
from typing import cast

from logkeep.archive.orphans import ClusterPrefix, UnknownObject, Verdict, object_prefix
from logkeep.archive.verify import Damage, check_size, count_lines, read_back, whole_segment
from logkeep.database import clusters, generations, retention, segments, verifications
from logkeep.database.connection import reading, writing
from logkeep.database.segments import SegmentRow
from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import (
    Chain,
    Finding,
    Orphans,
    Progress,
    Removed,
    Unproven,
    Verification,
    VerificationEvent,
)
from logkeep.errors import BucketMissing, CatalogueBehind, ChainForked, JobError, StoreError
from logkeep.service.chain import check_manifests, find_heads
from logkeep.service.heads import expect_none_newer
from logkeep.service.orphans import OrphanScanner, find_prefixes
from logkeep.service.removal_check import check_entries
from logkeep.service.removal_entries import take_up_entries
from logkeep.service.runtime import Runtime
from logkeep.service.search_index import check_indexes
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import ObjectStore, StoredObject, expect_bucket, find_store

READERS = min(4, os.cpu_count() or 1)  # decompressing and hashing are CPU-bound, and a remote bucket adds waiting
_UNREADABLE = 3  # unreadable objects in a row after which the store counts as failed, though it can be listed
_BATCH = 500  # objects that are no segment's, looked up together
_MARKED = 200  # objects whose time of reading is written in one transaction
_LONGEST_PROBLEM = 500
_RETRY_MS = 3_600_000  # pause after a scheduled verification that failed to run


def verify(
    runtime: Runtime,
    cluster: Cluster,
    *,
    read_data: bool = False,
    sample: float = 0.0,
    chain: bool = False,
    noted: str = "",
    readers: int = READERS,
) -> Iterator[VerificationEvent]:
    """Compare the bucket with the catalogue and its manifests; the result is stored as the last verification.

    With `read_data`, every byte is read back; with `sample`, that percentage of the objects, those read longest ago
    first. `chain` also proves the manifests by their signatures, and so every byte that they name. `noted` is the hash
    of a manifest that must be in the chain.
    """
    with reading(runtime.database) as connection:
        before = verifications.fetch_verification(connection, cluster.id).started_at
    started_at = max(runtime.clock.now_ms(), (before or 0) + 1)
    with writing(runtime.database) as connection:
        verifications.begin_verification(connection, cluster.id, before, started_at)
    percent = 100.0 if read_data or chain else sample
    told = _tell(runtime, cluster, percent, chain=chain, noted=noted, readers=readers)
    yield from _recorded(runtime, cluster, before, started_at, told)


def verify_most_due(
    runtime: Runtime, every_ms: int, sample: float
) -> tuple[Cluster, Generator[VerificationEvent]] | None:
    """Begin the verification of the cluster that is most overdue; None if none is due."""
    now = runtime.clock.now_ms()  # later than when the last one began
    with reading(runtime.database) as connection:
        due = verifications.fetch_most_due(connection, now - every_ms, now - min(every_ms, _RETRY_MS))
        cluster = clusters.fetch_cluster(connection, due[0]) if due else None
    if due is None or cluster is None:
        return None
    before = due[1]
    with writing(runtime.database) as connection:
        if not verifications.begin_verification(connection, cluster.id, before, now):
            return None
    told = _tell(runtime, cluster, sample, chain=False, noted="", readers=1)
    return cluster, _recorded(runtime, cluster, before, now, told)


def get_verification(runtime: Runtime, cluster: Cluster) -> Verification:
    """Return the result of the last verification, and why a later one failed to run."""
    with reading(runtime.database) as connection:
        return verifications.fetch_verification(connection, cluster.id)


def _recorded(
    runtime: Runtime, cluster: Cluster, before: int | None, started_at: int, told: Iterator[VerificationEvent]
) -> Generator[VerificationEvent]:
    """Store the result of a verification once it has ended; an interrupted one does not count.

    If it failed to run, only the reason is stored: its findings are incomplete.
    """
    result = Verification(started_at)
    ended, failure = False, ""
    try:
        for one in told:
            result = _counted(result, one)
            yield one
        ended = True
    except Exception as error:
        failure = str(error) if isinstance(error, JobError) else "unexpected error; the service's log tells more"
        if isinstance(error, MemoryError):
            failure = "the service has too little memory to read objects back; give it more"
        raise
    finally:
        finished_at = max(runtime.clock.now_ms(), started_at)
        with writing(runtime.database) as connection:
            if ended:
                verifications.end_verification(connection, cluster.id, replace(result, finished_at=finished_at))
            elif failure:
                verifications.fail_verification(connection, cluster.id, finished_at, failure[:_LONGEST_PROBLEM])
            else:
                verifications.give_up_verification(connection, cluster.id, started_at, before)


def _counted(result: Verification, told: VerificationEvent) -> Verification:
    match told:
        case Progress():
            return replace(result, objects=told.objects, bytes=told.bytes, objects_read=told.objects_read)
        case Finding():
            said = f"{told.object}: {told.problem}" if told.object else told.problem
            problem = result.problem or said[:_LONGEST_PROBLEM]
            return replace(result, findings=result.findings + 1, problem=problem)
        case Orphans() | Unproven() | Chain() | Removed():
            return result


def _tell(
    runtime: Runtime, cluster: Cluster, percent: float, *, chain: bool, noted: str, readers: int
) -> Iterator[VerificationEvent]:
    signers = set[str]()

    def find_signer(data: bytes, signature: bytes) -> str:
        signer = runtime.signing.find_signer(data, signature)
        signers.update({signer} - {""})
        return signer

    take_up_entries(runtime, cluster)
    entries = check_entries(runtime, cluster, find_signer, contents=chain)
    for name, problem in entries.problems:
        yield Finding(node="", family="", object=name, problem=problem, job_id="")
    for name, problem, job_id in check_manifests(runtime, cluster, entries, find_signer, contents=chain, noted=noted):
        yield Finding(node="", family="", object=name, problem=problem, job_id=job_id)
    try:
        expect_none_newer(runtime, cluster)
    except (CatalogueBehind, ChainForked) as error:
        yield Finding(node="", family="", object="", problem=error.message, job_id="")
    (proven, head), (unproven, unproven_head) = find_heads(runtime, cluster)
    if chain:
        yield Chain(proven, head, tuple(sorted(signers)), len(entries.rows), entries.head)
    if unproven_head:
        yield Unproven(unproven, unproven_head)
    with closing(_Walk(runtime, cluster, percent, readers)) as walk:
        yield from walk.run()
    yield from _tell_removed(runtime, cluster)
    yield from _check_indexes(runtime, cluster, read=percent >= 100)


def _tell_removed(runtime: Runtime, cluster: Cluster) -> Iterator[Removed]:
    with reading(runtime.database) as connection:
        objects, _, _ = retention.sum_removed(connection, cluster.id)
        waiting = retention.fetch_waiting(connection, cluster.id)
    if objects:
        yield Removed(objects, waiting.objects, waiting.stored)


def _check_indexes(runtime: Runtime, cluster: Cluster, *, read: bool) -> Iterator[Finding]:
    """Yield the index objects that search does not use. Nothing of the archive is lost with them."""
    remedy = "search reads more without it; `logkeep index CLUSTER` makes it anew"
    for name, problem in check_indexes(runtime, cluster, cluster_stores(runtime, cluster.id), read=read):
        yield Finding(node="", family="", object=name, problem=f"index: {problem}; {remedy}", job_id="")


_Pending = tuple[SegmentRow, int | None, "Future[list[Damage]] | None"]


class _Walk:
    """Merge of the catalogue's segments with the listing of the bucket, both sorted by name."""

    def __init__(self, runtime: Runtime, cluster: Cluster, percent: float, readers: int) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._stores = cluster_stores(runtime, cluster.id)
        places = find_prefixes(runtime, cluster)
        self._listings = {place: _Listing(self._stores[place.bucket], place) for place in places}
        self._scanner = OrphanScanner(runtime, cluster, places)
        self._turns = _Turns(runtime, cluster, percent)
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="verify")
        self._ahead = 2 * readers
        self._pending: deque[_Pending] = deque()
        self._failures = 0  # unreadable objects, in a row
        self._orphans = Orphans(0, 0)
        with reading(runtime.database) as connection:
            self._total, self._total_bytes = segments.fetch_segment_totals(connection, cluster.id)
        self._objects = self._bytes = 0

    def run(self) -> Iterator[VerificationEvent]:
        unknown: list[tuple[ClusterPrefix, StoredObject]] = []
        for event in self._match():
            if isinstance(event[0], ClusterPrefix):
                unknown.append(cast("tuple[ClusterPrefix, StoredObject]", event))
                if len(unknown) >= _BATCH:
                    yield from self._scan(unknown)
            else:
                self._pending.append(self._begin(*cast("tuple[SegmentRow, int | None]", event)))
                yield from self._finish(self._ahead)
        yield from self._finish(0)
        yield from self._scan(unknown)
        yield self._orphans

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._turns.save()

    def _match(self) -> Iterator[tuple[SegmentRow, int | None] | tuple[ClusterPrefix, StoredObject]]:
        """Yield each segment with the size of its object, and each object that is no segment's."""
        for row in segments.fetch_segments_by_object(self._runtime.database, self._cluster.id):
            listing = self._listing(object_prefix(row.bucket, row.object))
            if listing:
                yield from listing.pass_over(row.object)
            yield row, listing.take(row.object) if listing else None
        for listing in self._listings.values():
            yield from listing.pass_over(None)

    def _listing(self, place: ClusterPrefix) -> _Listing | None:
        """Return the listing of a place; None if its bucket is no longer configured."""
        store = self._stores.get(place.bucket)
        if store and place not in self._listings:
            self._listings[place] = _Listing(store, place)
        return self._listings.get(place)

    def _begin(self, row: SegmentRow, size: int | None) -> _Pending:
        """Begin to read the object back in another thread, if it is its turn."""
        store = self._stores.get(row.bucket)
        if store and (self._turns.takes(row) or (self._turns.any and size not in {None, row.stored})):
            return row, size, self._pool.submit(_read_row, store, row)
        return row, size, None

    def _finish(self, ahead: int) -> Iterator[VerificationEvent]:
        """Yield the results of the objects read so far, in order; wait until at most `ahead` are pending."""
        while self._pending and (len(self._pending) > ahead or not self._pending[0][2]):
            row, size, being_read = self._pending.popleft()
            damages = self._result(row, size, being_read)
            if being_read or damages:
                self._turns.mark(row, damaged=bool(damages), read=being_read is not None)
            for damage in damages:
                yield self._finding(damage, row)
            self._objects, self._bytes = self._objects + 1, self._bytes + row.stored
            yield Progress(
                objects=self._objects,
                objects_total=self._total,
                bytes=self._bytes,
                bytes_total=self._total_bytes,
                objects_read=self._turns.read,
            )

    def _result(self, row: SegmentRow, size: int | None, being_read: Future[list[Damage]] | None) -> list[Damage]:
        if not being_read and size == row.stored:
            return []
        try:
            found = being_read.result() if being_read else self._check_size(row)
            self._failures = 0
            return found
        except BucketMissing:
            raise
        except StoreError as error:
            self._failures += 1
            if self._failures >= _UNREADABLE:
                raise
            expect_bucket(self._stores[row.bucket])
            return [whole_segment(row.segment(), f"cannot be read: {error}")]

    def _check_size(self, row: SegmentRow) -> list[Damage]:
        """Check the size with a new request: the object may have appeared since the folder was listed."""
        return check_size(row.segment(), find_store(self._stores, row.bucket).size(row.object))

    def _finding(self, damage: Damage, row: SegmentRow) -> Finding:
        segment = damage.segment
        with reading(self._runtime.database) as connection:
            lines_before = segments.fetch_lines_before(connection, self._cluster.id, segment)
            known = generations.fetch_generation(connection, self._cluster.id, segment.node, segment.generation)
        there = segment.node in {node.name for node in self._cluster.nodes if node.gone_at is None}
        return Finding(
            node=segment.node,
            family=segment.family,
            object=segment.object,
            problem=damage.problem,
            job_id=row.job_id,
            generation=segment.generation,
            start=damage.start,
            end=damage.end,
            lines=count_lines(lines_before, damage),
            first_time=damage.first_time,
            last_time=damage.last_time,
            on_node=there and known is not None and known.present and row.read_at != segments.LOST,
        )

    def _scan(self, unknown: list[tuple[ClusterPrefix, StoredObject]]) -> Iterator[Finding]:
        for verdict, unknown_object in self._scanner.scan(unknown):
            if verdict is Verdict.ORPHAN:
                left = self._orphans
                self._orphans = Orphans(left.objects + 1, left.bytes + unknown_object.object.size)
            else:
                yield _foreign(unknown_object)
        unknown.clear()


def _read_row(store: ObjectStore, row: SegmentRow) -> list[Damage]:
    return read_back(store, row.segment())


def _foreign(unknown_object: UnknownObject) -> Finding:
    """Return the finding, without a job: the job id in the object's name proves nothing."""
    return Finding(
        node="",
        family="",
        object=unknown_object.object.name,
        problem="foreign: nothing in the catalogue tells of it",
        job_id="",
    )


class _Listing:
    """Objects of one place in the order of their names, with one object of lookahead."""

    def __init__(self, store: ObjectStore, place: ClusterPrefix) -> None:
        self._place = place
        self._objects = store.list(f"{place.folder}/")
        self._next: StoredObject | None = next(self._objects, None)

    def pass_over(self, name: str | None) -> Iterator[tuple[ClusterPrefix, StoredObject]]:
        """Yield all objects before `name`, or all that are left."""
        while (found := self._next) and (name is None or found.name < name):
            self._next = next(self._objects, None)
            yield self._place, found

    def take(self, name: str) -> int | None:
        """Return the size of an object and go on behind it; None if it is not listed."""
        found = self._next
        if found is None or found.name != name:
            return None
        self._next = next(self._objects, None)
        return found.size


class _Turns:
    """Selection of the objects to read back: those read longest ago, and those found damaged."""

    def __init__(self, runtime: Runtime, cluster: Cluster, percent: float) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._all = percent >= 100
        self.any = percent > 0
        self.read = 0
        self._marks: list[tuple[SegmentRow, int]] = []
        with reading(runtime.database) as connection:
            count, _ = segments.fetch_segment_totals(connection, cluster.id)
            wanted = ceil(round(count * percent / 100, 6))
            self._last = segments.fetch_turn(connection, cluster.id, wanted - 1) if wanted else None
            self._now = max(runtime.clock.now_ms(), segments.fetch_last_read(connection, cluster.id) + 1)

    def takes(self, row: SegmentRow) -> bool:
        if self._all or row.read_at < 0:  # what was found damaged is not said to be whole by its size
            return True
        return self._last is not None and row.turn <= self._last

    def mark(self, row: SegmentRow, *, damaged: bool, read: bool) -> None:
        """Record what was found of an object. A damaged one is read again each time, on top of the sample."""
        self.read += read
        self._marks.append((row, segments.DAMAGED if damaged else self._now))
        if len(self._marks) >= _MARKED:
            self.save()

    def save(self) -> None:
        with writing(self._runtime.database) as connection:
            segments.save_read(connection, self._cluster.id, self._marks)
        self._marks.clear()
