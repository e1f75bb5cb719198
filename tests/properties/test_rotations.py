"""Every manner of rotation by every kind of name, at any moment of a backup: each line is kept once, no gap is told."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.engine import backup
from logkeep.sources.base import LogSource
from logkeep.sources.local import LocalSource
from tests.model import TICK_NS, WithoutInodes
from tests.unit.engine.test_backup import SETTLED
from tests.unit.engine.test_identity import JVM_HEADER, Node, Renumbered, events

NAMES: dict[str, Callable[[int], str]] = {
    "dated": lambda n: f"prod-2026-11-23-{n}.log",
    "hourly": lambda n: f"prod-2026-11-23-{9 + n}-1.log",
    "subfolder": lambda n: f"archive/prod-2026-11-23-{n}.log",
    "same name elsewhere": lambda n: f"2026/11/2{n}/prod.log",
    "epoch": lambda n: f"prod.log-{1764000000 + 3600 * n}",
    "other name": lambda n: f"what.{'abcdefgh'[n]}ver",
    "minutes": lambda n: f"prod.log.2026-11-23_10-{30 + n}",
    "counter up": lambda n: f"prod-{n}.log",
    "counter down": lambda n: f"prod.log.{n}",
    "newest first": lambda n: f"prod-{n}.log",
}
TELLS_NOTHING = {"other name", "same name elsewhere"}  # of what was never seen as the active file
SHIFTED = {"counter down", "newest first"}  # 1 is the newest
HEADS = {"distinct": b"", "banner": JVM_HEADER, "long banner": JVM_HEADER * 20}


class Rotations:
    """One log that is written to and rotated; `truth` are its generations, oldest first."""

    def __init__(self, node: Node, manner: str, name: str, head: str) -> None:
        self.node, self.manner, self.name, self.head = node, manner, NAMES[name], HEADS[head]
        self.shifted = name in SHIFTED
        self.truth: list[bytes] = []
        self.files: list[str] = []  # of the rotated generations, oldest first
        self.lines = 0
        self._begin()

    def _begin(self) -> None:
        self.truth.append(self.head)
        self.node.put("prod.log", self.head)
        self.write(12)

    def write(self, count: int) -> None:
        data = events(self.lines + 1, self.lines + count)
        self.lines += count
        self.node.add("prod.log", data)
        self.truth[-1] += data

    def steps(self) -> Iterator[None]:
        """A rotation, one operation on the file system after the other."""
        if self.shifted:
            for number in range(len(self.files), 0, -1):
                self.node.move(self.name(number), self.name(number + 1))
                yield
        target = self.name(1 if self.shifted else len(self.files) + 1)
        if self.manner == "rename":
            self.node.move("prod.log", target)
            yield
        elif self.manner == "hard link":
            self.node.link("prod.log", target)
            yield
            self.node.path("prod.log").unlink()
            yield
        else:
            self.node.copy("prod.log", target)
            yield
            os.truncate(self.node.path("prod.log"), 0)
            yield
        self.files.append(target)
        self._begin()

    def check(self) -> None:
        kept = self.node.logs()
        assert set(kept) == {"prod.log"}, set(kept)
        assert Counter(kept["prod.log"].splitlines()) == Counter(b"".join(self.truth).splitlines())
        assert kept["prod.log"] == b"".join(self.truth), "not in the order of writing"


@contextmanager
def a_node() -> Iterator[Node]:
    directory = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    try:
        yield Node(directory)
    finally:
        shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "_WAIT_SECONDS", 0.0)


rotations = st.lists(
    st.tuples(st.sampled_from(["before", "during", "after"]), st.integers(0, 9)), min_size=1, max_size=4
)


@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "400")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(["rename", "copytruncate", "hard link"]),
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(sorted(HEADS)),
    rotations,
)
def test_rotated_log_is_kept_once_and_in_order(manner: str, name: str, head: str, moves: list[tuple[str, int]]) -> None:
    rotate(manner, name, head, moves, LocalSource)


SOURCES: dict[str, Callable[[Path], LogSource]] = {
    "no inodes": lambda directory: WithoutInodes(LocalSource(directory)),
    "one inode for all": lambda directory: Renumbered(directory, lambda _: "1:1"),
    "another one of the open file": lambda directory: Renumbered(directory, lambda inode: inode, "9{}".format),
}


@pytest.mark.parametrize("source", sorted(SOURCES))
@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "400")) // 8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(["rename", "copytruncate", "hard link"]), st.sampled_from(sorted(NAMES)), rotations)
def test_so_it_is_where_inodes_are_missing_or_lie(
    source: str, manner: str, name: str, moves: list[tuple[str, int]]
) -> None:
    rotate(manner, name, "distinct", moves, SOURCES[source])


def rotate(
    manner: str, name: str, head: str, moves: list[tuple[str, int]], source: Callable[[Path], LogSource]
) -> None:
    with a_node() as node:
        read_from = source(node.directory)
        # Two contents of one size within a tick of the clock look the same where there are no inodes.
        settle_ns = 2 * TICK_NS if source is not LocalSource else SETTLED
        log = Rotations(node, manner, name, head)
        assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
        for moment, delay in moves:
            log.write(5)
            if name in TELLS_NOTHING:
                assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
            steps = log.steps()
            if moment == "before":
                assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
            calls = iter(range(10_000))

            def meanwhile(steps: Iterator[None] = steps, calls: Iterator[int] = calls, delay: int = delay) -> None:
                if next(calls) >= delay:
                    next(steps, None)

            if moment == "during":
                assert not node.back_up(meanwhile, source=read_from, settle_ns=settle_ns).failures
            for _ in steps:
                pass
            if moment != "before":
                assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
            log.write(3)
        assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
        log.check()
        assert not node.catalogue.gaps
