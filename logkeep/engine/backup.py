"""Carry out the backup of one node: list, examine, plan, then source -> store -> commit, in that order."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256

import msgspec

from logkeep.clock import Clock
from logkeep.domain.manifest import (
    EMPTY,
    LEAD,
    Checkpoint,
    Fingerprint,
    Flaw,
    Frame,
    Segment,
    Sighting,
    Unread,
    UnreadKind,
)
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.engine.bandwidth import UNLIMITED, Bandwidth
from logkeep.engine.below import Below
from logkeep.engine.catalogue import Catalogue
from logkeep.engine.compressed import Ending
from logkeep.engine.content import HEAD, Content, Incomplete, fingerprint, open_content
from logkeep.engine.flawed import STILL_MS, FlawedFiles, code_of, split_notes, tell, without
from logkeep.engine.identity import Heads, Names, by_head, drop_superseded, lead_of, owed_to
from logkeep.engine.inodes import Inodes
from logkeep.engine.order import instant
from logkeep.engine.padding import Dense
from logkeep.engine.plan import Plan, Read, make_plan
from logkeep.engine.remaining import Remaining
from logkeep.engine.restore import read_range
from logkeep.engine.segment import SIZES, LineFrames, SegmentWriter, Sizes, Written
from logkeep.engine.sight import Changed, Look, Sight, file_key
from logkeep.engine.unread import Rounds, blocked_read
from logkeep.errors import (
    SourceError,
    SourceFileError,
    SourceUnreachable,
    SourceUnreadable,
    SourceUnsettled,
    SourceVanished,
    StoreError,
)
from logkeep.logformat.lines import first_time, last_time
from logkeep.logformat.names import LogName, parse_name
from logkeep.sources.base import LogFile, LogSource, PassedKind
from logkeep.stores.base import ObjectStore
from logkeep.stores.frames import frame_check
from logkeep.stores.layout import segment_object

_MAX_ROUNDS = 40  # listings per job; a crash storm rotates 27 times in a minute
_MAX_WAITS = 20  # rounds that only wait for a file still being compressed
_WAIT_SECONDS = 0.1  # a node compresses 128 MB in about a second
_MOST_COMPARED = 16  # generations of which some bytes are read back, for a file that was cut
# A file that changed this short a time before it was looked at may change again within one tick of its clock.
SETTLE_NS = 2_000_000_000

_OVERLAP_SECONDS = 1  # lines of several threads may stand in another order by less

Hint = tuple[str, str, int, int, int]  # plain name, inode, size, mtime, ctime


@dataclass(frozen=True, slots=True)
class Target:
    """Where one attempt of a job puts what it reads."""

    store: ObjectStore
    bucket: str
    folder: str  # <base path>/<cluster name>
    job_id: str
    attempt: int


@dataclass(slots=True)
class Outcome:
    """What the backup of one node came to."""

    failures: dict[str, str] = field(default_factory=dict[str, str])  # file name -> what is wrong, with its code
    waiting: set[str] = field(default_factory=set[str])  # files still being compressed
    closed: dict[str, str] = field(default_factory=dict[str, str])  # folder that cannot be listed, with '/' -> why
    empty: bool = False  # nothing at all was listed, which says nothing of what is known
    warnings: list[JobWarning] = field(default_factory=list[JobWarning])  # as they were found, some again and again
    generations: list[Checkpoint] | None = None  # all that are known then; None where nothing had changed

    def all_failures(self) -> list[str]:
        """What could not be read, each led by its code."""
        return [*self.closed.values(), *self.failures.values()]

    def aside(self) -> set[str]:
        """Names of files of which not all is kept."""
        below = ("",) if self.empty else tuple(self.closed)
        unseen = {c.name for c in self.generations or () if c.present and c.name.startswith(below)} if below else set()
        return self.failures.keys() | self.waiting | unseen


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
        self._node = node
        self._source = source
        self._target = target
        self._catalogue = catalogue
        self._clock = clock
        self._executor = executor
        self._settle_ns = settle_ns
        self._sizes = sizes
        self._bandwidth = bandwidth
        self._max_file_bytes = max_file_bytes
        self._known: dict[int, Checkpoint] = {}  # as in the catalogue, which nobody else may change meanwhile
        self._read: set[int] = set()
        self._uploads = 0
        self._all_unchanged = False
        self._slipped = False  # a file of the listing was gone when it was looked into
        self._heads = Heads(())
        self._unread: list[Unread] = []  # listed and not kept to the end, by this job and those before
        self._noted: list[Unread] = []  # the same as in the catalogue
        self._flawed = FlawedFiles(clock, (), _WAIT_SECONDS)
        self._waited: dict[str, str] = {}  # name -> log
        self._refused: set[str] = set()  # names
        self._emptied = False  # a compressed file of no bytes may get some
        self._owed: dict[Fingerprint, list[Unread]] = {}  # by head
        self._copies: list[Unread] = []  # files that hold nothing but what is kept of others
        self._earlier: set[int] = set()  # generations of logs that an earlier job knew wholly
        self._nothing: set[LogFile] = set()  # read by this job, and nothing came of them
        self._changed: dict[int, int] = {}  # generations that no longer are what is kept -> first byte that differs
        self._went: dict[Unread, int] = {}  # what went before it was looked into -> number of the listing that had it
        self._kept_in: dict[int, int] = {}  # generation -> number of the listing after which it was read first
        self._number = 0  # of the listing
        self._looks = ""  # digest of it
        self._inodes = Inodes()
        self._unreadable: set[str] = set()  # not tried again in this job
        self._remaining = Remaining()  # of this round
        self._outcome = Outcome()
        self._passed: dict[PassedKind, int] = {}  # how much of each kind the last listing passed over

    def run(self) -> Outcome:
        """Keep everything that can be read now.

        Raises `SourceUnreachable` where the directory cannot be listed, a `StoreError` where the bucket fails,
        `JobSuperseded` where another attempt has begun. Files that cannot be read are in the outcome.
        """
        listing = self._list()
        if self._is_quiet() and self._looks == self._catalogue.listing_digest(self._node):
            return self._outcome
        listing = self._inodes.believe(listing)
        self._known = {checkpoint.generation: checkpoint for checkpoint in self._catalogue.checkpoints(self._node)}
        self._read = self._read_before()
        noted, flawed = split_notes(self._catalogue.unread(self._node))
        self._flawed = FlawedFiles(self._clock, flawed, _WAIT_SECONDS)
        self._copies = [one for one in noted if one.kind is UnreadKind.COPY]
        self._noted = [one for one in noted if one.kind is not UnreadKind.COPY]
        self._unread = [_as_left(one) for one in self._noted]
        self._earlier = _known_wholly(self._known.values(), self._noted)
        waits = 0
        for self._number in range(_MAX_ROUNDS):
            if not listing:
                self._tell_empty()
                break
            digest, before = self._looks, self._placed()
            plan = self._round(listing)
            again = self._inodes.believe(self._list())
            # Where there are no inodes, names that shifted look as before; but then a generation has another one.
            shifted = self._placed() != before and not all(file.inode for file in listing)
            agreed = _names(again) == _names(listing) and not self._slipped and not shifted
            if not plan.reads and agreed:
                if not self._outcome.waiting or waits >= _MAX_WAITS:
                    self._close(listing, digest, plan)
                    break
                waits += 1
                time.sleep(_WAIT_SECONDS)
            listing = again
        else:
            self._give_up(listing)
        self._outcome.generations = list(self._known.values())
        return self._outcome

    def _read_before(self) -> set[int]:
        """What earlier attempts of this job read to its end, as only the last segment of a file is not full.

        Read again in each attempt, logs that grow would keep the others from their turn where attempts are short.
        """
        last = self._catalogue.last_segments(self._node)
        return {generation for generation, size in last.items() if size < self._sizes.segment}

    def _give_up(self, listing: Sequence[LogFile]) -> None:
        """Files went from listing to listing, so that not all of them were read."""
        left = sorted({one.name for one in self._unread if one.kind is not UnreadKind.EMPTY} or {""})
        names = ", ".join(repr(name) for name in left[:3] if name) or "some"
        error = SourceUnsettled(
            f"files of the log directory were renamed or replaced faster than they could be read, {_MAX_ROUNDS} times "
            f"in a row; of {len(listing)} files not all was kept ({names}); what was read is kept: start the backup "
            "again, and if that goes on, look at what renames files there"
        )
        self._outcome.failures[""] = f"{error.code}: node {self._node}: {error.message}"

    def _close(self, listing: Sequence[LogFile], digest: str, plan: Plan) -> None:
        """Two listings agree and nothing is left to read: only now is what was not seen known to be gone."""
        for name in sorted(self._outcome.waiting):
            told = f"{name!r} does not end as it should, and may still be being compressed; the next backup keeps it"
            self._warn(WarningCode.LOG_WAITING, told, family=self._waited[name], file=name)
        done = self._is_quiet() and self._all_unchanged and not self._emptied
        there = {file.name for file in listing}
        self._copies = [one for one in self._copies if one.name in there]
        told = [self._sighting(checkpoint) for checkpoint in plan.gone]
        self._catalogue.record_node(
            self._node,
            [*plan.gone, *plan.joined],
            [*plan.gaps, *told],
            digest if done else "",
            [*plan.unread, *map(self._with_age, plan.empty), *self._copies, *self._flawed.notes(listing)],
        )
        self._known |= {checkpoint.generation: checkpoint for checkpoint in plan.gone}

    def _is_quiet(self) -> bool:
        """Nothing is to be said: what still holds is said by the next job too, so that one has to look again."""
        told = self._outcome
        return not (told.failures or told.closed or told.waiting or told.warnings)

    def _with_age(self, empty: Unread) -> Unread:
        """Noted as told by its time, where no file that was made after this look can have the same."""
        old = self._clock.now_ms() * 1_000_000 - empty.mtime_ns > SETTLE_NS
        return replace(empty, stored=1) if old else empty

    def _placed(self) -> set[tuple[int, str]]:
        """Under which name each generation was seen last."""
        return {(checkpoint.generation, checkpoint.name) for checkpoint in self._known.values() if checkpoint.present}

    def _tell_empty(self) -> None:
        """Judge nothing: a volume that is not mounted looks like this. What is listed next proves what was lost."""
        self._outcome.empty = True
        if self._outcome.closed:
            return
        held = any(checkpoint.present for checkpoint in self._known.values())
        what = "no file at all is in the log directory"
        if links := self._passed.get(PassedKind.LINK):
            what = f"nothing but {links} links are in the log directory, and links are not followed"
        remedy = "see that it is mounted, and the one that the node writes to"
        was = ", where there were logs before; nothing is taken for lost" if held else ""
        self._warn(WarningCode.NODE_EMPTY, f"{what}{was}; {remedy}")

    def _list(self) -> list[LogFile]:
        listing = self._source.list()
        self._passed = listing.counts
        self._outcome.closed = {
            one.name: f"{SourceUnreadable.code}: node {self._node}: folder {one.name!r} cannot be listed: {one.why}"
            for one in listing.passed
            if one.kind is PassedKind.CLOSED
        }
        for one in listing.passed:
            if one.kind is PassedKind.DEEP:
                self._warn(WarningCode.LOG_DEEP, f"folder {one.name!r} {one.why}", file=one.name)
        found = sorted(listing)
        self._looks = _digest(found)
        return found

    def _round(self, listing: Sequence[LogFile]) -> Plan:
        """One listing: examine it, keep what is new, remember how it looked."""
        self._outcome.waiting.clear()
        checkpoints = list(self._known.values())
        sights = self._examine(listing, checkpoints)
        rounds = Rounds(self._went, self._kept_in)
        plan = make_plan(self._node, checkpoints, sights, self._read, self._unread, rounds, self._earlier)
        plan = replace(plan, reads=tuple(read for read in plan.reads if read.sight.file not in self._nothing))
        for one in plan.unread:
            self._went.setdefault(one, self._number)
        self._note(plan, listing)
        looks = {checkpoint.generation: checkpoint for checkpoint in plan.seen}
        self._foresee(plan)
        for read in plan.reads:
            try:
                kept = self._keep(read)
                self._unread.remove(read.owed)
                if read.sight.file.name in plan.unproven:
                    self._doubt_order(read.sight)
                if kept.kept or kept.settled:
                    looks[kept.generation] = kept
            except Incomplete:
                blocked = blocked_read(read.owed, read.sight.file, max(self._known, default=0))
                self._unread = [blocked if one == read.owed else one for one in self._unread]
                self._wait_for(read.sight.file, read.sight.name)
            except SourceVanished:
                continue  # the next listing tells where it went
            except SourceFileError as error:
                self._fail(read.sight.file, error)
            finally:
                self._remaining.end(read.sight.file.name)
        self._record(list(looks.values()))
        self._slipped = any(sight.look is Look.VANISHED for sight in sights)
        self._all_unchanged = all(sight.look is Look.UNCHANGED or not sight.file.size for sight in sights)
        return self._clear(plan, sights)

    def _note(self, plan: Plan, listing: Sequence[LogFile]) -> None:
        """Before it is read: should it be gone when this job goes on, nobody else would know that it was there."""
        self._unread = list(plan.unread)
        if plan.reads and self._unread != self._noted:
            self._catalogue.record_node(self._node, unread=[*self._unread, *self._copies, *self._flawed.notes(listing)])
            self._noted = list(self._unread)

    def _clear(self, plan: Plan, sights: Sequence[Sight]) -> Plan:
        """Without what cannot be said of logs of which a file could not be read."""
        aside = self._outcome.failures.keys() | self._outcome.waiting
        unclear = {sight.name.family for sight in sights if sight.file.name in aside} | self._families_unseen()
        return Plan(
            reads=tuple(read for read in plan.reads if read.sight.file.name not in aside),
            seen=plan.seen,
            unread=tuple(
                one
                for one in self._unread
                if (one.family in unclear and one.kind is not UnreadKind.EMPTY) or one.name in self._refused
            ),
            gone=tuple(checkpoint for checkpoint in plan.gone if checkpoint.family not in unclear),
            joined=tuple(checkpoint for checkpoint in plan.joined if checkpoint.family not in unclear),
            gaps=tuple(gap for gap in plan.gaps if gap.family not in unclear),
            empty=plan.empty,
        )

    def _families_unseen(self) -> set[str]:
        """The logs of which a file lay in a folder that cannot be listed now."""
        below = tuple(self._outcome.closed)
        if not below:
            return set()
        seen = [one for one in self._known.values() if one.present]
        return {one.family for one in [*seen, *self._unread] if one.name.startswith(below)}

    def _foresee(self, plan: Plan) -> None:
        self._remaining = Remaining(plan.reads)
        if plan.reads:
            self._catalogue.record_plan(self._node, self._remaining.bytes)

    def _record(self, looks: Sequence[Checkpoint]) -> None:
        """Keep how generations look now. Logs seen empty and new names are told, as no segment may tell of them."""
        if not looks:
            return
        told = [self._sighting(look) for look in looks if _told(look) != _told(self._known.get(look.generation))]
        self._catalogue.record_node(self._node, looks, told)
        self._known |= {look.generation: look for look in looks}

    def _sighting(self, look: Checkpoint) -> Sighting:
        return Sighting(self._node, look.family, look.generation, look.position, look.name, look.present, look.flaw)

    def _warn(self, code: WarningCode, message: str, *, family: str = "", file: str = "") -> None:
        """Let the job say something of a log, a file or the node, though it does not fail."""
        warning = JobWarning(self._node, family, file, code, message)
        self._outcome.warnings.append(warning)
        self._catalogue.warn(warning)

    def _doubt_order(self, sight: Sight) -> None:
        self._warn(
            WarningCode.ORDER_UNPROVEN,
            f"{sight.file.name!r} is new, and neither its times nor its name prove where in {sight.name.family!r} it "
            "belongs; joined, it stands behind what was kept before",
            family=sight.name.family,
            file=sight.file.name,
        )

    def _fail(self, file: LogFile, error: SourceFileError) -> None:
        self._unreadable.add(file_key(file))
        self._outcome.failures[file.name] = f"{error.code}: node {self._node}: file {error.message}"

    # What the files are -----------------------------------------------------------------------------------------

    def _examine(self, listing: Sequence[LogFile], checkpoints: Sequence[Checkpoint]) -> list[Sight]:
        names = Names([file.name for file in listing], checkpoints)
        named = [(file, names.parse(file.name)) for file in listing]
        hints = _hints(checkpoints)
        self._heads = Heads(checkpoints)
        self._owed = by_head(self._unread)
        aside = self._known_copies(listing)
        sights = self._look_at([(file, name) for file, name in named if file.name not in aside], hints, checkpoints)
        held = {number for sight in sights for number in sight.continues | sight.foreign}
        alone = [(file, name) for file, name in named if file.name in aside and aside[file.name].generation not in held]
        again = self._look_at(alone, hints, checkpoints)
        sights += [sight for sight in again if sight.continues | sight.foreign or sight.look is Look.VANISHED]
        return _split(self._trust_inodes(self._without_copies(sights)), self._known)

    def _look_at(
        self,
        named: Sequence[tuple[LogFile, LogName]],
        hints: Mapping[Hint, Checkpoint],
        checkpoints: Sequence[Checkpoint],
    ) -> list[Sight]:
        sights: list[Sight] = []
        named = [one for one in named if self._flawed.kind(one[0]) is not UnreadKind.PASSED or not one[0].size]
        for file, name, slipped in self._without_twins(named, hints):
            hint = hints.get(_hint(file, name))
            if hint:
                sights.append(Sight(file, name, frozenset([hint.generation]), Look.UNCHANGED))
            elif not file.size:
                self._look_at_nothing(file, name)
                sights.append(Sight(file, name))
            elif slipped:
                sights.append(Sight(file, name, look=Look.VANISHED))
            elif file_key(file) in self._unreadable or self._is_refused(file):
                sights.append(_blocked(file, name, checkpoints))
            elif sight := self._look_into(file, name, checkpoints):
                sights.append(sight)
        return sights

    def _without_twins(
        self, named: Sequence[tuple[LogFile, LogName]], hints: Collection[Hint]
    ) -> Iterable[tuple[LogFile, LogName, bool]]:
        """Leave out a copy that is being made: a `.gz` of the plain file beside it, a rotated one of the active file.

        True where a step of a rotation came between, so that only the next listing can tell.
        """
        plain = {name.plain: file for file, name in named if not name.compressed}
        for file, name in named:
            original = plain.get(name.plain) if name.compressed else plain.get(name.family)
            fresh = file.size and not name.active and _hint(file, name) not in hints
            beside = fresh and original and original.name != file.name
            copy = self._is_copy(file, name, original) if beside and original else False
            if copy is not True:
                yield file, name, copy is None
            elif not name.compressed:
                sight = self._look_into(file, name, ())
                if sight and sight.look is Look.READABLE and original:
                    here = (c for c in self._known.values() if c.present and c.name == original.name)
                    self._remember_copy(sight, next(here, None))

    def _known_copies(self, listing: Sequence[LogFile]) -> dict[str, Unread]:
        """By name those that look as when they were found to hold nothing but what is kept of others."""
        known = {(one.name, one.inode, one.stored, one.mtime_ns): one for one in self._copies}
        found = (
            (file.name, known.get((file.name, file.inode, file.size, file.mtime_ns)))
            for file in listing
            if self._is_settled(file)
        )
        return {name: one for name, one in found if one and self._is_kept_to(one)}

    def _trust_inodes(self, sights: Sequence[Sight]) -> list[Sight]:
        """Without those that several files have which differ."""
        inodes = {sight.file.inode for sight in sights}
        if len(inodes) == len(sights):
            return list(sights)
        count = Counter(sight.file.inode for sight in sights if sight.look <= Look.READABLE and sight.file.inode)
        shared = {inode for inode, number in count.items() if number > 1}
        for inode in shared:
            self._inodes.share(inode)
        return [
            replace(sight, file=sight.file._replace(inode="")) if sight.file.inode in shared else sight
            for sight in sights
        ]  # fmt: skip

    def _is_kept_to(self, copy: Unread) -> bool:
        original = self._known.get(copy.generation)
        return original is not None and original.kept >= copy.size

    def _without_copies(self, sights: Sequence[Sight]) -> list[Sight]:
        """Of several names of one content the one that is known stays, or else the plainest."""
        if all(sight.look is not Look.READABLE or not sight.file.size for sight in sights):
            return list(sights)
        alike: dict[tuple[str, str], list[Sight]] = defaultdict(list)
        for sight in sights:
            for key in _alike(sight, self._known):
                alike[key].append(sight)
        several = {one.file.name: one for found in alike.values() if len(found) > 1 for one in found}
        ranks = {name: _rank(sight, self._known) for name, sight in several.items()}
        left: list[Sight] = []
        for sight in sights:
            if sight.copy:
                self._remember_copy(sight, self._known[sight.copy.generation])
                continue
            if sight.file.name not in several:
                left.append(sight)
                continue
            # What is first seen together is in doubt, but for links; what was planned to be read was no copy then.
            keys = _alike(sight, self._known) if sight.readable and not sight.holds else []
            others = {one.file.name: one for key in keys for one in alike[key]}
            if sight.look is Look.UNCHANGED or ranks[sight.file.name][0] == 0 or len(others) < 2:
                left.append(sight)
                continue
            found = self._find_original(sight, list(others.values()), ranks)
            if isinstance(found, Sight):
                here = (c for c in self._known.values() if c.present and c.name == found.name.plain)
                self._remember_copy(sight, next(here, None))
            else:
                left.append(Sight(sight.file, sight.name, look=Look.VANISHED) if found is None else sight)
        return left

    def _find_original(
        self, sight: Sight, others: Iterable[Sight], ranks: Mapping[str, tuple[object, ...]]
    ) -> Sight | bool | None:
        """The file of which this one is a copy; None where it went just now, False where there is none."""
        for other in sorted(others, key=lambda one: ranks[one.file.name]):
            if other.file.name == sight.file.name or not _may_hold(other, sight, ranks):
                continue
            copy = self._is_copy(sight.file, sight.name, other.file, other.name)
            if copy is None:
                return None
            if copy:
                return other
        return False

    def _remember_copy(self, sight: Sight, kept: Checkpoint | None) -> None:
        """Once all that it holds is kept: so it is known when the original begins anew."""
        self._copies = [one for one in self._copies if one.name != sight.file.name]
        if kept and (kept.settled if sight.name.compressed else kept.kept >= sight.size):
            file = sight.file
            self._copies.append(
                Unread(
                    UnreadKind.COPY, kept.family, kept.position, kept.generation, file.name, file.inode, sight.size,
                    file.mtime_ns, sight.head, sight.tail, file.size,
                )
            )  # fmt: skip

    def _is_copy(
        self, file: LogFile, name: LogName, original: LogFile, original_name: LogName | None = None
    ) -> bool | None:
        """Whether the file holds the original, or as much of it as was copied so far; None where the original went."""
        try:
            copied = self._open(file, name)
        except SourceFileError:
            return False  # gone, unreadable or damaged: looking into the file tells which
        try:
            packed = original_name is not None and original_name.compressed
            with closing(copied), closing(self._open_named(original.name, compressed=packed)) as whole:
                if whole.file.size < original.size and not packed:
                    return None  # it was emptied since it was listed
                return copied.begins(whole)
        except SourceVanished:
            return None
        except SourceFileError:
            return False

    def _look_into(self, file: LogFile, name: LogName, checkpoints: Sequence[Checkpoint]) -> Sight | None:
        """None for a file of which nothing is to be kept."""
        try:
            with closing(self._open(file, name)) as content:
                shrunk = content.file.size < file.size and not (name.compressed and file.inode)
                if shrunk or not self._inodes.is_same(file, content.file, self._number):
                    raise SourceVanished(f"{file.name!r} is another file now")
                if not file.inode:
                    # It may be another one than was listed, so all that is said is of it.
                    file = content.file._replace(inode="")
                head, end = content.head(), 0 if content.compressed else content.size
                last = _last_bytes(content, end) if end else b""
                if last.endswith(b"\0"):
                    end = self._find_end(content)
                    last = _last_bytes(content, end) if end else b""
                if not end and not content.compressed:
                    file = file._replace(size=0)  # nothing but room for what is to come
                continues, foreign = self._continued(content, name, head)
                holds = self._held(content, name, head)
                continues, foreign, changed = self._without_changed(content, name, head, continues, foreign)
                copy = None if continues or foreign else self._is_known_copy(content, name, head)
                tail = fingerprint(last)
                if end:
                    content.check_unchanged(end, fingerprint(head))
                if content.ending and content.ending.flaw:
                    self._judge(content, name)
                    if self._is_refused(file):
                        return _blocked(file, name, checkpoints)
                    if not continues and not foreign and self._is_of_no_use(content, name):
                        return None
        except SourceVanished:
            return Sight(file, name, look=Look.VANISHED)
        except Incomplete:
            self._wait_for(file, name)
            return _blocked(file, name, checkpoints)
        except SourceFileError as error:
            self._fail(file, error)
            return _blocked(file, name, checkpoints)
        return Sight(
            file,
            name,
            continues,
            Look.READABLE,
            first_time(head),
            last_time(last),
            lead_of(head),
            end,
            fingerprint(head),
            tail,
            holds,
            foreign,
            copy,
            changed,
        )

    # Compressed files that do not end as they should ------------------------------------------------------------

    def _wait_for(self, file: LogFile, name: LogName) -> None:
        self._flawed.wait_for(file, name.family)
        self._waited[file.name] = name.family
        self._outcome.waiting.add(file.name)

    def _look_at_nothing(self, file: LogFile, name: LogName) -> None:
        """Say of a compressed file without a byte, which nobody compresses any more, that something is missing."""
        kind = self._flawed.kind(file)
        if not name.compressed or kind is UnreadKind.PASSED:
            return
        if self._flawed.stands(file):
            self._warn_of(file.name, name.family, Ending(0, 0, Flaw.CUT, "it is empty, and no compressed file is"))
            self._flawed.pass_over(file, name.family)
        else:
            self._flawed.wait_for(file, name.family)
            self._emptied = True

    def _judge(self, content: Content, name: LogName) -> None:
        """Raise `Incomplete` for a file that may still be being written; refuse one that cannot be read."""
        if not self._flawed.stands(content.file):
            raise Incomplete(content.file.name)
        ending = content.end()
        if ending.flaw is Flaw.REFUSED and not ending.length:
            self._warn_of(content.file.name, name.family, ending)
            self._flawed.refuse(content.file, name.family)

    def _is_refused(self, file: LogFile) -> bool:
        refused = self._flawed.kind(file) is UnreadKind.REFUSED
        if refused:
            self._refused.add(file.name)
        return refused

    def _is_of_no_use(self, content: Content, name: LogName) -> bool:
        """Whether nothing comes out of the file that is not kept: it is as if it were not there."""
        ending, file = content.end(), content.file
        if ending.length and not (ending.flaw is Flaw.CUT and self._is_kept(content, name)):
            return False
        self._warn_of(file.name, name.family, ending)
        self._flawed.pass_over(file, name.family)
        self._unread = without(self._unread, file)
        return True

    def _is_kept(self, content: Content, name: LogName) -> bool:
        """Whether a generation has more than comes out of the file, and the same: what is kept of it is read back."""
        length, head, file = content.end().length, content.head(), content.file
        last = content.before(length, min(HEAD, length))
        longer = [*self._heads.of(name.family), *self._heads.fitting(file, name, head).foreign]
        alike = [c for c in longer if c.head.length > len(head) or fingerprint(head[: c.head.length]) == c.head]
        newest = sorted((c for c in alike if c.kept > length and not c.unproven), key=lambda c: -c.position)
        return any(self._read_back(c.generation, length, last or b"") for c in newest[:_MOST_COMPARED])

    def _read_back(self, generation: int, end: int, last: bytes) -> bool:
        """Whether these are the bytes just before `end` that are kept."""
        start = end - len(last)
        segments = self._catalogue.kept_segments(self._node, generation, start)
        with suppress(StoreError):
            return b"".join(read_range({self._target.bucket: self._target.store}, segments, start, end)) == last
        return False

    def _warn_of(self, file: str, family: str, ending: Ending) -> None:
        self._warn(code_of(ending.flaw), tell(file, ending), family=family, file=file)

    # The generations that a file may be ---------------------------------------------------------------------------

    def _open(self, file: LogFile, name: LogName) -> Content:
        """Raises what `open_content` raises."""
        return self._open_named(file.name, compressed=name.compressed)

    def _open_named(self, name: str, *, compressed: bool) -> Content:
        return open_content(self._source, name, compressed=compressed, most=self._max_file_bytes)

    def _continued(self, content: Content, name: LogName, head: bytes) -> tuple[frozenset[int], frozenset[int]]:
        """The generations whose kept bytes the content begins with: of its own log, and of others."""
        fits = self._heads.fitting(content.file, name, head)
        ascending = sorted([*fits.own, *fits.foreign], key=lambda c: c.kept)
        whole = drop_superseded([c for c in ascending if _has_tail(content, c) and _is_proof(content, c)])
        foreign = {c.generation for c in fits.foreign}
        found = {c.generation for c in whole}
        return frozenset(found - foreign), frozenset(found & foreign)

    def _held(self, content: Content, name: LogName, head: bytes) -> frozenset[Unread]:
        """What an earlier listing showed and the content begins with."""
        found = owed_to(head, name, self._owed, timed=bool(first_time(head))) if self._owed else []
        return frozenset(one for one in sorted(found, key=lambda one: one.size) if _holds(content, one))

    def _is_known_copy(self, content: Content, name: LogName, head: bytes) -> Unread | None:
        """A copy that was renamed or compressed since it was found to hold nothing but what is kept of another file."""
        known = [one for one in self._copies if one.head == fingerprint(head[: one.head.length])] if head else []
        timed = bool(first_time(head))
        fits = (one for one in known if (one.family == name.family or timed) and self._is_kept_to(one))
        return next((one for one in fits if _ends_with(content, one)), None)

    # Keeping what is new ----------------------------------------------------------------------------------------

    def _keep(self, read: Read) -> Checkpoint:
        """Read one file to its end; returns its checkpoint as it is then, with hints where they can be trusted."""
        checkpoint, file = read.checkpoint, read.sight.file
        with closing(self._open(file, read.sight.name)) as content:
            same = self._inodes.is_same(file, content.file, self._number)
            if not same or not _matches(content, checkpoint) or not _is_planned(content, read):
                raise SourceVanished(f"{file.name!r} is another file now")
            if not checkpoint.kept and self._goes_on_elsewhere(content, read.sight):
                raise SourceVanished(f"{file.name!r} has grown into a log that is known")
            self._check_rivals(read)
            checkpoint = self._compare_older(content, checkpoint)
            if not content.compressed:
                self._find_end(content)
            stands = self._flawed.stands(content.file)
            pieces = content.pieces(checkpoint.kept, as_it_ends=stands)
            foreign = bool(content.ending) and not content.compressed
            stands_still = content.compressed or self._stands_still(content.file, checkpoint)
            dense = Dense(pieces, stands=stands_still, padded=not foreign)
            below = Below(dense, self._max_file_bytes - checkpoint.kept)
            frames = LineFrames(self._bandwidth.limit(below), self._sizes)
            while not frames.ended():
                checkpoint = self._keep_segment(content, frames, checkpoint)
            if frames.broken:
                raise frames.broken
            checkpoint = self._flaw_told(content, checkpoint)
            if checkpoint.kept:
                self._read.add(checkpoint.generation)
            else:  # its number is given to another file
                self._nothing.add(file)
            if below.cut:
                self._warn_large(file, checkpoint)
            if dense.hole:
                self._warn_hole(file, checkpoint)
            settled = not below.cut and not dense.hole and (stands or self._is_settled(content.file))
            self._kept_in.setdefault(checkpoint.generation, self._number)
            return _with_hints(checkpoint, content.file._replace(inode=file.inode), settled)

    def _find_end(self, content: Content) -> int:
        """Of a plain file, without the NULs at its end."""
        if content.size and not content.ending and content.before(content.size, 1) == b"\0":
            return content.find_end(thorough=self._stands_still(content.file))
        return content.size

    def _stands_still(self, file: LogFile, checkpoint: Checkpoint | None = None) -> bool:
        """Whether nothing comes any more where NULs are: the file, or a hole behind what is kept, is a minute old."""
        times = [file.mtime_ns]
        if checkpoint and checkpoint.kept and not checkpoint.settled and checkpoint.mtime_ns:
            times.append(checkpoint.mtime_ns)
        return self._clock.now_ms() - min(times) // 1_000_000 >= STILL_MS

    def _warn_hole(self, file: LogFile, checkpoint: Checkpoint) -> None:
        self._warn(
            WarningCode.LOG_WAITING,
            f"{file.name!r} has NULs behind byte {checkpoint.kept}, where something may still be written; the next "
            "backup keeps what stands there, once nothing has changed for a minute",
            family=checkpoint.family,
            file=file.name,
        )

    # Bytes that changed after they were kept ----------------------------------------------------------------------

    def _compare_older(self, content: Content, checkpoint: Checkpoint) -> Checkpoint:
        """Hold one frame of what is kept against the file, by turns. Raises `SourceVanished` where it differs."""
        if content.compressed or checkpoint.kept <= checkpoint.start or not checkpoint.tail.length:
            return checkpoint
        at = checkpoint.checked if checkpoint.start < checkpoint.checked < checkpoint.kept else checkpoint.start
        segment = next(iter(self._catalogue.kept_segments(self._node, checkpoint.generation, at)), None)
        frame = next((frame for frame in segment.frames if frame.start + frame.raw > at), None) if segment else None
        if frame is None:
            return checkpoint
        if _is_unchanged(content, frame):
            return replace(checkpoint, checked=frame.start + frame.raw)
        start, _ = self._first_difference(content, checkpoint)
        self._found_changed(content.file.name, checkpoint, start)
        raise SourceVanished(f"{content.file.name!r} was changed before what is kept of it ends")

    def _first_difference(self, content: Content, checkpoint: Checkpoint) -> tuple[int, bool]:
        """Where the first frame begins that the file no longer has, and whether those before it have a time."""
        timed = False
        for segment in self._catalogue.kept_segments(self._node, checkpoint.generation, checkpoint.start):
            for frame in segment.frames:
                if not _is_unchanged(content, frame):
                    return frame.start, timed
                timed = timed or bool(frame.first_time)
        return checkpoint.kept, timed

    def _found_changed(self, file: str, checkpoint: Checkpoint, start: int) -> None:
        self._changed[checkpoint.generation] = start
        self._warn(
            WarningCode.LOG_CHANGED,
            f"{file!r}: bytes before {checkpoint.kept} were changed after they were kept; what was kept stays, and "
            f"all from byte {start} on is kept again behind it",
            family=checkpoint.family,
            file=file,
        )

    def _without_changed(
        self, content: Content, name: LogName, head: bytes, continues: frozenset[int], foreign: frozenset[int]
    ) -> tuple[frozenset[int], frozenset[int], Changed | None]:
        """Without the generation of which the file has other bytes now. Its tail may be what has changed."""
        if not self._heads.of(name.family) and not self._changed:
            return continues, foreign, None
        if not continues and not content.compressed:
            here = (c for c in self._heads.fitting(content.file, name, head).own if c.present and c.name == name.plain)
            for c in here:
                if c.kept < LEAD or c.kept > content.size or c.generation in self._changed:
                    continue
                start, timed = self._first_difference(content, c)
                if start > c.start and timed:  # a log that began anew has no such beginning
                    self._found_changed(content.file.name, c, start)
                    return frozenset(), foreign, Changed(c.generation, start)
        changed = sorted((continues | foreign) & self._changed.keys())
        if not changed:
            here = [c for c in self._heads.of(name.family) if c.generation in self._changed and c.name == name.plain]
            changed = [c.generation for c in here if not continues and c.present]
        if not changed:
            return continues, foreign, None
        without = frozenset(changed)
        return continues - without, foreign - without, Changed(changed[-1], self._changed[changed[-1]])

    def _warn_large(self, file: LogFile, checkpoint: Checkpoint) -> None:
        message = (
            f"file {file.name!r} holds more than {checkpoint.kept} plain bytes, and what lies above is not kept; raise "
            "sources.max_file_bytes, or let the node rotate earlier"
        )
        self._warn(WarningCode.LOG_LARGE, message, family=checkpoint.family, file=file.name)

    def _flaw_told(self, content: Content, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with what is wrong with its file, said where it is new."""
        flaw = content.end().flaw if content.compressed or content.ending else Flaw.NONE
        if flaw is checkpoint.flaw:
            return checkpoint
        if flaw:
            self._warn_of(content.file.name, checkpoint.family, content.end())
        return replace(checkpoint, flaw=flaw)

    def _goes_on_elsewhere(self, content: Content, sight: Sight) -> bool:
        """Whether a new generation has grown into one that is known."""
        continues, foreign = self._continued(content, sight.name, content.head())
        return bool((continues | foreign) - sight.continues - sight.foreign)

    def _check_rivals(self, read: Read) -> None:
        for sight, checkpoint in read.rivals:
            name = sight.file.name
            with closing(self._open(sight.file, sight.name)) as content:
                if not self._inodes.is_same(sight.file, content.file, self._number) or not _matches(
                    content, checkpoint
                ):
                    raise SourceVanished(f"{name!r} is another file now")

    def _keep_segment(self, content: Content, frames: LineFrames, before: Checkpoint) -> Checkpoint:
        target = self._target
        object_name = segment_object(
            target.folder, self._node, before.family, before.generation, before.kept, target.job_id, self._upload()
        )
        written = SegmentWriter(frames, before.kept, self._executor, HEAD).write(target.store, object_name)
        try:
            after = self._checked_anyhow(content, frames, before, written)
            # Nothing is committed of a compressed file before it is known whether it can be believed.
            if frames.ended() or (content.compressed and self._believed(content).flaw is Flaw.DAMAGED):
                after = self._flaw_told(content, after)
        except SourceError:
            with suppress(StoreError):  # no manifest names it: it is swept away later
                target.store.delete(object_name)
            raise
        remaining = self._remaining.take(content.file.name, written.raw)
        self._catalogue.commit(self._segment(before, after, object_name, written), after, remaining)
        self._known[after.generation] = after
        return after

    def _checked_anyhow(self, content: Content, frames: LineFrames, before: Checkpoint, written: Written) -> Checkpoint:
        """The checkpoint after a segment, also of the whole lines before the source failed, so that a bad link gets on.

        Nothing of a compressed file can be believed before its end was seen.
        """
        try:
            if frames.broken:
                raise frames.broken
            return _checked(content, before, written)
        except (SourceUnreachable, SourceUnreadable):
            if content.compressed:
                raise
        with closing(open_content(self._source, content.file.name, compressed=False)) as again:
            end, last = before.kept + written.raw, written.last_bytes
            if again.file.inode != content.file.inode or not _last_bytes(again, end).endswith(last):
                raise SourceVanished(f"{content.file.name!r} is another file now")
            return _checked(again, before, written)

    def _believed(self, content: Content) -> Ending:
        """How the file ends; raises `Incomplete` where that is not final."""
        ending = content.end()
        if ending.flaw and not self._flawed.stands(content.file):
            raise Incomplete(content.file.name)
        return ending

    def _upload(self) -> str:
        """A part of the object's name that no other upload has, whatever becomes of this one."""
        self._uploads += 1
        return f"{self._target.attempt}-{self._uploads}"

    def _segment(self, before: Checkpoint, after: Checkpoint, object_name: str, written: Written) -> Segment:
        return Segment(
            self._node,
            before.family,
            before.generation,
            before.position,
            before.name,
            before.kept,
            after.kept,
            self._target.bucket,
            object_name,
            written.stored,
            written.sha256,
            after.head,
            after.tail,
            written.frames,
            lead=after.lead,
            flaw=after.flaw,
        )

    def _is_settled(self, file: LogFile) -> bool:
        changed = max(file.mtime_ns, file.ctime_ns)
        return self._clock.now_ms() * 1_000_000 - changed > self._settle_ns


