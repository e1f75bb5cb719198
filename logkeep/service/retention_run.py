"""A run of the rules of a cluster: what goes is planned, told in the bucket by signed entries, and then removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from shlex import quote

import structlog
from sqlalchemy import Connection

from logkeep.database import kept_objects, manifests, retention, segments
from logkeep.database.bodies import decode_body
from logkeep.database.connection import reading, writing
from logkeep.database.removed_segments import TakenOut, move_beginnings
from logkeep.database.retention import EntryRow, RemovedObject
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Segment
from logkeep.domain.notice import Event
from logkeep.domain.removal_entry import MOST_REMOVED, RemovalEntry, RemovedSegment
from logkeep.domain.retention import DAY_MS, LONGEST_REASON, JudgedObject, RetentionProgress
from logkeep.errors import BucketMissing, LogkeepError, Overloaded, StoreError, StoreUnreachable
from logkeep.service.heads import expect_none_newer
from logkeep.service.notices import note_event
from logkeep.service.removal_entries import record_entry, take_up_entries
from logkeep.service.retention_judgement import Judgement, judge_objects, make_judgement
from logkeep.service.runtime import Runtime
from logkeep.service.search_index import delete_empty_indexes
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import find_store
from logkeep.stores.layout import (
    VERSION,
    encode_removal_entry,
    manifest_hash,
    parse_object,
    removal_entry_object,
    signature_object,
)

_CLAIM_MS = 120_000  # prolonged at work; so long nobody else begins where a process was killed
_PROLONGED_MS = 20_000
_RETRY_MS = 600_000  # before a run that broke off is tried again by itself
_FIRST_RETRY_MS = 60_000  # before an object is tried again that the bucket kept; doubled each time, up to a day
_AT_ONCE = 1000  # objects that are removed from the bucket at a time
_MOST_NAMES = 4 * 1024 * 1024  # characters of names in one entry, whose JSON stays below what is read of it
_log = structlog.get_logger("logkeep.retention")


def claim(runtime: Runtime, cluster: Cluster) -> int | None:
    """Claim the retention of a cluster; return until when, or None if another has claimed it."""
    now = runtime.clock.now_ms()
    with writing(runtime.database) as connection:
        return now + _CLAIM_MS if retention.claim_retention(connection, cluster.id, now, now + _CLAIM_MS) else None


class RetentionRun:
    """Carries out the rules of one cluster, which it has claimed."""

    def __init__(self, runtime: Runtime, cluster: Cluster, claimed: int) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._claimed = claimed
        self._claimed_at = runtime.clock.now_ms()
        self._stores = cluster_stores(runtime, cluster.id)
        self._progress = RetentionProgress()

    def run(self, *, plans: bool) -> Generator[RetentionProgress]:
        """Finish what is left over, and where it `plans` remove what the rules let go; yield the progress.

        Raises a `StoreError` if the bucket fails, and `CatalogueBehind` or `ChainForked` if it has manifests that are
        not in the database. The claim is given up at the end.
        """
        now = self._runtime.clock.now_ms()
        try:
            yield from self._steps(plans=plans)
        except GeneratorExit:  # nobody follows any more
            self._release(look_at=now)
            raise
        except Exception as error:
            told = str(error) if isinstance(error, LogkeepError) else "unexpected error; the service's log tells more"
            ran = {"ran_at": now} if plans else {}
            self._release(look_at=now + _RETRY_MS, problem=told[:LONGEST_REASON], **ran)
            raise
        with reading(self._runtime.database) as connection:
            look_at = retention.fetch_next_look(connection, self._cluster.id)
        self._release(look_at=look_at, problem="", **({"ran_at": now} if plans else {}))
        yield replace(self._progress, done=True)

    def _steps(self, *, plans: bool) -> Iterator[RetentionProgress]:
        self._store_entries()
        yield from self._remove_objects()
        if plans:
            expect_none_newer(self._runtime, self._cluster)  # rules would count jobs that are not the last ones
            take_up_entries(self._runtime, self._cluster)
            with reading(self._runtime.database) as connection:
                rules = retention.fetch_rules(connection, self._cluster.id)
            if any(one.confirmed_at is not None for one in rules):
                yield from self._remove_out(make_judgement(self._runtime, self._cluster, rules))

    def _remove_out(self, judgement: Judgement) -> Iterator[RetentionProgress]:
        nodes = set[str]()
        for batch in self._batches(judgement):
            if self._plan(judgement, batch):
                self._store_entries()
                yield from self._remove_objects()
                nodes |= {judged.kept.node for judged in batch}
        delete_empty_indexes(self._runtime, self._cluster, self._stores, sorted(nodes))

    # Plan -----------------------------------------------------------------------------------------------------------

    def _batches(self, judgement: Judgement) -> Iterator[list[JudgedObject]]:
        """Yield what goes, as much at a time as one entry tells."""
        batch, size = list[JudgedObject](), 0
        for judged in judge_objects(self._runtime, self._cluster, judgement):
            self._prolong()
            if not judged.goes:
                continue
            batch.append(judged)
            size += _count_names(judged)
            if len(batch) >= MOST_REMOVED or size >= _MOST_NAMES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _plan(self, judgement: Judgement, batch: Sequence[JudgedObject]) -> bool:
        """Take objects out of the catalogue that still go, with the entry that tells of them; False if none does."""
        with writing(self._runtime.database) as connection:
            retention.lock_retention(connection, self._cluster.id)
            self._expect_claimed(connection)
            goes = [
                _Going(judged, decode_body(body, Segment))
                for judged, body in judgement.judge_again(connection, self._cluster.id, batch)
                if judged.goes
            ]
            if not goes:
                return False
            ends = {(one.segment.node, one.segment.generation): one.segment.end for one in goes}  # they come in order
            kept_objects.delete_objects(connection, self._cluster.id, ends)
            move_beginnings(connection, self._cluster.id, ends)
            entry = self._make_entry(connection, goes)
            record_entry(connection, self._cluster.id, entry, [one.taken_out for one in goes])
        self._progress = replace(
            self._progress, entries=self._progress.entries + 1, planned=self._progress.planned + len(goes)
        )
        return True

    def _make_entry(self, connection: Connection, goes: Sequence[_Going]) -> EntryRow:
        """Return the entry behind the last one, as it will lie in the folder of the last manifest."""
        before = retention.fetch_last_entry(connection, self._cluster.id)
        last = manifests.fetch_last_manifest(connection, self._cluster.id, proven=True)
        place = parse_object(last.object) if last else None
        assert last, "what goes is named by a proven manifest"
        assert place, "the catalogue holds names of manifests only"
        number = before.number + 1 if before else 1
        # Never before the last one, though the clock was set back: who takes entries up looks for those behind it.
        now = max(self._runtime.clock.now_ms(), before.removed_at + 1 if before else 0)
        entry = RemovalEntry(
            version=VERSION,
            cluster_id=self._cluster.id,
            cluster_name=self._cluster.name,
            object=removal_entry_object(place.folder, now, number, self._cluster.id),
            number=number,
            previous=before.sha256 if before else "",
            manifest=last.sha256,
            removed_at=now,
            key=self._runtime.signing.key,
            segments=tuple(one.removed for one in goes),
        )
        data = encode_removal_entry(entry)
        return EntryRow(number, last.bucket, entry.object, manifest_hash(data), now, data)

    # Entries and objects --------------------------------------------------------------------------------------------

    def _store_entries(self) -> None:
        """Store the entries that are planned, each with its signature first. Raises a `StoreError`."""
        while True:
            with reading(self._runtime.database) as connection:
                entry = retention.fetch_next_planned(connection, self._cluster.id)
            if entry is None:
                return
            assert entry.data is not None, "it is kept until the bucket has confirmed the entry"
            store = find_store(self._stores, entry.bucket)
            store.put(signature_object(entry.object), [self._runtime.signing.sign(entry.data)])
            store.put(entry.object, [entry.data])
            with writing(self._runtime.database) as connection:
                self._expect_claimed(connection)
                now = self._runtime.clock.now_ms()
                retention.mark_entry_stored(connection, self._cluster.id, entry.number, now)

    def _remove_objects(self) -> Iterator[RetentionProgress]:
        """Remove the objects that are due; those that the bucket keeps are tried again later."""
        while True:
            self._prolong()
            with reading(self._runtime.database) as connection:
                now = self._runtime.clock.now_ms()
                due = retention.fetch_due_objects(connection, self._cluster.id, now, _AT_ONCE)
            if not due:
                return
            for bucket, some in _by_bucket(due).items():
                self._remove_from(bucket, some, now)
            yield self._progress

    def _remove_from(self, bucket: str, due: Sequence[RemovedObject], now: int) -> None:
        errors = self._try_to_remove(bucket, due)
        away = next((error for error in errors if isinstance(error, BucketMissing | StoreUnreachable)), None)
        gone = [one for one, error in zip(due, errors, strict=True) if error is None]
        kept = [
            _postponed(one, error, now)
            for one, error in zip(due, errors, strict=True)
            if error is not None and error is not away
        ]
        with writing(self._runtime.database) as connection:
            self._expect_claimed(connection)
            retention.delete_removed_objects(connection, self._cluster.id, gone)
            if kept and not retention.fetch_waiting(connection, self._cluster.id).reason:
                self._tell_refused(connection, kept)
            retention.postpone_objects(connection, self._cluster.id, kept)
            if away:
                retention.postpone_bucket(
                    connection, self._cluster.id, bucket, now, now + _RETRY_MS, str(away)[:LONGEST_REASON]
                )
        self._progress = replace(
            self._progress,
            objects=self._progress.objects + len(gone),
            stored=self._progress.stored + sum(one.stored for one in gone),
            waiting=self._progress.waiting + len(due) - len(gone),
        )

    def _tell_refused(self, connection: Connection, kept: Sequence[RemovedObject]) -> None:
        """Record a notice where the bucket keeps objects, and kept none before."""
        cluster, number = self._cluster, "an object" if len(kept) == 1 else f"{len(kept):,} objects"
        code, _, reason = kept[0].reason.partition(": ")
        note_event(
            self._runtime,
            connection,
            Event.RETENTION_REFUSED,
            project_id=cluster.project_id,
            cause=f"the bucket keeps {number} that rules of retention removed: {reason or code}",
            remedy=f"they are tried again by themselves; `logkeep retention show {quote(cluster.name)}` tells when",
            code=code if reason else "",
            cluster_id=cluster.id,
            cluster=cluster.name,
        )

    def _try_to_remove(self, bucket: str, due: Sequence[RemovedObject]) -> list[StoreError | None]:
        """Remove objects from their bucket; return why each is not gone. What the catalogue names stays."""
        names = [one.object for one in due]
        with reading(self._runtime.database) as connection:
            named = segments.fetch_named_segments(connection, self._cluster.id, names)
        if named:
            _log.error("objects to be removed are in the catalogue", cluster_id=self._cluster.id, objects=len(named))
        try:
            removed = find_store(self._stores, bucket).remove([name for name in names if name not in named])
        except StoreError as error:
            return [error] * len(due)
        found = iter(removed)
        return [StoreError("the catalogue names it, so it stays") if name in named else next(found) for name in names]

    # Claim ----------------------------------------------------------------------------------------------------------

    def _prolong(self) -> None:
        now = self._runtime.clock.now_ms()
        if now - self._claimed_at > _PROLONGED_MS:
            with writing(self._runtime.database) as connection:
                if not retention.prolong_claim(connection, self._cluster.id, self._claimed, now + _CLAIM_MS):
                    raise Overloaded(_TAKEN)
            self._claimed_at, self._claimed = now, now + _CLAIM_MS

    def _expect_claimed(self, connection: Connection) -> None:
        if not retention.holds_claim(connection, self._cluster.id, self._claimed):
            raise Overloaded(_TAKEN)

    def _release(self, **changes: int | str | None) -> None:
        with writing(self._runtime.database) as connection:
            retention.release_retention(connection, self._cluster.id, self._claimed, **changes)


_TAKEN = "Another process has taken over the retention of this cluster, as this one paused for too long; it goes on."


@dataclass(frozen=True, slots=True)
class _Going:
    """An object that goes, and all that is known of it."""

    judged: JudgedObject
    segment: Segment

    @property
    def rule(self) -> str:
        assert self.judged.rule, "nothing goes without a rule"
        return self.judged.rule.text

    @property
    def taken_out(self) -> TakenOut:
        return TakenOut(self.segment, self.rule, self.judged.kept.job_id, self.segment.bucket)

    @property
    def removed(self) -> RemovedSegment:
        s = self.segment
        return RemovedSegment(
            s.node, s.family, s.generation, s.start, s.end, s.bucket, s.object, s.stored, s.sha256, self.rule
        )


def _count_names(judged: JudgedObject) -> int:
    one = judged.kept
    rule = judged.rule.text if judged.rule else ""
    return len(one.node) + len(one.log) + len(one.object) + len(rule)


def _by_bucket(due: Iterable[RemovedObject]) -> dict[str, list[RemovedObject]]:
    found: defaultdict[str, list[RemovedObject]] = defaultdict(list)
    for one in due:
        found[one.bucket].append(one)
    return found


def _postponed(one: RemovedObject, error: StoreError, now: int) -> RemovedObject:
    pause = min(DAY_MS, _FIRST_RETRY_MS << min(one.tries, 16))
    return replace(one, tries=one.tries + 1, next_try=now + pause, reason=str(error)[:LONGEST_REASON])
