"""Every manner of rotation by every kind of name, at any moment of a backup: each line is kept once, no gap is told."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.backup import node_backup
from logkeep.sources.base import Listing, LogSource, OpenLog
from logkeep.sources.local import LocalSource
from tests.support.model import TICK_NS, WithoutInodes
from tests.unit.backup.test_flawed import PACK
from tests.unit.backup.test_identity import JVM_HEADER, Node, Renumbered, RenumberedLog, events
from tests.unit.backup.test_node_backup import SETTLED

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
MANNERS = ["rename", "copytruncate", "copy", "hard link"]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    **PACK,
    "gz cut": lambda data: PACK["gz"](data)[:-8],
    "gz garbage": lambda data: PACK["gz"](data) + b"\0garbage",
}
FORMS = ["plain", *PACKERS]
TELLS_NOTHING = {"other name", "same name elsewhere"}  # of what was never seen as the active file
SHIFTED = {"counter down", "newest first"}  # 1 is the newest
HEADS = {"distinct": b"", "banner": JVM_HEADER, "long banner": JVM_HEADER * 20}


class Rotations:
    """One log that is written to and rotated; `truth` are its generations, oldest first."""

    def __init__(self, node: Node, manner: str, name: str, head: str, form: str = "plain", log: str = "prod") -> None:
        self.node, self.manner, self.head, self.form = node, manner, HEADS[head], form
        self.log = f"{log}.log"
        # Two logs with the same lines under names that tell nothing are in doubt.
        self.word = b"event" if log == "prod" or name != "other name" else b"other"
        self.shifted = name in SHIFTED
        self.truth: list[bytes] = []
        self.files: list[str] = []  # of the rotated generations, oldest first
        self.lines = 0
        self._name = lambda n: NAMES[name](n).replace("prod", log).replace("what", "what" if log == "prod" else log)
        self._begin()

    def _begin(self) -> None:
        self.truth.append(self.head)
        self.node.put(self.log, self.head)
        self.write(12)

    def write(self, count: int) -> None:
        data = events(self.lines + 1, self.lines + count).replace(b"event", self.word)
        self.lines += count
        self.node.add(self.log, data)
        self.truth[-1] += data

    def steps(self) -> Iterator[None]:
        """A rotation, one operation on the file system after the other."""
        if self.shifted:
            for place, old in enumerate(self.files):
                new = self._name(len(self.files) - place + 1)
                self.files[place] = new + old.removeprefix(self._name(len(self.files) - place))
                self.node.move(old, self.files[place])
                yield
        target = self._name(1 if self.shifted else len(self.files) + 1)
        if self.manner == "rename":
            self.node.move(self.log, target)
            yield
        elif self.manner == "hard link":
            self.node.link(self.log, target)
            yield
            self.node.path(self.log).unlink()
            yield
        else:
            self.node.copy(self.log, target)
            yield
            if self.manner == "copytruncate":
                os.truncate(self.node.path(self.log), 0)
                yield
        self.files.append(target)
        if self.manner != "copy":
            self._begin()
        yield from self._pack()

    def _pack(self) -> Iterator[None]:
        if self.form == "plain":
            return
        plain = self.files[-1]
        packed = PACKERS[self.form](self.node.path(plain).read_bytes())
        self.files[-1] = f"{plain}.{self.form.split()[0]}"
        self.node.put(self.files[-1], packed[: len(packed) // 2])
        yield
        self.node.add(self.files[-1], packed[len(packed) // 2 :])
        yield
        self.node.path(plain).unlink()
        yield

    def check(self) -> None:
        kept = self.node.logs()[self.log]
        assert Counter(kept.splitlines()) == Counter(b"".join(self.truth).splitlines())
        if self.log not in self.node.unproven:
            assert kept == b"".join(self.truth), "not in the order of writing"


@contextmanager
def a_node() -> Iterator[Node]:
    directory = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    try:
        yield Node(directory)
    finally:
        shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0.0)


rotations = st.lists(
    st.tuples(st.sampled_from(["before", "during", "after"]), st.integers(0, 9)), min_size=1, max_size=4
)

cases = given(
    st.sampled_from(MANNERS),
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(sorted(HEADS)),
    st.sampled_from(FORMS),
    st.booleans(),
    rotations,
)


@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@cases
def test_rotated_log_is_kept_once_and_in_order(
    manner: str, name: str, head: str, form: str, beside: bool, moves: list[tuple[str, int]]
) -> None:
    """`beside`: another log, called nearly alike, goes on at the same times and is rotated at the same moments."""
    rotate(manner, name, head, form, moves, LocalSource, beside=beside)


# Two contents of one size within a tick of the clock look the same where there are no inodes.
TICKS = 2 * TICK_NS
SOURCES: dict[str, Callable[[Path], LogSource]] = {
    "no inodes": lambda directory: WithoutInodes(LocalSource(directory)),
    "one inode for all": lambda directory: Renumbered(directory, lambda _: "1:1"),
    "another one of the open file": lambda directory: Renumbered(directory, lambda inode: inode, "9{}".format),
    "those of names": lambda directory: Named(LocalSource(directory)),
}
SECONDS = 1_000_000_000  # as SFTP tells times; most examples take less


class Named(LogSource):
    """A mount whose inodes are those of names: what takes the name of another file has its inode."""

    def __init__(self, source: LogSource) -> None:
        self._source = source

    def list(self) -> Listing:
        listing = self._source.list()
        return listing.with_files(file._replace(inode=f"1:{crc32(file.name.encode())}") for file in listing)

    def open(self, name: str) -> OpenLog:
        return RenumberedLog(self._source.open(name), lambda _: f"1:{crc32(name.encode())}")


@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "200")) // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(["rename", "copytruncate", "hard link"]),
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(sorted(HEADS)),
    st.sampled_from(FORMS),
    st.booleans(),
    rotations,
)
def test_so_it_is_where_times_are_whole_seconds(
    manner: str, name: str, head: str, form: str, beside: bool, moves: list[tuple[str, int]]
) -> None:
    """And there are no inodes, as over SFTP: files that are rotated within a second look alike."""

    def over_sftp(directory: Path) -> LogSource:
        return WithoutInodes(LocalSource(directory), SECONDS)

    rotate(manner, name, head, form, moves, over_sftp, beside=beside, settle_ns=2 * SECONDS)


@pytest.mark.parametrize("source", sorted(SOURCES))
@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "200")) // 8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(["rename", "copytruncate", "hard link"]),
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(FORMS),
    rotations,
)
def test_so_it_is_where_inodes_are_missing_or_lie(
    source: str, manner: str, name: str, form: str, moves: list[tuple[str, int]]
) -> None:
    rotate(manner, name, "distinct", form, moves, SOURCES[source], settle_ns=TICKS)


def rotate(
    manner: str,
    name: str,
    head: str,
    form: str,
    moves: list[tuple[str, int]],
    source: Callable[[Path], LogSource],
    *,
    beside: bool = False,
    settle_ns: int = SETTLED,
    place: Callable[[], AbstractContextManager[Node]] = a_node,
) -> None:
    """Rotate as `moves` say, and back up meanwhile what the source shows of the node at `place`."""
    if manner == "copy" and head == "long banner":
        return  # nothing proves that it is a copy: it is kept as well
    with place() as node:
        read_from = source(node.directory)
        logs = [Rotations(node, manner, name, head, form, log) for log in ("prod", "prod-eu")[: 1 + beside]]
        assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
        for moment, delay in moves:
            for log in logs:
                log.write(5)
            if name in TELLS_NOTHING:
                assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
            steps = chain.from_iterable(log.steps() for log in logs)
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
            for log in logs:
                log.write(3)
        assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
        node.seconds_ahead += 61  # a file that is cut may be being written until it stood still for a minute
        assert not node.back_up(source=read_from, settle_ns=settle_ns).failures
        assert set(node.logs()) == {log.log for log in logs}
        for log in logs:
            log.check()
        assert not node.catalogue.gaps