def _as_left(one: Unread) -> Unread:
    """As an earlier attempt left it: what has been made of a file since that nobody looked into is not known."""
    return replace(one, size=0) if one.kind is UnreadKind.LISTED else one


def _told(look: Checkpoint | None) -> tuple[str, bool, Flaw] | None:
    """What a sighting tells of a generation."""
    return (look.name, look.present, look.flaw) if look else None


def _names(listing: Iterable[LogFile]) -> set[tuple[str, str]]:
    return {(file.name, file.inode) for file in listing}


def _digest(listing: Sequence[LogFile]) -> str:
    return sha256(msgspec.msgpack.encode(listing)).hexdigest()


def _blocked(file: LogFile, name: LogName, checkpoints: Sequence[Checkpoint]) -> Sight:
    same = [c for c in checkpoints if c.present and c.name == name.plain]
    return Sight(file, name, frozenset(c.generation for c in same), Look.BLOCKED)


def _matches(content: Content, checkpoint: Checkpoint) -> bool:
    known = checkpoint.head
    alike = fingerprint(content.head()[: known.length]) == known and _has_tail(content, checkpoint)
    return alike and _is_proof(content, checkpoint)


def _is_planned(content: Content, read: Read) -> bool:
    """Whether this is the file that was looked into, as far as its content tells."""
    owed = read.owed
    return fingerprint(content.head()[: owed.head.length]) == owed.head and _holds(content, owed)


