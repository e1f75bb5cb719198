"""Small files of a remote source are fetched before they are opened, and only where that comes to the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from logkeep.backup import read_ahead
from logkeep.backup.read_ahead import LARGEST, ReadAhead
from logkeep.clock import FixedClock
from logkeep.errors import SourceUnreachable, SourceUnreadable, SourceVanished
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog

NOW = 1_800_000_000_000  # ms
OLD = (NOW - 60_000) * 1_000_000  # ns


class MemoryLog(OpenLog):
    def __init__(self, source: MemorySource, name: str) -> None:
        self._source, self._name = source, name

    def stat(self) -> LogFile:
        return self._source.file(self._name)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._source.data[self._name][offset : offset + min(length, 1000)]

    def close(self) -> None:
        self._source.closed.append(self._name)


class MemorySource(LogSource):
    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.times: dict[str, int] = {}
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.meeting: threading.Barrier | None = None
        self.broken: set[str] = set()
        self.away = False
        self.seconds = 0.0  # that opening takes

    def write(self, name: str, data: bytes, mtime_ns: int = OLD) -> LogFile:
        self.data[name], self.times[name] = data, mtime_ns
        return self.file(name)

    def file(self, name: str) -> LogFile:
        return LogFile(name, len(self.data[name]), self.times[name], 0, "")

    def list(self) -> Listing:
        return Listing(self.file(name) for name in self.data)

    def open(self, name: str) -> OpenLog:
        self.opened.append(name)
        if self.meeting:  # all wait for one another, so they are being fetched at a time
            self.meeting.wait(10)
        time.sleep(self.seconds)
        if name in self.broken:
            raise SourceUnreadable(f"{name!r} cannot be read: no")
        if self.away:
            raise SourceUnreachable("n1 does not answer")
        if name not in self.data:
            raise SourceVanished(f"{name} is gone")
        return MemoryLog(self, name)


@pytest.fixture
def source() -> MemorySource:
    return MemorySource()


@pytest.fixture
def ahead(source: MemorySource) -> Iterator[ReadAhead]:
    yield ReadAhead(source, FixedClock(NOW))
    assert sorted(source.closed) == sorted(name for name in source.opened if name in source.data)


def read(ahead: ReadAhead, name: str) -> bytes:
    with closing(ahead.open(name)) as log:
        data = b""
        while piece := log.read_at(len(data), 1 << 20):
            data += piece
        assert log.stat().size == len(data)
        return data


def test_files_are_fetched_side_by_side_and_read_without_another_call(
    source: MemorySource, ahead: ReadAhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "_in_flight", 16)
    files = [source.write(f"{n}.log", b"%d\n" % n * 900) for n in range(1, 17)]
    source.meeting = threading.Barrier(16)
    ahead.expect(files)
    assert [read(ahead, file.name) for file in files] == [source.data[file.name] for file in files]
    assert sorted(source.opened) == sorted(source.data)
    ahead.expect(files)  # as when they are kept, after they were looked at
    assert [read(ahead, file.name) for file in files] == [source.data[file.name] for file in files]
    assert len(source.opened) == 16


@pytest.mark.parametrize("what", ["just written", "changed since the listing", "with NULs", "large", "not expected"])
def test_what_may_change_without_a_sign_is_opened_when_it_is_asked_for(
    source: MemorySource, ahead: ReadAhead, what: str
) -> None:
    file = source.write("a.log", b"x\n")
    if what == "just written":
        file = source.write("a.log", b"x\n", (NOW - 1000) * 1_000_000)
    elif what == "with NULs":
        file = source.write("a.log", b"x\n\0\0\0")
    elif what == "large":
        file = source.write("a.log", b"x\n" * LARGEST)
    ahead.expect([file] if what != "not expected" else [])
    if what == "changed since the listing":
        source.write("a.log", b"y\n", OLD + 1)
    fetched = len(source.opened)
    ahead.open("a.log").close()
    log = ahead.open("a.log")
    source.write("a.log", b"z\n", OLD + 2)
    assert log.read_at(0, 10) == b"z\n"
    assert len(source.opened) >= fetched + 2
    log.close()


def test_an_error_is_that_of_opening_the_file(source: MemorySource, ahead: ReadAhead) -> None:
    gone = source.write("gone.log", b"x\n")
    ahead.expect([gone, source.write("closed.log", b"x\n")])
    del source.data["gone.log"]
    source.broken.add("closed.log")
    with pytest.raises(SourceVanished):
        ahead.open("gone.log")
    with pytest.raises(SourceUnreadable, match="cannot be read: no"):
        ahead.open("closed.log")
    source.opened.clear()


def test_node_that_does_not_answer_is_not_asked_twice(source: MemorySource, ahead: ReadAhead) -> None:
    ahead.expect([source.write("a.log", b"x\n")])
    source.away = True
    with pytest.raises(SourceUnreachable):
        ahead.open("a.log")
    assert source.opened == ["a.log"]
    source.opened.clear()


def test_slow_link_gets_one_file_at_a_time(
    source: MemorySource, ahead: ReadAhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [source.write(f"{n:03}.log", b"x\n") for n in range(40)]
    ahead.expect(files)
    most = []
    for file in files[:20]:
        read(ahead, file.name)
        most.append(len(ahead._fetching))
    assert (most[0], max(most)) == (1, 15)
    monkeypatch.setattr(read_ahead, "_QUICK_SECONDS", 0.01)
    source.seconds = 0.02
    for file in files[20:]:
        read(ahead, file.name)
    assert not ahead._fetching
    assert ahead._in_flight == 1


def test_nothing_outlives_a_listing_or_half_a_minute(
    source: MemorySource, ahead: ReadAhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = source.write("a.log", b"old\n")
    ahead.expect([file])
    assert read(ahead, "a.log") == b"old\n"
    source.write("a.log", b"new\n")  # which no listing could tell from the old one
    assert read(ahead, "a.log") == b"old\n"
    ahead.list()
    assert read(ahead, "a.log") == b"new\n"
    monkeypatch.setattr(read_ahead, "_HELD_SECONDS", 0.0)
    ahead.expect([file])
    assert read(ahead, "a.log") == b"new\n"
    source.write("a.log", b"now\n")
    assert read(ahead, "a.log") == b"now\n"


def test_file_that_was_held_for_too_long_is_fetched_again_before_its_turn(
    source: MemorySource, ahead: ReadAhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [source.write(f"{n:03}.log", b"x\n") for n in range(10)]
    monkeypatch.setattr(read_ahead, "_HELD_SECONDS", 0.0)
    ahead.expect(files)
    for file in files:
        read(ahead, file.name)
    monkeypatch.undo()
    ahead.expect(files)
    source.opened.clear()
    source.closed.clear()
    for file in files:
        read(ahead, file.name)
    assert sorted(source.opened) == [file.name for file in files]
    assert ahead._held_bytes == sum(len(one.data) for one in ahead._held.values()) == 20


def test_memory_is_bounded(source: MemorySource, ahead: ReadAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_HELD_BYTES", 10_000)
    files = [source.write(f"{n:03}.log", b"x" * 1000) for n in range(100)]
    ahead.expect(files)
    for file in files:
        read(ahead, file.name)
        assert sum(len(one.data) for one in ahead._held.values()) == ahead._held_bytes <= 10_000
        assert len(ahead._fetching) <= 16
    assert list(ahead._held) == [file.name for file in files[-10:]]


def test_files_that_were_passed_over_do_not_hold_up_those_behind_them(source: MemorySource, ahead: ReadAhead) -> None:
    files = [source.write(f"{n:03}.log", b"x\n") for n in range(100)]
    ahead.expect(files)
    for file in files[::25]:
        assert read(ahead, file.name) == b"x\n"
    assert len(source.opened) <= 2 + 4 + 8 + 16
    for future in list(ahead._fetching.values()):
        future.result()
