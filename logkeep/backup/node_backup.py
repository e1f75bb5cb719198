"""Carry out the backup of one node: list, examine, plan, then source -> store -> commit, in that order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from hashlib import sha256

import msgspec

from logkeep.backup.bandwidth import UNLIMITED, Bandwidth
from logkeep.backup.catalogue import Catalogue, LastListing
from logkeep.backup.changed import ChangedBytes
from logkeep.backup.content import Incomplete
from logkeep.backup.copies import Copies
from logkeep.backup.examination import Examination
from logkeep.backup.flawed import FlawedFiles, split_notes
from logkeep.backup.keeping import FileKeeper
from logkeep.backup.node_state import NodeState, Outcome, Target
from logkeep.backup.observation import SETTLE_NS, ContentState, FileObservation
from logkeep.backup.pending import EARLIER_JOB, Rounds, blocked_read
from logkeep.backup.plan import Plan, Read, make_plan
from logkeep.backup.progress import ReadProgress
from logkeep.backup.retirement import find_retired
from logkeep.backup.segment import SIZES, Sizes
from logkeep.clock import Clock
from logkeep.domain.manifest import Checkpoint, Flaw, PendingFile, PendingKind, Sighting
from logkeep.domain.warning import WarningCode
from logkeep.errors import SourceFileError, SourceUnreadable, SourceUnsettled, SourceVanished
from logkeep.sources.base import LogFile, LogSource, PassedKind

_MAX_ROUNDS = 40  # listings per job; a crash storm rotates 27 times in a minute
_MAX_LOOKS = 5  # listings of which nothing is kept
_MAX_WAITS = 20  # rounds that only wait for a file still being compressed
_WAIT_SECONDS = 0.1  # a node compresses 128 MB in about a second


class NodeBackup:
    """One pass over one node. Safe to run again after a crash: it goes on from what was committed."""

    def __init__(
        self,
        node: str,
        source: LogSource,
        target: Target,
        catalogue: Catalogue,
        clock: Clock,
        executor: Executor,
        settle_ns: int = SETTLE_NS,
        sizes: Sizes = SIZES,
        bandwidth: Bandwidth = UNLIMITED,
        max_file_bytes: int = 2**62,
    ) -> None:
        flawed = FlawedFiles(clock, (), _WAIT_SECONDS)
        self._state = NodeState(
            node=node,
            source=source,
            target=target,
            catalogue=catalogue,
            clock=clock,
            flawed=flawed,
            settle_ns=settle_ns,
            max_file_bytes=max_file_bytes,
        )
        self._sizes = sizes
        changed = ChangedBytes(self._state)
        self._copies = Copies(self._state)
        self._examination = Examination(self._state, self._copies, changed)
        self._keeper = FileKeeper(
            state=self._state, changed=changed, executor=executor, sizes=sizes, bandwidth=bandwidth
        )
        self._all_unchanged = False
        self._slipped = False  # a file of the listing was gone when it was looked into
        self._noted: list[PendingFile] = []  # what is unread, as in the catalogue
        self._earlier: set[int] = set()  # generations of logs that an earlier job knew wholly
        self._went: dict[
            PendingFile, int
        ] = {}  # what went before it was looked into -> number of the listing that had it
        self._missed: dict[int, int] = {}  # generation -> number of the last listing in which no file had it
        self._listed: list[LogFile] = []
        self._looks = ""  # digest of the listing
        self._recalled: set[str] = set()  # logs of which no generation is retired
        self._passed: dict[PassedKind, int] = {}  # how much of each kind the last listing passed over

    def run(self) -> Outcome:
        """Keep everything that can be read now.

        Raises `SourceUnreachable` where the directory cannot be listed, a `StoreError` where the bucket fails,
        `JobSuperseded` where another attempt has begun. Files that cannot be read are in the outcome.
        """
        return self._state.source.run(self._run)

    def find_new(self) -> tuple[Sequence[Read], Outcome]:
        """Return what a backup would read now, by one listing, and what it could not look into; keep nothing.

        Raises `SourceUnreachable` where the directory cannot be listed.
        """
        return self._state.source.run(self._find_new)

    def _find_new(self) -> tuple[Sequence[Read], Outcome]:
        listing = self._list()
        self._take_up(self._state.catalogue.last_listing(self._state.node))
        while True:
            listing = self._state.inodes.believe(listing)
            observations = self._examination.examine(listing, list(self._state.known.values()))
            plan = self._plan(observations)
            vanished = [one.file for one in observations if one.state is ContentState.VANISHED]
            self._state.number += 1
            if not vanished or self._state.number == _MAX_LOOKS:
                break
            listing = self._list()
        for file in vanished:
            self._state.fail(file, SourceVanished(f"{file.name!r} was renamed or deleted before it could be read"))
        return plan.reads, self._state.outcome

    def _run(self) -> Outcome:
        listing = self._list()
        last = self._state.catalogue.last_listing(self._state.node)
        if self._is_quiet() and self._looks == last.digest:
            return self._state.outcome
        listing = self._state.inodes.believe(listing)
        self._take_up(last)
        waits = 0
        for self._state.number in range(_MAX_ROUNDS):
            if not listing:
                self._tell_empty()
                break
            digest = self._looks
            # Where there are no inodes, names that shifted look as before; but then a generation has another one.
            before = None if all(file.inode for file in listing) else self._placed()
            plan = self._round(listing)
            again = self._state.inodes.believe(self._list())
            shifted = before is not None and self._placed() != before
            agreed = _names(again) == _names(listing) and not self._slipped and not shifted
            if not plan.reads and agreed:
                if not self._state.outcome.waiting or waits >= _MAX_WAITS:
                    self._close(listing, digest, plan)
                    break
                waits += 1
                time.sleep(_WAIT_SECONDS)
            listing = again
        else:
            self._give_up(listing)
        self._state.outcome.generations = list(self._state.known.values())
        return self._state.outcome

    def _take_up(self, last: LastListing) -> None:
        """Know what the catalogue knows of the node."""
        self._state.known = {c.generation: c for c in self._state.catalogue.checkpoints(self._state.node)}
        self._keeper.read = self._read_before()
        noted, flawed = split_notes(last.pending)
        self._state.flawed = FlawedFiles(self._state.clock, flawed, _WAIT_SECONDS)
        self._copies.notes = [one for one in noted if one.kind is PendingKind.COPY]
        self._noted = [one for one in noted if one.kind is not PendingKind.COPY]
        self._state.pending = [_as_left(one) for one in self._noted]
        self._went = dict.fromkeys(self._state.pending, EARLIER_JOB)
        self._earlier = _known_wholly(self._state.known.values(), self._noted)

    def _read_before(self) -> set[int]:
        """Return the generations that earlier attempts read to their end: only a file's last segment is not full.

        Read again in each attempt, logs that grow would keep the others from their turn where attempts are short.
        """
        last = self._state.catalogue.last_segments(self._state.node)
        return {generation for generation, size in last.items() if size < self._sizes.segment}

    def _give_up(self, listing: Sequence[LogFile]) -> None:
        """Files went from listing to listing, so that not all of them were read."""
        left = sorted({one.name for one in self._state.pending if one.kind is not PendingKind.EMPTY} or {""})
        names = ", ".join(repr(name) for name in left[:3] if name) or "some"
        error = SourceUnsettled(
            f"files of the log directory were renamed or replaced faster than they could be read, {_MAX_ROUNDS} times "
            f"in a row; of {len(listing)} files not all was kept ({names}); what was read is kept: start the backup "
            "again, and if that goes on, look at what renames files there"
        )
        self._state.outcome.failures[""] = f"{error.code}: node {self._state.node}: {error.message}"

    def _close(self, listing: Sequence[LogFile], digest: str, plan: Plan) -> None:
        """Two listings agree and nothing is left to read: only now is what was not seen known to be gone."""
        for name in sorted(self._state.outcome.waiting):
            told = f"{name!r} does not end as it should, and may still be being compressed; the next backup keeps it"
            self._state.warn(WarningCode.LOG_WAITING, told, family=self._state.waited[name], file=name)
        done = self._is_quiet() and self._all_unchanged and not self._examination.emptied
        there = {file.name for file in listing}
        self._copies.notes = [one for one in self._copies.notes if one.name in there]
        told = [self._sighting(checkpoint) for checkpoint in plan.gone]
        self._state.known |= {checkpoint.generation: checkpoint for checkpoint in (*plan.joined, *plan.gone)}
        pending = [*plan.pending, *map(self._with_age, plan.empty), *self._copies.notes]
        self._state.catalogue.record_node(
            self._state.node,
            [*plan.gone, *plan.joined],
            [*plan.gaps, *told],
            digest if done else "",
            [*pending, *self._state.flawed.notes(listing)],
            find_retired(self._state.known.values(), pending),
        )

    def _is_quiet(self) -> bool:
        """Nothing is to be said: what still holds is said by the next job too, so that one has to look again."""
        told = self._state.outcome
        return not (told.failures or told.closed or told.waiting or told.warnings)

    def _with_age(self, empty: PendingFile) -> PendingFile:
        """Noted as told by its time, where no file that was made after this look can have the same."""
        old = self._state.clock.now_ms() * 1_000_000 - empty.mtime_ns > SETTLE_NS
        return replace(empty, stored=1) if old else empty

    def _placed(self) -> set[tuple[int, str]]:
        """Under which name each generation was seen last."""
        return {(c.generation, c.name) for c in self._state.known.values() if c.present}

    def _tell_empty(self) -> None:
        """Judge nothing: a volume that is not mounted looks like this. What is listed next proves what was lost."""
        self._state.outcome.empty = True
        if self._state.outcome.closed:
            return
        held = any(checkpoint.present for checkpoint in self._state.known.values())
        what = "no file at all is in the log directory"
        if links := self._passed.get(PassedKind.LINK):
            what = f"nothing but {links} links are in the log directory, and links are not followed"
        remedy = "see that it is mounted, and the one that the node writes to"
        was = ", where there were logs before; nothing is taken for lost" if held else ""
        self._state.warn(WarningCode.NODE_EMPTY, f"{what}{was}; {remedy}")

    def _list(self) -> list[LogFile]:
        listing = self._state.source.list()
        self._passed = listing.counts
        node = self._state.node
        self._state.outcome.closed = {
            one.name: f"{SourceUnreadable.code}: node {node}: folder {one.name!r} cannot be listed: {one.why}"
            for one in listing.passed
            if one.kind is PassedKind.CLOSED
        }
        for one in listing.passed:
            if one.kind is PassedKind.DEEP:
                self._state.warn(WarningCode.LOG_DEEP, f"folder {one.name!r} {one.why}", file=one.name)
        found = self._listed = _as_before(sorted(listing), self._listed)
        self._looks = _digest(found)
        return found

    def _round(self, listing: Sequence[LogFile]) -> Plan:
        """One listing: examine it, keep what is new, remember how it looked."""
        self._state.outcome.waiting.clear()
        observations = self._examination.examine(listing, list(self._state.known.values()))
        plan = self._plan(observations)
        plan = replace(plan, reads=tuple(read for read in plan.reads if read.observed.file not in self._keeper.nothing))
        for one in plan.pending:
            self._went.setdefault(one, self._state.number)
        self._missed |= dict.fromkeys((c.generation for c in plan.gone), self._state.number)
        self._announce(plan, listing)
        looks = {checkpoint.generation: checkpoint for checkpoint in plan.seen}
        self._state.source.expect([read.observed.file for read in plan.reads])
        with self._keeper.committing():
            for read in plan.reads:
                self._keep(read, plan, looks)
        self._record(list(looks.values()))
        self._slipped = any(observed.state is ContentState.VANISHED for observed in observations)
        self._all_unchanged = all(
            observed.state is ContentState.UNCHANGED or not observed.file.size for observed in observations
        )
        return self._clear(plan, observations)

    def _keep(self, read: Read, plan: Plan, looks: dict[int, Checkpoint]) -> None:
        """Keep one file, and note in `looks` how its generation looks then."""
        try:
            kept = self._keeper.keep(read)
            self._state.pending.remove(read.pending)
            if read.observed.file.name in plan.unproven:
                self._doubt_order(read.observed)
            if kept.kept or kept.settled:
                looks[kept.generation] = kept
            if changed := read.observed.changed:  # kept again, so that nothing of it is gone
                looks |= {c.generation: c for c in plan.gone if c.generation == changed.generation}
        except Incomplete:
            self._keeper.flush()
            blocked = blocked_read(read.pending, read.observed, max(self._state.known, default=0))
            self._state.pending = [blocked if one == read.pending else one for one in self._state.pending]
            self._state.wait_for(read.observed.file, read.observed.name)
        except SourceVanished:
            pass  # the next listing tells where it went
        except SourceFileError as error:
            self._state.fail(read.observed.file, error)
        finally:
            self._state.remaining.end(read.observed.file.name)

    def _plan(self, observations: Sequence[FileObservation]) -> Plan:
        """With all that is known of the logs for which the last generations do not suffice."""
        rounds = Rounds(self._went, self._keeper.kept_in, self._missed)
        while True:
            checkpoints = list(self._state.known.values())
            plan = make_plan(
                self._state.node,
                checkpoints,
                observations,
                self._keeper.read,
                self._state.pending,
                rounds,
                self._earlier,
            )
            missing = plan.wants - self._recalled
            if not missing:
                return plan
            for family in sorted(missing):
                found = self._state.catalogue.recall(self._state.node, family)
                self._state.known = {c.generation: c for c in found} | self._state.known
            self._recalled |= missing

    def _announce(self, plan: Plan, listing: Sequence[LogFile]) -> None:
        """Record what is about to be read, before it is."""
        self._state.pending = list(plan.pending)
        self._state.remaining = ReadProgress(plan.reads)
        if not plan.reads:
            return
        notes = None
        if self._state.pending != self._noted:
            notes = [*self._state.pending, *self._copies.notes, *self._state.flawed.notes(listing)]
        self._state.catalogue.record_plan(self._state.node, self._state.remaining.bytes, notes)
        self._noted = list(self._state.pending)

    def _clear(self, plan: Plan, observations: Sequence[FileObservation]) -> Plan:
        """Without what cannot be said of logs of which a file could not be read."""
        aside = self._state.outcome.failures.keys() | self._state.outcome.waiting
        unclear = {
            observed.name.family for observed in observations if observed.file.name in aside
        } | self._families_unseen()
        if self._waits_for_stranger(observations):
            unclear |= {c.family for c in plan.gone} | {gap.family for gap in plan.gaps}
        return Plan(
            reads=tuple(read for read in plan.reads if read.observed.file.name not in aside),
            seen=plan.seen,
            pending=tuple(
                one
                for one in self._state.pending
                if (one.family in unclear and one.kind is not PendingKind.EMPTY) or one.name in self._state.refused
            ),
            gone=tuple(checkpoint for checkpoint in plan.gone if checkpoint.family not in unclear),
            joined=tuple(checkpoint for checkpoint in plan.joined if checkpoint.family not in unclear),
            gaps=tuple(gap for gap in plan.gaps if gap.family not in unclear),
            empty=plan.empty,
        )

    def _waits_for_stranger(self, observations: Sequence[FileObservation]) -> bool:
        """Return whether a young file of no known log is being compressed: it may hold what is gone.

        A later job tells what is still missing then, however long the file goes on.
        """
        waiting = [observed for observed in observations if observed.file.name in self._state.outcome.waiting]
        kept = {c.family for c in self._state.known.values() if c.kept} if waiting else set[str]()
        return any(
            observed.name.family not in kept and self._state.flawed.is_young(observed.file) for observed in waiting
        )

    def _families_unseen(self) -> set[str]:
        """Return the logs with a file in a folder that cannot be listed now."""
        below = tuple(self._state.outcome.closed)
        if not below:
            return set()
        seen = [one for one in self._state.known.values() if one.present]
        return {one.family for one in [*seen, *self._state.pending] if one.name.startswith(below)}

    def _record(self, looks: Sequence[Checkpoint]) -> None:
        """Keep how generations look now. Logs seen empty and new names are told, as no segment may tell of them."""
        if not looks:
            return
        told = [self._sighting(look) for look in looks if _told(look) != _told(self._state.known.get(look.generation))]
        self._state.catalogue.record_node(self._state.node, looks, told)
        self._state.known |= {look.generation: look for look in looks}

    def _sighting(self, look: Checkpoint) -> Sighting:
        node = self._state.node
        return Sighting(
            node=node,
            family=look.family,
            generation=look.generation,
            position=look.position,
            name=look.name,
            present=look.present,
            flaw=look.flaw,
        )

    def _doubt_order(self, observed: FileObservation) -> None:
        self._state.warn(
            WarningCode.ORDER_UNPROVEN,
            f"{observed.file.name!r} is new, and neither its times nor its name prove where in "
            f"{observed.name.family!r} it belongs; joined, it stands behind what was kept before",
            family=observed.name.family,
            file=observed.file.name,
        )


def _as_left(one: PendingFile) -> PendingFile:
    """As an earlier attempt left it: what has been made of a file since that nobody looked into is not known."""
    return replace(one, size=0) if one.kind is PendingKind.LISTED else one


def _told(look: Checkpoint | None) -> tuple[str, bool, Flaw] | None:
    """Return the part of a generation's checkpoint that a sighting records."""
    return (look.name, look.present, look.flaw) if look else None


def _names(listing: Iterable[LogFile]) -> set[tuple[str, str]]:
    return {(file.name, file.inode) for file in listing}


def _as_before(found: list[LogFile], before: Sequence[LogFile]) -> list[LogFile]:
    """Files that look as in the listing before are those of it, so that 100,000 are not held twice; both are sorted."""
    known = iter(before)
    one = next(known, None)
    for index, file in enumerate(found):
        while one and one < file:
            one = next(known, None)
        if one and one == file:
            found[index] = one
    return found


def _digest(listing: Sequence[LogFile]) -> str:
    return sha256(msgspec.msgpack.encode(listing)).hexdigest()


def _known_wholly(known: Iterable[Checkpoint], pending: Iterable[PendingFile]) -> set[int]:
    """Generations of logs of which an earlier job saw all that was there."""
    unclear = {one.family for one in pending if one.kind is not PendingKind.EMPTY}
    return {c.generation for c in known if c.family not in unclear}