def _ends_with(content: Content, copy: Unread) -> bool:
    """Whether the content is that of the copy, and nothing more."""
    if not copy.size:
        return content.file.size == copy.stored and content.file.mtime_ns == copy.mtime_ns
    found = content.before(copy.size, copy.tail.length)
    if found is None or fingerprint(found) != copy.tail:
        return False
    return content.before(copy.size + 1, 1) is None


def _is_unchanged(content: Content, frame: Frame) -> bool:
    """Whether the file still has the plain bytes of a frame, as far as its checksum tells."""
    found = content.before(frame.start + frame.raw, frame.raw)
    return found is not None and (not frame.check or frame_check(found) == frame.check)


def _holds(content: Content, one: Unread) -> bool:
    if one.tail == EMPTY:  # a compressed file is not compressed again, and its time is that of its last byte
        return content.file.inode == one.inode if one.inode else content.file.mtime_ns == one.mtime_ns
    found = content.before(one.size, one.tail.length)
    return found is not None and fingerprint(found) == one.tail


def _has_tail(content: Content, checkpoint: Checkpoint) -> bool:
    if not checkpoint.kept:
        return True
    found = content.before(checkpoint.kept, checkpoint.tail.length)
    return found is not None and fingerprint(found) == checkpoint.tail


def _is_proof(content: Content, checkpoint: Checkpoint) -> bool:
    """Whether bytes that are like those that were kept prove that the file goes on with them.

    Those of a damaged file prove nothing, but that it is the same damaged file.
    """
    if not checkpoint.kept:
        return True
    ending = content.end()
    if checkpoint.unproven:
        return ending.flaw is checkpoint.flaw
    return ending.flaw not in {Flaw.DAMAGED, Flaw.FOREIGN} or checkpoint.kept <= ending.proven


