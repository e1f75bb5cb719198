"""A source that hangs fails its node in time, stops no other, and costs one thread however often it is asked."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.errors import SourceUnreachable
from logkeep.service import clusters
from logkeep.service.runtime import BackupLimits
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog, Tenant
from logkeep.sources.local import LocalSource
from logkeep.sources.watched import WatchedSource, watch_sources
from logkeep.watchdog import Watchdog, Watched
from tests.integration.test_cancel import until, with_source
from tests.support.installation import Installation

SECONDS = 0.4
HANGS = r"hangs: it gave no sign of progress for 0\.4 s \(sources\.stalled_seconds\)"


class Dead(LogSource):
    """A directory whose listing, opening or reading hangs from some point on."""

    def __init__(self, directory: Path, hangs_in: str, after: int = 0) -> None:
        self._source = LocalSource(directory)
        self._hangs_in = hangs_in
        self._left = after
        self.back = threading.Event()
        self.asked = 0
        self.opened = 0
        self.closed = 0
        self.threads = set[int]()

    def hang(self, call: str) -> None:
        self.threads.add(threading.get_ident())
        if call == self._hangs_in:
            self._left -= 1
            if self._left < 0:
                self.asked += 1
                self.back.wait()

    def list(self) -> Listing:
        self.hang("list")
        return self._source.list()

    def open(self, name: str) -> OpenLog:
        self.hang("open")
        log = _DeadLog(self._source.open(name), self)
        self.opened += 1
        return log


class _DeadLog(OpenLog):
    def __init__(self, log: OpenLog, source: Dead) -> None:
        self._log = log
        self._source = source

    def stat(self) -> LogFile:
        self._source.hang("stat")
        return self._log.stat()

    def read_at(self, offset: int, length: int) -> bytes:
        self._source.hang("read")
        return self._log.read_at(offset, length)

    def close(self) -> None:
        self._source.hang("close")
        self._source.closed += 1
        self._log.close()


@pytest.fixture
def watchdog() -> Watchdog:
    return watch_sources(SECONDS)


def watched(source: Dead, watchdog: Watchdog) -> WatchedSource:
    return WatchedSource(source, Watched(Path("/mnt/n1"), 7, Path("/mnt")), watchdog)


def until_back(watchdog: Watchdog) -> None:
    end = time.monotonic() + 10
    while watchdog.count_hanging():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(("hangs_in", "after"), [("list", 0), ("open", 1), ("read", 2)])
def test_a_job_whose_source_hangs_fails_in_time_and_the_next_fails_at_once_without_another_thread(
    installation: Installation, cluster: Cluster, logs: Path, watchdog: Watchdog, hangs_in: str, after: int
) -> None:
    for name in ("a.log", "b.log", "c.log"):
        (logs / name).write_bytes(f"{name}\n".encode() * 1000)
    dead = Dead(logs, hangs_in, after)
    source = watched(dead, watchdog)
    stuck = with_source(installation, source)
    job = stuck.back_up(cluster)
    assert job.status is JobStatus.FAIL
    assert (job.failed_msg or "").startswith("LK-SOURCE-UNREACHABLE: node n1: the log directory /mnt/n1 hangs")
    kept = installation.restored_sizes(cluster)
    for _ in range(3):
        began = time.monotonic()
        again = stuck.back_up(cluster)
        assert again.failed_msg == job.failed_msg
        assert time.monotonic() - began < 2
    assert (watchdog.count_hanging(), dead.asked) == (1, 1)
    assert installation.restored_sizes(cluster) == kept  # it stays
    dead.back.set()
    until_back(watchdog)
    assert stuck.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.restored_sizes(cluster) == {("n1", f"{name}.log"): 6000 for name in "abc"}


@pytest.mark.parametrize(
    ("hangs_in", "after"),
    [*((call, after) for call in ("open", "stat", "close") for after in range(4)), *(("read", n) for n in range(14))],
)
def test_what_was_left_behind_keeps_nothing_and_closes_what_it_opened_once_it_comes_back(
    installation: Installation, cluster: Cluster, logs: Path, watchdog: Watchdog, hangs_in: str, after: int
) -> None:
    (logs / "es.log").write_bytes(b"line\n" * 10)
    (logs / "es-2026-11-28-1.log").write_bytes(b"older\n" * 20)
    descriptors = len(os.listdir("/proc/self/fd"))
    dead = Dead(logs, hangs_in, after)
    job = with_source(installation, watched(dead, watchdog)).back_up(cluster)
    assert "hangs" in (job.failed_msg or "")
    kept = installation.restored_sizes(cluster)
    dead.back.set()
    until_back(watchdog)
    until(lambda: dead.closed == dead.opened)
    assert dead.closed == dead.opened
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert installation.restored_sizes(cluster) == kept
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.restored_sizes(cluster) == {("n1", "es.log"): 170}


def test_all_calls_of_a_job_are_made_in_one_thread(installation: Installation, cluster: Cluster, logs: Path) -> None:
    for number in range(10):
        (logs / f"{number}.log").write_bytes(b"line\n")
    dead = Dead(logs, "nowhere")
    with_source(installation, watched(dead, watch_sources(60))).back_up(cluster)
    assert (len(dead.threads), dead.opened > 10) == (1, True)
    assert threading.get_ident() not in dead.threads


def test_what_goes_on_between_two_calls_may_take_its_time(tmp_path: Path) -> None:
    source = watched(Dead(tmp_path, "nowhere"), watch_sources(2.0))

    def list_twice() -> int:
        source.list()
        time.sleep(5.0)  # as a store may
        return len(source.list())

    assert source.run(list_twice) == 0


def test_a_call_after_a_long_pause_hangs_no_longer_than_others(tmp_path: Path, watchdog: Watchdog) -> None:
    dead = Dead(tmp_path, "list")

    def list_late() -> None:
        time.sleep(SECONDS * 1.5)
        watched(dead, watchdog).list()

    began = time.monotonic()
    with pytest.raises(SourceUnreachable, match=HANGS):
        watched(dead, watchdog).run(list_late)
    assert SECONDS * 2.4 < time.monotonic() - began < 30
    dead.back.set()
    until_back(watchdog)


def test_what_hangs_elsewhere_is_refused_within_a_job_too(tmp_path: Path, watchdog: Watchdog) -> None:
    dead = Dead(tmp_path, "list")
    alive = Dead(tmp_path, "nowhere")

    def open_then_list() -> None:
        with pytest.raises(SourceUnreachable, match=HANGS):
            watched(dead, watchdog).run(watched(dead, watchdog).list)
        watched(alive, watchdog).list()

    with pytest.raises(SourceUnreachable, match=HANGS):
        watched(alive, watchdog).run(open_then_list)
    assert alive.threads == set()
    dead.back.set()
    until_back(watchdog)


def test_two_nodes_that_hang_keep_no_other_node_waiting(
    installation: Installation, tmp_path: Path, watchdog: Watchdog
) -> None:
    folders = [tmp_path / name for name in ("n1", "n2", "n3")]
    for folder in folders:
        folder.mkdir()
        (folder / "es.log").write_bytes(b"line\n")
    cluster = installation.add_cluster(**{folder.name: folder for folder in folders})
    dead = [Dead(folder, "list") for folder in folders[:2]]
    sources: list[LogSource] = [
        WatchedSource(one, Watched(folder), watchdog) for one, folder in zip(dead, folders, strict=False)
    ]
    sources.append(LocalSource(folders[2]))
    by_url = {f"file://{folder}": source for folder, source in zip(folders, sources, strict=True)}

    def open_source(url: str, _tenant: Tenant) -> LogSource:
        return by_url[url]

    stuck = replace(
        installation,
        runtime=replace(installation.runtime, open_source=open_source, limits=BackupLimits(concurrent_nodes=2)),
    )
    job = stuck.back_up(cluster)
    assert (job.failed_msg or "").count("hangs") == 2
    assert installation.restored(cluster) == {("n3", "es.log"): b"line\n"}
    for one in dead:
        one.back.set()


def test_what_moves_however_slowly_does_not_hang(tmp_path: Path, watchdog: Watchdog) -> None:
    watched = Watched(tmp_path)

    def move() -> str:
        for _ in range(8):
            time.sleep(SECONDS / 4)
            watchdog.note_progress()
        return "done"

    assert watchdog.call(watched, move) == "done"
    assert watchdog.count_hanging() == 0


def test_each_entry_of_a_listing_is_progress(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.log").touch()
    noted: list[int] = []
    LocalSource(tmp_path, note_progress=lambda: noted.append(1)).list()
    assert len(noted) == 5


def test_a_file_in_which_a_read_hangs_is_closed_once_that_comes_back(tmp_path: Path, watchdog: Watchdog) -> None:
    (tmp_path / "es.log").write_bytes(b"line\n")
    dead = Dead(tmp_path, "read")
    log = watched(dead, watchdog).open("es.log")
    with pytest.raises(SourceUnreachable, match=HANGS):
        log.read_at(0, 5)
    log.close()
    assert dead.closed == 0  # its number would be another file's while the read still goes on
    dead.back.set()
    until_back(watchdog)
    end = time.monotonic() + 10
    while not dead.closed:
        assert time.monotonic() < end
        time.sleep(0.01)
    with pytest.raises(SourceUnreachable, match=HANGS):
        log.read_at(0, 5)
    assert dead.closed == 1


def test_a_mount_that_was_made_anew_is_another_source(tmp_path: Path, watchdog: Watchdog) -> None:
    dead = Dead(tmp_path, "list")
    with pytest.raises(SourceUnreachable, match=HANGS):
        WatchedSource(dead, Watched(tmp_path, 7), watchdog).list()
    assert WatchedSource(LocalSource(tmp_path), Watched(tmp_path, 8), watchdog).list() == []
    dead.back.set()


def test_a_source_that_hangs_can_be_neither_registered_nor_hide_one_that_is_refused(
    installation: Installation, tmp_path: Path
) -> None:
    def hang(*_: object) -> LogSource:
        raise SourceUnreachable("the log directory hangs")

    stuck = replace(installation.runtime, open_source=hang)
    with pytest.raises(Exception, match="hangs") as raised:
        clusters.add_cluster(stuck, installation.project.id, "x", [clusters.NewNode("n", f"file://{tmp_path}")])
    assert type(raised.value).__name__ == "InvalidField"


def test_a_source_is_read_again_once_threads_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "es.log").write_bytes(b"line\n")
    watchdog = watch_sources(SECONDS)
    source = WatchedSource(LocalSource(tmp_path), Watched(tmp_path), watchdog)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(20):
            with pytest.raises(MemoryError):
                source.list()
    assert not watchdog._calls
    assert [file.name for file in source.list()] == ["es.log"]
