"""Real faults under a real service: what a job says, what is kept, and that the next job catches up by itself.

One test for each kind of fault. Where a fault is real, the service process meets it: servers that stop, a proxy that
breaks connections, file systems that are full, system calls that fail, another time of day.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import http.server
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from tests.integration.cli.installed import until
from tests.real.deployment import ACTIVE, Ended, Site
from tests.real.servers import S3Server, Toxiproxy, need_command, other_clock

pytestmark = pytest.mark.real

HOUR, DAY = 3600, 86_400  # seconds
GOES_ON = "the next backup goes on from here"
Fault = Callable[..., AbstractContextManager[None]]


# What breaks things


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """A file system of its own."""
    if os.geteuid() != 0:
        raise RuntimeError("run the tests on faults as root: they mount a small tmpfs that can be filled")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No room on it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def failing_calls(pid: int, calls: str, error: str, *paths: Path) -> Iterator[None]:
    """System calls of a running process fail, by strace; only those on these paths where there are any.

    With `:when=1` behind the error, only the first one of each thread.
    """
    strace = [need_command("strace", "strace"), "-f", "-qq", "-p", str(pid), "-e", f"trace={calls}"]
    strace += ["-e", f"inject={calls}:error={error}", *(f"-P{path}" for path in paths)]
    tracing = subprocess.Popen(strace, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    threads = Path(f"/proc/{pid}/task")
    traced = f"TracerPid:\t{tracing.pid}\n"
    try:
        until(lambda: all(traced in (thread / "status").read_text() for thread in threads.iterdir()), 10)
        yield
    finally:
        tracing.terminate()
        tracing.communicate(timeout=30)


def unprivileged() -> Sequence[str]:
    """A wrapper without root's right to read and write everything."""
    if os.geteuid() != 0:
        return ()
    setpriv = need_command("setpriv", "util-linux")
    return (setpriv, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")


@contextmanager
def closed(path: Path, to: int = 0) -> Iterator[None]:
    mode = path.stat().st_mode
    path.chmod(to)
    yield
    path.chmod(mode)


@contextmanager
def away(path: Path) -> Iterator[None]:
    elsewhere = path.with_name(f"{path.name}-away")
    path.rename(elsewhere)
    yield
    elsewhere.rename(path)


def expect_failure(ended: Ended, said: str) -> None:
    assert ended.status == "FAIL"
    assert re.fullmatch(said, ended.message), ended.message
    # For whoever wants to read what a user reads: pytest -s.
    print(f"\n{ended.seconds:5.1f} s  {ended.message}")


def expect_catch_up(site: Site, before: dict[tuple[str, str], bytes]) -> None:
    """With the fault gone: nothing that was kept is harmed, and the same service keeps all the rest by its next job."""
    site.expect_unharmed(before)
    assert site.back_up() == Ended("SUCCESS", "", pytest.approx(0, abs=60))
    site.expect_whole()


# S3


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        server.client().create_bucket(Bucket="logs")
        yield server


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Toxiproxy]:
    with Toxiproxy(s3.port) as proxy:
        yield proxy


def s3_site(folder: Path, server: S3Server, endpoint: str, *, timeout: float = 1, mib: float = 0) -> Site:
    """Where a request is given up after `timeout` seconds, thrice."""
    url = f"s3://logs?endpoint={endpoint}&timeout={timeout}"
    return Site(folder, url, mib=mib, **server.credentials())


@contextmanager
def down(s3: S3Server, proxy: Toxiproxy) -> Iterator[None]:
    proxy.stop()
    s3.stop()
    yield
    s3.start()
    proxy.start()


def toxic(kind: str, **attributes: int) -> Fault:
    @contextmanager
    def fault(_s3: S3Server, proxy: Toxiproxy) -> Iterator[None]:
        proxy.add(kind, **attributes)
        yield
        proxy.heal()

    return fault


