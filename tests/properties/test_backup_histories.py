"""Random histories of writing, rotating, crashing and backing up: nothing is lost that was readable, nothing kept twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.clock import SystemClock
from logkeep.engine import backup
from logkeep.engine.backup import NodeBackup, Target
from logkeep.engine.segment import Sizes
from logkeep.sources.local import LocalSource
from tests.model import BusySource, MemoryCatalogue, MemoryStore, Node, check_archive

FAMILIES = {
    "es_server.json": ["dated"],
    "es.log": ["dated"],
    "es_index_search_slowlog.json": ["indexed"],
    "app.log": ["logrotate"],
    "copied.log": ["copytruncate"],
}
EXECUTOR = ThreadPoolExecutor(1)

families = st.sampled_from(sorted(FAMILIES))
actions = st.one_of(
    st.tuples(st.just("write"), families, st.integers(0, 4), st.booleans()),
    st.tuples(st.just("rotate"), families),
    st.tuples(st.just("step"), st.integers(1, 4)),
    st.tuples(st.just("truncate"), families),
    st.tuples(st.just("delete"), families),
    st.tuples(st.just("backup"), st.lists(st.integers(0, 3), max_size=12), st.none() | st.integers(0, 6)),
)
histories = st.lists(actions, min_size=3, max_size=25)


class Killed(BaseException):
    """The process is gone."""


def run_history(history: list[tuple], banners: set[str]) -> None:
    directory = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    try:
        node = Node(directory, banners=banners)
        catalogue, store = MemoryCatalogue(), MemoryStore()
        required: dict[str, list[int]] = {}
        for job, action in enumerate([*history, ("backup", [], None)]):
            _act(action, job, node, catalogue, store, required)
        check_archive(node, catalogue.contents(store.objects), required)
    finally:
        shutil.rmtree(directory)


def _act(action: tuple, job: int, node: Node, catalogue: MemoryCatalogue, store: MemoryStore, required: dict) -> None:
    match action:
        case ("write", family, count, newline):
            node.write(family, count, newline=newline)
        case ("rotate", family):
            node.rotate(family, FAMILIES[family][0])
        case ("step", count):
            for _ in range(count):
                node.step()
        case ("truncate", family):
            node.truncate(family)
        case ("delete", family):
            node.delete_oldest(family)
        case ("backup", schedule, crash):
            _back_up(job, node, catalogue, store, required, schedule, crash)


def _back_up(job, node, catalogue, store, required, schedule, crash) -> None:
    at_start = node.readable()
    pending = list(schedule)

    def meanwhile() -> None:
        for _ in range(pending.pop(0) if pending else 0):
            node.step()

    source = BusySource(LocalSource(node.directory), meanwhile)
    fuse = [crash]

    def burn() -> None:
        if fuse[0] is not None:
            fuse[0] -= 1
            if fuse[0] < 0:
                raise Killed

    store.before_put = store.after_put = burn
    catalogue.job = f"{job:032x}"
    for attempt in (1, 2):
        target = Target(store, "bucket", "base/cluster", f"{job:032x}", attempt)
        run = NodeBackup(
            "node", source, target, catalogue, SystemClock(), EXECUTOR, settle_ns=20_000_000, sizes=Sizes(48, 160)
        )
        try:
            outcome = run.run()
            break
        except Killed:
            store.before_put = store.after_put = lambda: None
    assert not outcome.failures
    at_end = node.readable()
    for family, generations in at_start.items():
        held = required.setdefault(family, [])
        held += [0] * (len(node.truth[family]) - len(held))
        for number, length in enumerate(generations):
            held[number] = max(held[number], min(length, at_end[family][number]))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(backup, "_MAX_WAITS", 2)


@settings(
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "2000")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories, st.sets(families, max_size=2))
def test_nothing_readable_is_lost_and_nothing_is_kept_twice(history: list[tuple], banners: set[str]) -> None:
    run_history(history, banners)