def _checked(content: Content, before: Checkpoint, written: Written) -> Checkpoint:
    """The checkpoint after a segment; raises `SourceVanished` where the file is no longer what was stored of it."""
    end = before.kept + written.raw
    after = replace(
        before,
        kept=end,
        lead=before.lead or lead_of(content.head()[:end]),
        head=before.head if before.head.length == HEAD else fingerprint(content.head()[:end]),
        tail=_tail(content, end, written.last_bytes),
        first_time=before.first_time or written.first_time,
        last_time=written.last_time or before.last_time,
        size=-1,
    )
    content.check_unchanged(end, after.head)
    return after


def _tail(content: Content, end: int, last: bytes) -> Fingerprint:
    return fingerprint(last if len(last) == min(HEAD, end) else _last_bytes(content, end))


def _last_bytes(content: Content, end: int) -> bytes:
    """Those before `end`; raises `SourceVanished` where they are no longer there."""
    found = content.before(end, min(HEAD, end))
    if found is None:
        raise SourceVanished(f"{content.file.name!r} was cut short while it was read")
    return found


def _known_wholly(known: Iterable[Checkpoint], unread: Iterable[Unread]) -> set[int]:
    """Generations of logs of which an earlier job saw all that was there."""
    unclear = {one.family for one in unread if one.kind is not UnreadKind.EMPTY}
    return {c.generation for c in known if c.family not in unclear}


