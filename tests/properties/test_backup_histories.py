"""Random histories of writing, rotating, crashing and backing up: nothing is lost that was readable, nothing kept twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from logkeep.backup import node_backup
from logkeep.backup.node_backup import NodeBackup
from logkeep.backup.node_state import Outcome, Target
from logkeep.backup.segment import Sizes
from logkeep.clock import SystemClock
from logkeep.logformat.names import parse_name
from logkeep.sources.local import LocalSource
from tests.support.model import (
    TICK_NS,
    Before,
    BusySource,
    InlineExecutor,
    Ledger,
    MemoryCatalogue,
    MemoryStore,
    Node,
    WithoutInodes,
    check_archive,
    kept_lengths,
)

FAMILIES = {
    "es_server.json": ["dated"],
    "es.log": ["dated"],
    "es_index_search_slowlog.json": ["indexed"],
    "app.log": ["logrotate"],
    "copied.log": ["copytruncate"],
    "moved.log": ["linked"],
}
EXECUTOR = InlineExecutor()

families = st.sampled_from(sorted(FAMILIES))
pauses = st.sampled_from((0, 0, 1, 2, 3, 9, 30))  # steps of the node before a call of the engine
actions = st.one_of(
    st.tuples(st.just("write"), families, st.integers(0, 4), st.booleans()),
    st.tuples(st.just("rotate"), families),
    st.tuples(st.just("step"), st.integers(1, 4)),
    st.tuples(st.just("truncate"), families),
    st.tuples(st.just("drop"), families),
    st.tuples(st.just("storm"), families, st.integers(1, 6), st.integers(1, 5)),
    st.tuples(st.just("backup"), st.lists(pauses, max_size=12), st.lists(st.integers(0, 6), max_size=3), st.booleans()),
)
histories = st.lists(actions, min_size=3, max_size=25)


class Killed(BaseException):
    """The process is gone."""


class History:
    """One node, its backups, and what they must come to."""

    def __init__(self, directory: Path, banners: set[str], twins: set[str], *, inodes: bool = True) -> None:
        self.inodes = inodes
        self.node = Node(directory, banners=banners, twins=twins)
        self.catalogue, self.store = MemoryCatalogue(), MemoryStore()
        self.ledger = Ledger(self.node, self.catalogue)
        self.required: dict[str, list[int]] = {}
        self.jobs = 0

    def run(self, history: list[tuple]) -> None:
        # What is new and holds what a log held that is gone may be that log's, for all that anybody can know.
        known = [("write", family, 3, True) for family in sorted(self.node.twins)]
        for action in [
            *known,
            *([("backup", [], [], False)] if known else []),
            *history,
            ("backup", [], [], False),
            ("finish",),
            ("backup", [], [], False),
        ]:
            self.act(action)
        check_archive(self.kept(), self.required)

    def kept(self) -> dict[str, list[int]]:
        return kept_lengths(self.node, self.catalogue.contents(self.store.objects))

    def act(self, action: tuple) -> None:
        node = self.node
        match action:
            case ("write", family, count, newline):
                node.write(family, count, newline=newline)
            case ("rotate", family):
                node.rotate(family, FAMILIES[family][0])
            case ("storm", family, rotations, kept):
                node.storm(family, FAMILIES[family][0], rotations, kept)
            case ("step", count):
                for _ in range(count):
                    node.step()
            case ("finish",):
                node.finish()
            case ("truncate", family):
                node.truncate(family)
            case ("drop", family):
                node.drop(family)
            case ("backup", schedule, crashes, torn):
                self.back_up(schedule, crashes, torn=torn)

    def back_up(self, schedule: list[int], crashes: list[int], *, torn: bool) -> None:
        kept = self.kept()
        at_start = self.node.readable()
        then = Before(kept, self.node.lost(kept), list(self.catalogue.kept.values()), len(self.catalogue.gaps))
        outcome = self.attempt(list(schedule), list(crashes), then, torn=torn)
        assert not outcome.failures
        unclear = {parse_name(name, set(FAMILIES)).family for name in outcome.waiting}
        self.ledger.check(self.kept(), then, unclear)
        self.node.anew.clear()
        self.node.rewritten.clear()
        self.require(at_start)

    def attempt(self, pending: list[int], crashes: list[int], then: Before, *, torn: bool) -> Outcome:
        """One job; `crashes` are the writes after which each of its attempts but the last one is killed."""
        self.jobs += 1
        self.catalogue.job = f"{self.jobs:032x}"
        listed: list[dict[str, list[int]]] = []

        def meanwhile() -> None:
            for _ in range(pending.pop(0) if pending else 0):
                self.node.step()
            if not listed:  # the first call of an attempt is its first listing
                listed.append(self.node.readable())

        def burn() -> None:
            if crashes:
                crashes[0] -= 1
                if crashes[0] < 0:
                    crashes.pop(0)
                    if not then.listed:  # killed before anything was noted: nobody knows of this listing
                        listed.clear()
                    raise Killed
            then.listed = then.listed or listed[0]

        self.store.before_put = self.store.after_put = self.catalogue.before_record = burn
        source = BusySource(LocalSource(self.node.directory), meanwhile, torn=torn)
        for attempt in range(1, len(crashes) + 2):
            target = Target(self.store, "bucket", "base/cluster", self.catalogue.job, attempt)
            read_from = source if self.inodes else WithoutInodes(source)
            settle = 20_000_000 if self.inodes else 2 * TICK_NS
            backup = NodeBackup(
                "node", read_from, target, self.catalogue, SystemClock(), EXECUTOR, settle, sizes=Sizes(48, 160)
            )
            try:
                with suppress(Killed):
                    return backup.run()
            finally:
                then.slipped |= {parse_name(name, set(FAMILIES)).family for name in source.slipped}
        raise AssertionError("killed once more")

    def require(self, at_start: dict[str, list[int]]) -> None:
        """What could be read all the time of a backup must be kept."""
        at_end = self.node.readable()
        for family, generations in at_start.items():
            held = self.required.setdefault(family, [])
            held += [0] * (len(self.node.truth[family]) - len(held))
            for number, length in enumerate(generations):
                held[number] = max(held[number], min(length, at_end[family][number]))


def run_history(history: list[tuple], banners: set[str], twins: set[str], *, inodes: bool = True) -> None:
    directory = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    try:
        History(directory, banners, twins, inodes=inodes).run(history)
    finally:
        shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(node_backup, "_MAX_WAITS", 2)


@settings(
    # The same ones at each run, so that what lands is not a matter of luck; LOGKEEP_TEST_HISTORIES tries so many new ones.
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "500")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories, st.sets(families, max_size=2), st.sets(families, max_size=3))
@example(
    [
        ("rotate", "moved.log"),
        ("backup", [], [4, 2, 0], False),
        ("drop", "copied.log"),
        ("backup", [3, 2, 0], [3, 0, 0], False),
        ("backup", [], [], False),
        ("truncate", "es_index_search_slowlog.json"),
        ("storm", "moved.log", 4, 2),
        ("drop", "es.log"),
        ("truncate", "app.log"),
        ("storm", "es_index_search_slowlog.json", 2, 4),
        ("truncate", "moved.log"),
        ("truncate", "es.log"),
        ("truncate", "es_server.json"),
        ("storm", "es_index_search_slowlog.json", 2, 5),
        ("storm", "moved.log", 3, 2),
        ("backup", [0, 3, 1, 9, 2, 0], [4], True),
        ("drop", "moved.log"),
    ],
    {"app.log", "es_index_search_slowlog.json"},
    {"es_server.json", "es_index_search_slowlog.json", "es.log"},
)
@example([("write", "app.log", 0, False), ("storm", "app.log", 2, 1), ("backup", [1, 0, 30], [0], False)], set(), set())
@example(
    [("write", "copied.log", 2, False), ("storm", "copied.log", 2, 2), ("backup", [2, 9], [], False)], set(), set()
)
@example(
    [
        ("storm", "copied.log", 5, 4),
        ("backup", [2, 3], [], False),
        ("rotate", "copied.log"),
        ("backup", [0, 1], [], False),
    ],
    set(),
    set(),
)
def test_nothing_readable_is_lost_and_nothing_is_kept_twice(
    history: list[tuple], banners: set[str], twins: set[str]
) -> None:
    run_history(history, banners, twins)


@settings(
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "1600")) // 8,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories, st.sets(families, max_size=2), st.sets(families, max_size=3))
def test_so_it_is_of_a_source_that_tells_no_inodes(history: list[tuple], banners: set[str], twins: set[str]) -> None:
    run_history(history, banners, twins, inodes=False)
