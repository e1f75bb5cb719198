"""Any history of backups, rules, protections, locks and crashes: what the rules let go goes, once, and nothing else.

A model in plain Python says what may go. Runs are killed at any of their steps, and two workers race.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event, select

from logkeep.backup.catalogue import Kept
from logkeep.clock import FixedClock
from logkeep.database import generations, tables
from logkeep.database.connection import reading, writing
from logkeep.domain.manifest import Checkpoint, Fingerprint, Frame, Segment
from logkeep.domain.retention import DAY_MS, Protection, RetentionRule
from logkeep.errors import Overloaded, StoreDenied, StoreError, StoreUnreachable
from logkeep.service import backups, clusters, log_settings, protection, retention
from logkeep.service.backup_run import begin_run
from logkeep.service.catalogue import JobCatalogue
from logkeep.stores.layout import decode_removal_entry, manifest_hash, segment_object
from tests.support.catalogue import all_segments
from tests.support.installation import SETTING, open_installation

NODES, LOGS = ("n1", "n2"), ("es.log", "gc.log")
# Node, log, whether it was rotated before, bytes, and whether its lines tell a time.
PARTS = st.lists(
    st.tuples(st.sampled_from(NODES), st.sampled_from(LOGS), st.booleans(), st.integers(1, 9), st.booleans()),
    min_size=1,
    max_size=4,
)
LIMITS = st.tuples(st.integers(0, 3), st.integers(0, 400), st.integers(0, 3))
MARK = Fingerprint(3, "0" * 64)
CLAIM_MS = 121_000


class Killed(BaseException):
    """As if the process had ended here."""


class Bucket:
    """A bucket that keeps what is locked, and a number of steps after which the process is killed or the bucket fails."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.locked: set[str] = set()
        self.steps: int | None = None
        self.error: type[BaseException] = Killed
        self.removed: list[str] = []

    def step_database(self, *_: object) -> None:
        if self.error is Killed:
            self.step()

    def step(self) -> None:
        if self.steps is not None:
            self.steps -= 1
            if self.steps < 0:
                self.steps = 0 if self.error is StoreUnreachable else None
                raise self.error()

    def put(self, name: str, chunks: Any) -> int:
        self.step()
        size = self._store.put(name, chunks)
        self.step()
        return size

    def remove(self, names: list[str]) -> list[StoreError | None]:
        found: list[StoreError | None] = []
        for name in names:
            try:
                self.step()
            except StoreError as error:
                found.append(error)
                continue
            if name in self.locked:
                found.append(StoreDenied("it is locked"))
                continue
            found += self._store.remove([name])
            self.removed.append(name)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass
class Piece:
    """A segment, as the model knows it."""

    segment: Segment
    job_id: str
    created_at: int
    listed: bool

    @property
    def key(self) -> tuple[str, int, int]:
        return self.segment.node, self.segment.generation, self.segment.start


@dataclass
class Model:
    """What is kept, and what must not go."""

    pieces: list[Piece] = field(default_factory=list[Piece])
    present: dict[tuple[str, int], bool] = field(default_factory=dict[tuple[str, int], bool])
    successes: list[int] = field(default_factory=list[int])  # Unix ms
    rules: list[RetentionRule] = field(default_factory=list[RetentionRule])
    protections: list[Protection] = field(default_factory=list[Protection])
    is_open: bool = True

    def going(self, now: int) -> set[tuple[str, int, int]]:
        """Say naively, object by object, what goes."""
        own = {one.log for one in self.rules if one.log}
        found: set[tuple[str, int, int]] = set()
        for one in self.rules:
            governed = [
                p for p in self.pieces if (p.segment.family == one.log if one.log else p.segment.family not in own)
            ]
            found |= {p.key for p in governed if self._is_out(p, one, governed, now)}
        blocked: set[tuple[str, int]] = set()
        going: set[tuple[str, int, int]] = set()
        for piece in sorted(self.pieces, key=lambda p: p.key):
            generation = piece.key[:2]
            if piece.key in found and generation not in blocked and not self._must_stay(piece, now):
                going.add(piece.key)
            else:
                blocked.add(generation)
        return going

    def _is_out(self, piece: Piece, one: RetentionRule, governed: list[Piece], now: int) -> bool:
        if one.keep_days and now - piece.created_at < one.keep_days * DAY_MS:
            return False
        newest = sorted(self.successes, reverse=True)
        if one.keep_jobs and (len(newest) < one.keep_jobs or piece.created_at >= newest[one.keep_jobs - 1]):
            return False
        order = (piece.created_at, *piece.key[1:])
        as_young = [p.segment.stored for p in governed if (p.created_at, *p.key[1:]) >= order]
        if one.keep_bytes and sum(as_young) <= one.keep_bytes:
            return False
        return one.is_limited

    def _must_stay(self, piece: Piece, now: int) -> bool:
        segment = piece.segment
        if not piece.listed or (self.is_open and self.present[piece.key[:2]]):
            return True
        of_log = [p for p in self.pieces if (p.segment.node, p.segment.family) == (segment.node, segment.family)]
        if piece is max(of_log, key=lambda p: p.key):
            return True
        return any(self._protects(one, piece) for one in self.protections if not one.is_expired(now))

    def _protects(self, one: Protection, piece: Piece) -> bool:
        if one.job_id:
            return one.job_id == piece.job_id
        if one.log not in {"", piece.segment.family} or one.node not in {"", piece.segment.node}:
            return False
        time = piece.segment.frames[0].first_time
        return not time or one.span_from <= time[:10] < one.span_until


