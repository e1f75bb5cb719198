"""Mounts that hang, by a FUSE file system whose process is stopped, under a real service."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from logkeep.errors import SourceUnreachable, StoreUnreachable
from logkeep.sources.base import LogSource
from logkeep.stores import folder
from logkeep.stores.base import ObjectStore
from logkeep.stores.opendal import open_store
from logkeep.watchdog import Watchdog
from tests.integration.cli.installed import serving, until
from tests.integration.test_agent_source import access_of, asking, running_agent
from tests.real.deployment import Site
from tests.real.servers import need_command

pytestmark = pytest.mark.real

STALLED = 4  # seconds
MORE = f"\n[sources]\nstalled_seconds = {STALLED}\n"
HANGS = f"hangs: it gave no sign of progress for {STALLED} s (sources.stalled_seconds)"


class Mount:
    """A directory shown elsewhere by bindfs."""

    def __init__(self, folder: Path) -> None:
        self.point = folder / "mount"
        (folder / "behind").mkdir(parents=True)
        self.point.mkdir()
        (folder / "behind" / "es.log").write_bytes(b"line\n" * 100_000)
        command = [need_command("bindfs", "bindfs"), "-f", str(folder / "behind"), str(self.point)]
        self._process = subprocess.Popen(command)
        until(lambda: os.path.ismount(self.point))

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()  # what hangs in it fails
        self._process.wait(20)
        subprocess.run(["umount", "--lazy", self.point], check=True)


@contextmanager
def mounted(folder: Path) -> Generator[Mount]:
    mount = Mount(folder)
    try:
        yield mount
    finally:
        mount.close()


def register(site: Site, name: str, directory: Path) -> None:
    site.ask("cluster", "add", name, f"--node=n1=file://{directory}").ended(0)
    site.ask("logs", "open", name).ended(0)


def ended(site: Site, name: str, job_id: str, seconds: float) -> str:
    """What its record tells; '' for a success."""

    def record() -> dict[str, str | None]:
        records = site.ask("records", name).ended(0).json["clusterLogRecord"]
        return next(one for one in records if one["jobId"] == job_id)

    until(lambda: record()["status"] != "RUNNING", seconds)
    return record()["failedMsg"] or ""


def start(site: Site, name: str) -> str:
    return site.ask("backup", name).ended(0).json["jobId"]


def test_an_agent_tells_that_its_mount_hangs_and_ends_all_the_same(tmp_path: Path) -> None:
    told_by_agent = "hangs: it gave no sign of progress for 20 s; see that"
    with (
        mounted(tmp_path / "a") as mount,
        running_agent(tmp_path / "agent", mount.point) as (process, told),
        asking(access_of(told)) as source,
    ):
        with closing(source.open("es.log")) as log:
            mount.hang()
            began = time.monotonic()
            with pytest.raises(SourceUnreachable, match=told_by_agent):
                log.read_at(0, 1000)
            assert time.monotonic() - began < 28
            for _ in range(30):  # it is known to hang
                with pytest.raises(SourceUnreachable, match="hangs"):
                    source.list()
            assert time.monotonic() - began < 30
            assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) < 20
            mount.go_on()
            until(lambda: can_list(source))
        mount.hang()
        with pytest.raises(SourceUnreachable, match=told_by_agent):
            source.list()
        process.terminate()
        assert process.wait(10) == 0


CALLS: list[Callable[[ObjectStore], object]] = [
    lambda store: store.put("x", [b"x"]),
    lambda store: store.put("x", iter([b"x"])),
    lambda store: store.get("here"),
    lambda store: store.open("here"),
    lambda store: store.size("here"),
    lambda store: list(store.list("")),
    lambda store: store.delete("here"),
    lambda store: store.check(),
]


@pytest.mark.parametrize("call", CALLS, ids=["put", "put parts", "get", "open", "size", "list", "delete", "check"])
def test_a_bucket_on_a_mount_that_hangs_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[[ObjectStore], object]
) -> None:
    monkeypatch.setattr(folder, "_WATCHDOG", Watchdog(1.0, folder._Hanging))
    with mounted(tmp_path / "a") as mount:
        store = open_store(mount.point.as_uri(), base=tmp_path)
        store.put("here", [b"here" * 1_000_000])
        with closing(store.open("here")) as stream:
            assert stream.read(4) == b"here"
            mount.hang()
            began = time.monotonic()
            with pytest.raises(
                StoreUnreachable, match=f"no sign of progress .* what is mounted at {mount.point} answers"
            ):
                call(store)
            for _ in range(3):
                with pytest.raises(StoreUnreachable, match="no sign of progress"):
                    stream.read(2_000_000)
            assert time.monotonic() - began < 8
            mount.go_on()
            until(lambda: can_put(store))
            assert stream.read(4) == b"here"


def can_put(store: ObjectStore) -> bool:
    with suppress(StoreUnreachable):
        return store.put("again", [b"again"]) == 5
    return False


def can_list(source: LogSource) -> bool:
    with suppress(SourceUnreachable):
        return bool(source.list())
    return False


def test_two_mounts_that_hang_stop_neither_another_cluster_nor_the_end_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    site = Site(tmp_path, f"file://{tmp_path}/bucket", more=MORE)
    with ExitStack() as stack:
        mounts = [stack.enter_context(mounted(tmp_path / name)) for name in ("a", "b")]
        served = stack.enter_context(serving(site.directory))
        for name, directory in (("a", mounts[0].point), ("b", mounts[1].point), ("prod", site.logs("n1"))):
            register(site, name, directory)
        assert ended(site, "a", start(site, "a"), 30) == ""
        for mount in mounts:
            mount.hang()
        began = time.monotonic()
        stuck = {name: start(site, name) for name in ("a", "b")}
        assert ended(site, "prod", start(site, "prod"), 30) == ""
        for name, job_id in stuck.items():
            assert HANGS in ended(site, name, job_id, 30)
        assert time.monotonic() - began < 4 * STALLED
        began = time.monotonic()
        assert HANGS in ended(site, "a", start(site, "a"), 30)
        assert time.monotonic() - began < STALLED  # it is known to hang
        mounts[0].go_on()
        until(lambda: ended(site, "a", start(site, "a"), 30) == "")
        start(site, "b")
        began = time.monotonic()
        assert served.end() == 0
        assert time.monotonic() - began < 15