def _split(sights: Sequence[Sight], known: Mapping[int, Checkpoint]) -> list[Sight]:
    """Files that a name alone proposes as rotated ones are logs of their own where their times overlap others'."""
    spans: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    fresh = [s for s in sights if s.name.proposed and s.look is Look.READABLE and not s.continues | s.foreign]
    if not fresh:
        return list(sights)
    families = {sight.name.family for sight in fresh}
    for sight in sights:
        span = _span(sight, known) if sight.name.family in families else None
        if span:
            spans[sight.name.family].append((sight.file.name, *span))
    own = {
        sight.file.name
        for sight in fresh
        if (span := _span(sight, known))
        and any(
            name != sight.file.name and min(span[1], last) - max(span[0], first) >= _OVERLAP_SECONDS
            for name, first, last in spans[sight.name.family]
        )
    }
    return [replace(s, name=parse_name(s.file.name, (), {s.name.plain})) if s.file.name in own else s for s in sights]


def _span(sight: Sight, known: Mapping[int, Checkpoint]) -> tuple[float, float] | None:
    """First and last time of a plain file; of a compressed one, which is no longer written to, nothing is told."""
    first, last = sight.first_time, sight.last_time
    if sight.look is Look.UNCHANGED:
        c = next((known[number] for number in sight.continues if number in known), None)
        first, last = (c.first_time, c.last_time) if c else ("", "")
    return (instant(first), instant(last)) if first and last else None