class Retention(RuleBasedStateMachine):
    """One cluster, whose backups are made by hand."""

    @initialize(history=st.lists(PARTS, min_size=3, max_size=6), limits=LIMITS)
    def install(self, history: list[Any], limits: tuple[int, int, int]) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.held = ExitStack()
        self.installation = self.held.enter_context(open_installation(self.folder / "installation"))
        self.bucket = Bucket(self.installation.runtime.stores["logs"])
        self.runtime = replace(self.installation.runtime, stores={"logs": self.bucket})
        event.listen(self.runtime.database, "commit", self.bucket.step_database)
        event.listen(self.runtime.database, "begin", self.bucket.step_database)
        self.clock: FixedClock = self.installation.clock
        new = [clusters.NewNode(name, f"file://{self.folder / name}") for name in NODES]
        for node in NODES:
            (self.folder / node).mkdir()
        self.cluster = clusters.add_cluster(self.runtime, self.installation.project.id, "prod", new)
        log_settings.open_backup(self.runtime, self.cluster, SETTING)
        self.model = Model()
        self.numbers = dict.fromkeys(NODES, 0)
        self.last: dict[tuple[str, str], int] = {}
        self.ever: dict[str, Piece] = {}  # by object, all that a manifest ever named
        self.allowed: set[str] = set()  # objects that may have gone
        self.paused: Iterator[Any] | None = None
        for parts in history:
            self.back_up(parts, days=2, fails=1)
        self.set_rules(limits, None)

    def teardown(self) -> None:
        if hasattr(self, "held"):
            self.bucket.steps = None
            if self.paused is not None:
                self.paused.close()  # type: ignore[attr-defined]
            self.held.close()
            shutil.rmtree(self.folder)

    @precondition(lambda self: self.model.is_open)
    @rule(parts=PARTS, days=st.integers(0, 3), fails=st.integers(0, 5))
    def back_up(self, parts: list[tuple[str, str, bool, int, bool]], days: int, fails: int) -> None:
        """What is new of some logs; or its manifest cannot be stored, and the next job's names it."""
        self.clock.advance(days * DAY_MS + 1000)
        job = backups.start_backup(self.runtime, self.cluster)
        run = begin_run(self.runtime, job.job_id)
        assert run
        catalogue = JobCatalogue(self.runtime.database, self.cluster.id, job.job_id, run.attempt)
        pieces = [self._keep(catalogue, job.job_id, job.created_at, number, *part) for number, part in enumerate(parts)]
        run.finish("" if fails else "LK-STORE-UNREACHABLE: the bucket does not answer")
        if fails:
            self.model.successes.append(job.created_at)
        self.model.pieces += pieces
        with reading(self.runtime.database) as connection:
            listed = set(connection.execute(select(tables.segments.c.object).where(
                tables.segments.c.manifest_job_id.is_not(None))).scalars())  # fmt: skip
        for piece in self.model.pieces:
            piece.listed = piece.segment.object in listed
            if piece.listed:
                self.ever[piece.segment.object] = piece

    def _keep(
        self, catalogue: JobCatalogue, job_id: str, at: int, number: int,
        node: str, log: str, new: bool, size: int, timed: bool,
    ) -> Piece:  # fmt: skip
        if new or (node, log) not in self.last:
            if old := self.last.get((node, log)):
                self._save(node, old, log, present=False)
            self.numbers[node] += 1
            self.last[node, log] = self.numbers[node]
        generation = self.last[node, log]
        before = [p.segment.end for p in self.model.pieces if p.key[:2] == (node, generation)]
        gone = [one.segment.end for one in self.ever.values() if one.key[:2] == (node, generation)]
        start = max([0, *before, *gone])
        with reading(self.runtime.database) as connection:
            known = generations.fetch_kept(connection, self.cluster.id, node, [generation])
        start = known.get(generation, start)
        name = segment_object("css/log/prod", node, log, generation, start, job_id, f"1-{number}")
        data = bytes([size]) * size * 10
        self.runtime.stores["logs"].put(name, [data])
        day = f"2026-01-{1 + (at // DAY_MS) % 28:02}T00:00:00,000" if timed else ""
        frame = Frame(0, len(data), start, size, day, day, None, 1)
        segment = Segment(
            node, log, generation, float(generation), log, start, start + size, "logs", name, len(data),
            hashlib.sha256(data).hexdigest(), MARK, MARK, (frame,),
        )  # fmt: skip
        checkpoint = Checkpoint(generation, log, float(generation), log, segment.end, MARK, MARK)
        catalogue.commit([Kept(segment, checkpoint)])
        self.model.present[node, generation] = True
        return Piece(segment, job_id, at, listed=False)

    def _save(self, node: str, generation: int, log: str, *, present: bool) -> None:
        """As a job does that no longer finds the file, with the checkpoint that it had loaded before."""
        with writing(self.runtime.database) as connection:
            known = generations.fetch_generation(connection, self.cluster.id, node, generation)
            assert known
            generations.save_checkpoints(connection, self.cluster.id, node, [replace(known, present=present)])
        self.model.present[node, generation] = present

    @rule(cluster=LIMITS, log=st.none() | LIMITS)
    def set_rules(self, cluster: tuple[int, int, int], log: tuple[int, int, int] | None) -> None:
        rules = [RetentionRule("", *cluster)] if any(cluster) else []
        rules += [RetentionRule("gc.log", *log)] if log else []
        retention.set_rules(self.runtime, self.cluster, rules, "alice")
        self.model.rules = rules

    @rule(first=st.integers(1, 28), days=st.integers(1, 9), log=st.sampled_from(["", *LOGS]), lasts=st.booleans())
    def protect_span(self, first: int, days: int, log: str, lasts: bool) -> None:
        self.model.protections.append(
            protection.protect(
                self.runtime, self.cluster, why="audit", who="bob", log=log,
                span_from=f"2026-01-{first:02}", span_until=f"2026-01-{min(31, first + days):02}",
                expires_at=None if lasts else self.clock.now_ms() + 2 * DAY_MS,
            )
        )  # fmt: skip

    @precondition(lambda self: self.model.pieces)
    @rule(which=st.integers(0, 100))
    def protect_job(self, which: int) -> None:
        job_id = self.model.pieces[which % len(self.model.pieces)].job_id
        made = protection.protect(self.runtime, self.cluster, why="proof", who="bob", job_id=job_id)
        self.model.protections.append(made)

    @precondition(lambda self: self.model.protections)
    @rule(which=st.integers(0, 100))
    def unprotect(self, which: int) -> None:
        made = self.model.protections.pop(which % len(self.model.protections))
        protection.unprotect(self.runtime, self.cluster, made.id, "bob")

    @rule(is_open=st.booleans())
    def open_or_close(self, is_open: bool) -> None:
        """A closed one keeps nothing again."""
        if is_open != self.model.is_open and is_open:
            log_settings.open_backup(self.runtime, self.cluster, SETTING)
        elif is_open != self.model.is_open:
            log_settings.close_backup(self.runtime, self.cluster)
        self.model.is_open = is_open

    @rule(which=st.lists(st.integers(0, 30), max_size=3))
    def lock(self, which: list[int]) -> None:
        names = sorted(self.ever)
        self.bucket.locked = {names[number % len(names)] for number in which if names}

    @rule(steps=st.none() | st.integers(0, 25), fails=st.booleans())
    def run(self, steps: int | None, fails: bool) -> None:
        """By hand; killed, or the bucket fails, at any of its steps."""
        going = self._expect()
        self.bucket.steps, self.bucket.error = steps, StoreUnreachable if fails else Killed
        ended = False
        with suppress(Killed, StoreError, Overloaded):
            list(retention.run(self.runtime, self.cluster, confirm=True, who="alice"))
            ended = True
        self.bucket.steps = None
        self._take_over(going, ended=ended)

    @rule()
    def run_by_the_clock(self) -> None:
        self.clock.advance(DAY_MS)
        going = self._expect()
        if due := retention.retain_most_due(self.runtime, DAY_MS):
            with closing(due[1]) as work:
                plans = all(one.confirmed_at is not None for one in retention.list_rules(self.runtime, self.cluster))
                list(work)
            self._take_over(going, ended=plans and bool(self.model.rules))

    @rule()
    def begin_beside(self) -> None:
        """Another worker begins, and pauses."""
        if self.paused is None:
            self._expect()
            try:
                self.paused = iter(retention.run(self.runtime, self.cluster, confirm=True, who="carol"))
                next(self.paused, None)
            except Overloaded:
                self.paused = None
            self._take_over(set(), ended=False)

    @rule(late=st.booleans())
    def go_on_beside(self, late: bool) -> None:
        """It goes on, or too late, where somebody else has taken over."""
        if self.paused is not None:
            if late:
                self.clock.advance(CLAIM_MS)
            self._expect()
            with suppress(Overloaded):
                list(self.paused)
            self.paused = None
            self._take_over(set(), ended=False)

    def _expect(self) -> set[tuple[str, int, int]]:
        """Hold what would be done against the model; remember what may go."""
        going = self.model.going(self.clock.now_ms())
        judged = list(retention.judge(self.runtime, self.cluster))
        assert {(one.kept.node, one.kept.generation, one.kept.start) for one in judged if one.goes} == going
        self.allowed |= {piece.segment.object for piece in self.model.pieces if piece.key in going}
        return going

    def _take_over(self, going: set[tuple[str, int, int]], *, ended: bool) -> None:
        """Only what was to go is gone, and all of it where the run has ended."""
        left = {(s.node, s.generation, s.start) for s in all_segments(self.runtime.database, self.cluster.id)}
        for piece in [piece for piece in self.model.pieces if piece.key not in left]:
            assert piece.segment.object in self.allowed
            self.model.pieces.remove(piece)
        if ended:
            assert not left & going

    @invariant()
    def what_the_catalogue_names_is_there_and_what_went_was_told_before(self) -> None:
        if not hasattr(self, "model"):
            return
        kept = {segment.object for segment in all_segments(self.runtime.database, self.cluster.id)}
        assert kept == {piece.segment.object for piece in self.model.pieces}
        files = {str(path.relative_to(self.installation.bucket)) for path in self.installation.objects()}
        assert kept <= files
        told, before = set[str](), ""
        entries = sorted(self.installation.bucket.rglob("_retention/*.json"), key=lambda path: path.name.split("-")[1])
        for number, path in enumerate(entries, 1):
            data = path.read_bytes()
            entry = decode_removal_entry(data)
            assert (entry.number, entry.previous) == (number, before)
            assert self.runtime.signing.find_signer(data, path.with_name(f"{path.name}.sig").read_bytes())
            told |= {segment.object for segment in entry.segments}
            before = manifest_hash(data)
        assert self.ever.keys() - files <= told
        assert not told & kept

    @invariant()
    def sums_are_those_of_what_went(self) -> None:
        if hasattr(self, "model"):
            state = retention.get_state(self.runtime, self.cluster)
            kept = {piece.segment.object for piece in self.model.pieces}
            gone = [piece.segment for name, piece in self.ever.items() if name not in kept]
            assert state.removed_objects == len(gone)
            assert state.removed_stored == sum(segment.stored for segment in gone)
            files = {str(path.relative_to(self.installation.bucket)) for path in self.installation.objects()}
            waiting = {segment.object for segment in gone} & files
            assert state.waiting.objects >= len(waiting)


Retention.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRetention = Retention.TestCase