@contextmanager
def other_keys(s3: S3Server, _proxy: Toxiproxy) -> Iterator[None]:
    s3.stop()
    s3.secret_key = "another-secret"
    s3.start()
    yield
    s3.stop()
    del s3.secret_key  # that of the class again
    s3.start()


@contextmanager
def bucket_gone(s3: S3Server, _proxy: Toxiproxy) -> Iterator[None]:
    bucket, elsewhere = s3.folder / "data" / "logs", s3.folder / "away"
    bucket.rename(elsewhere)
    yield
    elsewhere.rename(bucket)


def segments(s3: S3Server) -> list[Path]:
    return sorted((s3.folder / "data" / "logs" / "css").rglob("*.zst"))


UNREACHABLE = (
    r"LK-STORE-UNREACHABLE: cannot (?:write|look up|read) '\S+' in bucket \w+: {}\. "
    f"Check that it runs and can be reached from here; {GOES_ON}\\.{{}}"
)
SLOW = UNREACHABLE.format(".*timeout.*", r" Where it is only slow, give it more time with \?timeout=.*")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (down, UNREACHABLE.format(".*(refused|reset|closed).*", "")),
        (toxic("bandwidth", rate=8), SLOW),
        (toxic("timeout", timeout=0), SLOW),
        (toxic("reset_peer", timeout=0), UNREACHABLE.format(".*(reset by peer|closed|broken pipe).*", "")),
        (
            other_keys,
            "LK-STORE-DENIED: cannot .* in bucket .*: SignatureDoesNotMatch.* The key is wrong: check .*",
        ),
        (bucket_gone, "LK-STORE-MISSING: there is no bucket [^/]*. Create it, mount the disk it lies on.*"),
    ],
    ids=["down", "slow", "hanging", "resetting", "other keys", "bucket gone"],
)
def test_s3_that_fails_before_and_in_mid_upload(
    tmp_path: Path, s3: S3Server, proxy: Toxiproxy, fault: Fault, said: str
) -> None:
    site = s3_site(tmp_path, s3, proxy.endpoint, mib=0.5)
    with site.serving():
        assert site.back_up().status == "SUCCESS"
        before = site.restored()
        site.grow(3000)
        with fault(s3, proxy):
            expect_failure(site.back_up(), said)
        site.expect_unharmed(before)
        kept = len(segments(s3))
        began, job = time.monotonic(), site.start()
        until(lambda: len(segments(s3)) > kept)
        with fault(s3, proxy):
            expect_failure(site.wait_for(job, began), said)
        expect_catch_up(site, before)