def _alike(sight: Sight, known: Mapping[int, Checkpoint]) -> list[tuple[str, str]]:
    """What files have in common that may have one content."""
    keys = [("inode", sight.file.inode)] if sight.file.inode and sight.file.size else []
    lead = sight.lead if sight.first_time and sight.first_time != sight.last_time else ""
    if sight.look is Look.UNCHANGED:
        unchanged = [known[number] for number in sight.continues if number in known]
        lead = next((c.lead for c in unchanged if c.first_time != c.last_time), "")
    return [*keys, ("lead", lead)] if lead else keys


def _rank(sight: Sight, known: Mapping[int, Checkpoint]) -> tuple[object, ...]:
    """The lower, the more it is to stay: what is known under its name, the active file, what lies highest."""
    name = sight.name
    here = any(c.present and c.name == name.plain for c in (known[n] for n in sight.continues if n in known))
    return not here, name.compressed, not name.active, name.plain.count("/"), name.plain


def _may_hold(other: Sight, sight: Sight, ranks: Mapping[str, tuple[object, ...]]) -> bool:
    """Whether the other one may hold all of this one, and is to stay."""
    if other.look not in {Look.UNCHANGED, Look.READABLE} or not other.file.size:
        return False
    plain = not other.name.compressed and not sight.name.compressed
    if plain and other.file.size < sight.file.size:
        return False
    known = bool(other.continues | other.foreign)
    if not known and not (sight.file.inode and sight.file.inode == other.file.inode):
        return False
    full = other.head.length == sight.head.length == HEAD
    if full and other.head != sight.head:
        return False
    longer = plain and other.file.size > sight.file.size
    return longer or ranks[other.file.name] < ranks[sight.file.name]


def _hints(checkpoints: Sequence[Checkpoint]) -> dict[Hint, Checkpoint]:
    """How files look that are kept to their end; without inodes, not those of a log that are equally old."""
    equally_old = Counter((c.family, c.mtime_ns) for c in checkpoints if not c.inode)
    return {
        (c.name, c.inode, c.size, c.mtime_ns, c.ctime_ns): c
        for c in checkpoints
        if c.settled and (c.inode or equally_old[c.family, c.mtime_ns] == 1)
    }


def _hint(file: LogFile, name: LogName) -> Hint:
    return (name.plain, file.inode, file.size, file.mtime_ns, file.ctime_ns)


def _with_hints(checkpoint: Checkpoint, file: LogFile, settled: bool) -> Checkpoint:
    if not settled:
        return replace(checkpoint, size=-1, mtime_ns=file.mtime_ns, inode=file.inode)
    return replace(checkpoint, size=file.size, mtime_ns=file.mtime_ns, ctime_ns=file.ctime_ns, inode=file.inode)