class Front(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the S3 server behind it, but for a fault."""

    protocol_version = "HTTP/1.1"
    upstream = 0  # port
    refuse = 0  # so many requests
    garble = False  # what is read

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if type(self).refuse > 0:
            type(self).refuse -= 1
            self._answer(503, [], b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")
            return
        behind = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        behind.request(self.command, self.path, body, dict(self.headers.items()))
        answer = behind.getresponse()
        data = answer.read()
        self._answer(answer.status, answer.getheaders(), data[::-1] if self.garble else data)
        behind.close()

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "connection"}:
                self.send_header(name, value)
        if "content-length" not in {name.lower() for name, _ in headers}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def front(s3: S3Server) -> Iterator[type[Front]]:
    """Its `port` is where it listens."""
    handler = type("Handler", (Front,), {"upstream": s3.port})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_s3_that_refuses_for_a_moment_is_waited_for_and_a_storm_ends_the_job(
    tmp_path: Path, s3: S3Server, front: Any
) -> None:
    site = s3_site(tmp_path, s3, f"http://127.0.0.1:{front.port}")
    with site.serving():
        front.refuse = 2
        assert site.back_up().status == "SUCCESS"
        before = site.restored()
        site.grow()
        front.refuse = 1000
        expect_failure(site.back_up(), UNREACHABLE.format("SlowDown: Reduce your request rate", ""))
        front.refuse = 0
        expect_catch_up(site, before)


def test_s3_that_gives_back_other_bytes_gets_no_backup(tmp_path: Path, s3: S3Server, front: Any) -> None:
    site = s3_site(tmp_path, s3, f"http://127.0.0.1:{front.port}")
    with site.serving():
        assert site.back_up().status == "SUCCESS"
        before, kept = site.restored(), segments(s3)
        site.grow()
        front.garble = True
        said = (
            r"LK-STORE-CORRUPT: bucket logs gives back other bytes than were written, as its object logkeep-bucket shows\. "
            "Do not keep backups there\\."
        )
        expect_failure(site.back_up(), said)
        assert segments(s3) == kept
        front.garble = False
        expect_catch_up(site, before)


def test_an_object_deleted_or_changed_behind_our_back_is_found_and_named(tmp_path: Path, s3: S3Server) -> None:
    site = s3_site(tmp_path, s3, s3.endpoint)
    with site.serving():
        assert site.back_up().status == "SUCCESS"
        witness, names = s3.client(), [str(path.relative_to(s3.folder / "data" / "logs")) for path in segments(s3)]
        whole = witness.get_object(Bucket="logs", Key=names[1])["Body"].read()
        witness.delete_object(Bucket="logs", Key=names[0])
        witness.put_object(Bucket="logs", Key=names[1], Body=whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        site.grow()
        assert site.back_up().status == "SUCCESS"
        looked_at = site.ask("verify", "prod").ended(1).json["findings"]
        assert [finding["object"] for finding in looked_at] == [names[0]]
        read = site.ask("verify", "prod", "--read-data").ended(1).json["findings"]
        assert sorted(finding["object"] for finding in read) == names[:2]
        to = tmp_path / "restored"
        lost = site.ask("restore", "prod", "--to", str(to), "--join").ended(1).json["failed"]
        assert len(lost) == 2 or {entry["file"] for entry in lost} == {"n1/es.log"}
        assert (to / "n2" / ACTIVE).read_bytes() == site.written()["n2", ACTIVE]


def test_memory_is_bounded_while_s3_is_slow_and_when_it_hangs(tmp_path: Path, s3: S3Server, proxy: Toxiproxy) -> None:
    site = s3_site(tmp_path, s3, proxy.endpoint, timeout=3)
    with site.serving():
        assert site.back_up().status == "SUCCESS"
        idle = memory(site.pid, "VmRSS")
        Path(f"/proc/{site.pid}/clear_refs").write_text("5")  # forget the peak
        with (site.logs("n1") / ACTIVE).open("ab") as log:
            while log.tell() < 512 * 1024 * 1024:
                log.write(base64.encodebytes(os.urandom(1024 * 1024)))
        proxy.add("bandwidth", rate=20_000)
        began, job = time.monotonic(), site.start()
        time.sleep(5)
        assert site.record(job)["status"] == "RUNNING"
        proxy.add("timeout", timeout=0)
        expect_failure(site.wait_for(job, began), SLOW)
        assert memory(site.pid, "VmHWM") - idle < 150 * 1024
        proxy.heal()
        assert site.back_up(180).status == "SUCCESS"
        assert memory(site.pid, "VmHWM") - idle < 150 * 1024


def memory(pid: int, what: str) -> int:
    """In KiB."""
    found = re.search(rf"^{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


# A folder as bucket


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 16) as disk:
        yield disk


@pytest.fixture
def bucket(disk: Path) -> Path:
    folder = disk / "bucket"
    folder.mkdir()
    return folder


@contextmanager
def full(_site: Site, bucket: Path) -> Iterator[None]:
    with filled(bucket.parent):
        yield


@contextmanager
def not_synced(site: Site, bucket: Path) -> Iterator[None]:
    with failing_calls(site.pid, "fsync", "EIO", bucket):
        yield


@contextmanager
def closed_bucket(_site: Site, bucket: Path) -> Iterator[None]:
    with closed(bucket, 0o500):
        yield


@contextmanager
def not_mounted(_site: Site, bucket: Path) -> Iterator[None]:
    with away(bucket):
        yield


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            full,
            f"LK-STORE-FULL: cannot write.* in bucket [^/]*: .*No space left.* Free space or raise the quota; {GOES_ON}.",
        ),
        (not_synced, f"LK-STORE-UNREACHABLE: .* in bucket [^/]*: Input/output error. Check the disk .*; {GOES_ON}."),
        (
            closed_bucket,
            "LK-STORE-DENIED: cannot write.* in bucket [^/]*: [Pp]ermission denied.*. Check the keys or the owner.*",
        ),
        (not_mounted, "LK-STORE-MISSING: there is no bucket [^/]*. Create it, mount the disk it lies on.*"),
    ],
    ids=["full", "fsync fails", "closed", "not mounted"],
)
def test_folder_that_fails(tmp_path: Path, bucket: Path, fault: Fault, said: str) -> None:
    site = Site(tmp_path, bucket.as_uri())
    with site.serving(unprivileged()):
        assert site.back_up().status == "SUCCESS"
        before, files = site.restored(), files_of(bucket)
        site.grow()
        with fault(site, bucket):
            expect_failure(site.back_up(), said)
        assert files_of(bucket) == files
        expect_catch_up(site, before)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# The database


@contextmanager
def no_room(site: Site, disk: Path) -> Iterator[None]:
    """Not in what SQLite has taken of the disk before, either."""
    with sqlite3.connect(site.directory / "logkeep.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with filled(disk):
        yield


@contextmanager
def database_not_synced(site: Site, _disk: Path) -> Iterator[None]:
    database = site.directory / "logkeep.db"
    with failing_calls(site.pid, "fsync,fdatasync", "EIO", database, Path(f"{database}-wal")):
        yield


@pytest.mark.parametrize(
    ("fault", "cause"),
    [(no_room, "database or disk is full"), (database_not_synced, "disk I/O error")],
    ids=["full", "fsync fails"],
)
def test_database_that_fails_in_mid_job(tmp_path: Path, disk: Path, fault: Fault, cause: str) -> None:
    (tmp_path / "bucket").mkdir()
    site = Site(tmp_path, (tmp_path / "bucket").as_uri(), directory=disk / "installation", mib=1)
    catalogue = f"LK-CATALOGUE: database: its disk .*: {cause}; .*"
    with site.serving() as served:
        assert site.back_up().status == "SUCCESS"
        before = site.restored()
        site.grow(20_000)  # some seconds, so that the fault comes in between
        began, job = time.monotonic(), site.start()
        with fault(site, disk):
            said = site.ask("cluster", "add", "other", "--node=n=file:///var/log").ended(1).err
            assert re.fullmatch(rf"logkeep: {catalogue} \(CSS.9999\)\n", said), said
            until(lambda: readiness(served.endpoint)[0] == 503, 60)
            assert cause in readiness(served.endpoint)[1]
            assert site.restored() == before
            assert site.record(job)["status"] == "RUNNING"
        ended = site.wait_for(job, began)
        print(f"\n{ended.seconds:5.1f} s  {ended.status} {ended.message}")
        assert ended.status == "SUCCESS"
        until(lambda: readiness(served.endpoint)[0] == 200)
        assert sum(map(len, served.log)) < 200_000
        expect_catch_up(site, before)


def readiness(endpoint: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{endpoint}/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except TimeoutError:  # of a process that is traced
        return 0, ""


def count_objects(folder: Path, pattern: str) -> int:
    try:
        return sum(1 for _ in folder.rglob(pattern))
    except FileNotFoundError:  # a folder went while it was listed
        return 0


def test_database_that_fails_for_a_moment(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    site = Site(tmp_path, (tmp_path / "bucket").as_uri(), mib=1)
    with site.serving() as served:
        assert site.back_up().status == "SUCCESS"
        before = site.restored()
        for number in range(40):  # so that what fails is most likely one of as many segments
            site.write("n1", f"log{number}.log", 128)
        began, job = time.monotonic(), site.start()
        until(lambda: count_objects(tmp_path / "bucket" / "css", "log*/*.zst") > 2)
        with failing_calls(site.pid, "fsync,fdatasync", "EIO:when=1", site.directory / "logkeep.db-wal"):
            until(lambda: any("the database fails" in line for line in served.log))
        ended = site.wait_for(job, began)
        assert ended.status == "SUCCESS"
        expect_catch_up(site, before)


def test_installation_on_a_full_disk(tmp_path: Path, disk: Path) -> None:
    """Database and bucket on one disk, as `init` makes them."""
    site = Site(tmp_path, "", directory=disk / "installation", mib=0.5)
    with site.serving():
        assert site.back_up().status == "SUCCESS"
        before = site.restored()
        site.grow(3000)
        began, job = time.monotonic(), site.start()
        with no_room(site, disk):
            time.sleep(3)
        ended = site.wait_for(job, began)
        print(f"\n{ended.seconds:5.1f} s  {ended.status} {ended.message}")
        assert ended.status == "SUCCESS" or re.match("LK-(STORE-FULL|CATALOGUE): ", ended.message)
        assert not list((site.directory / "buckets" / "logs" / ".tmp").glob("*"))
        expect_catch_up(site, before)


# The logs of a node


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@contextmanager
def linked(path: Path) -> Iterator[None]:
    with away(path):
        path.symlink_to(path.with_name(f"{path.name}-away"))
        yield
        path.unlink()


@contextmanager
def unreadable(site: Site, path: Path) -> Iterator[None]:
    with failing_calls(site.pid, "pread64", "EIO", path):
        yield


@pytest.mark.parametrize(
    ("fault", "name", "said"),
    [
        (
            away,
            "",
            "LK-SOURCE-UNREACHABLE: node n1: the log directory /.*/n1 cannot be listed: No such file.*; check .*",
        ),
        (
            closed,
            "",
            "LK-SOURCE-UNREACHABLE: node n1: the log directory /.*/n1 cannot be .*: Permission denied; check.*",
        ),
        (
            linked,
            "",
            "LK-SOURCE-REFUSED: node n1: the directory /.*/n1 is reached over the link /.*/n1, and links are.*",
        ),
        (closed, ACTIVE, "LK-SOURCE-UNREADABLE: node n1: file 'es.log' cannot be read: Permission denied; let the .*"),
        (
            "EIO",
            ACTIVE,
            "LK-SOURCE-UNREADABLE: node n1: file 'es.log' cannot be read: Input/output error; check the disk.*",
        ),
    ],
    ids=["gone", "closed", "a link", "file closed", "file on a broken disk"],
)
def test_logs_that_cannot_be_read(tmp_path: Path, fault: Any, name: str, said: str) -> None:
    (tmp_path / "bucket").mkdir()
    site = Site(tmp_path, (tmp_path / "bucket").as_uri())
    with site.serving(unprivileged()):
        assert site.back_up().status == "SUCCESS"
        before = site.restored()
        site.grow()
        for node in ("n1", "n2"):
            plain = site.write(node, "es_audit-2026-11-25-1.log", 1000)
            plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
            plain.unlink()
            site.write(node, "gc.log", 10)
        place = site.logs("n1") / name
        with unreadable(site, place) if fault == "EIO" else fault(place):
            expect_failure(site.back_up(), said)
        kept, written = site.restored(), site.written()
        assert {log: kept[log] for log in written if log[0] == "n2"} == {
            k: d for k, d in written.items() if k[0] == "n2"
        }
        assert (("n1", "gc.log") in kept) == bool(name)
        expect_catch_up(site, before)


def test_service_that_can_start_no_thread(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    site = Site(tmp_path, (tmp_path / "bucket").as_uri())
    with site.serving():
        assert site.back_up().status == "SUCCESS"
        before = site.restored()
        site.grow()
        with failing_calls(site.pid, "clone,clone3", "EAGAIN"):
            ended = site.back_up()
        expect_failure(ended, "LK-INTERNAL: unexpected error; the service's log tells more under this job id")
        expect_catch_up(site, before)


# The clock


class OtherClock:
    """Another time of day for the service, and for the commands that ask it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        self.offset = 0  # seconds
        self.environment = {"LD_PRELOAD": str(other_clock()), "CLOCK_OFFSET_FILE": str(self._file)}

    def set(self, offset: int) -> None:
        self.offset = offset
        with self._file.open("r+b", buffering=0) as file:
            file.write(offset.to_bytes(8, sys.byteorder, signed=True))

    def client(self) -> Any:
        """Commands sign by this time."""
        clock = SimpleNamespace(time_ns=lambda: time.time_ns() + self.offset * 1_000_000_000)
        return patch("logkeep.cli.client.time", clock)


def test_clock_that_is_wrong_is_said_by_whoever_checks_a_signature(tmp_path: Path, s3: S3Server) -> None:
    clock = OtherClock(tmp_path)
    site = s3_site(tmp_path, s3, s3.endpoint)
    with site.serving(**clock.environment):
        assert site.back_up().status == "SUCCESS"
        before = site.restored()
        for offset in (-HOUR, DAY):
            clock.set(offset)
            said = site.ask("records", "prod").ended(2).err
            assert "clocks differ by too much; set them" in said
            with clock.client():
                site.grow()
                said = "LK-STORE-DENIED: .* in bucket logs: RequestTimeTooSkewed: .* Set the clock of this machine; .*"
                expect_failure(site.back_up(), said)
        clock.set(0)
        expect_catch_up(site, before)


def test_jobs_of_a_clock_that_jumps_are_listed_in_the_order_they_began(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    clock = OtherClock(tmp_path)
    site = Site(tmp_path, (tmp_path / "bucket").as_uri(), mib=0.5)
    started: list[str] = []
    with site.serving(**clock.environment), clock.client():
        for offset, during in ((0, -HOUR), (-HOUR, DAY), (DAY, 0), (0, 0)):
            clock.set(offset)
            site.grow(2000)
            began, job = time.monotonic(), site.start()
            started.append(job)
            clock.set(during)
            assert site.wait_for(job, began).status == "SUCCESS"
        records = site.records()
        assert [record["jobId"] for record in records] == started[::-1]
        assert [record["createAt"] for record in records] == sorted((r["createAt"] for r in records), reverse=True)
        assert all(record["finishedAt"] >= record["createAt"] for record in records)
        site.expect_whole()


def test_daily_moment_is_served_once_whatever_the_clock_does(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    clock = OtherClock(tmp_path)
    site = Site(tmp_path, (tmp_path / "bucket").as_uri())
    due = datetime.fromtimestamp(time.time() + HOUR // 2, UTC)

    def automatic(offset: int, wanted: int) -> bool:
        """With the clock set so, after some looks at it."""
        clock.set(offset)
        time.sleep(2.5)
        until(lambda: all(record["status"] != "RUNNING" for record in site.records()))
        return [record["jobTypes"] for record in site.records()].count("Auto") == wanted

    with site.serving(**clock.environment), clock.client():
        site.ask("logs", "policy", "prod", "--at", f"{due:%H:%M} GMT+00:00").ended(0)
        assert automatic(0, 0)
        assert automatic(HOUR, 1), "forward over the moment"
        assert automatic(0, 1), "back before it"
        assert automatic(HOUR, 1), "the same moment again"
        assert automatic(HOUR + DAY, 2), "a day forward: the next moment"
        assert automatic(2 * HOUR, 2), "back by a day"
        assert automatic(HOUR + DAY, 3), "and that day comes"
        site.expect_whole()
