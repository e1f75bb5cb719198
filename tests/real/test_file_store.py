"""A folder as a bucket, on real disks that are full, closed or broken, under the eyes of strace."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from logkeep.stores.frames import compress_frame
from logkeep.stores.opendal import create_bucket, open_store
from tests.real.servers import NOBODY, need_command
from tests.suites.store_suite import MIB, names

pytestmark = pytest.mark.real

# Puts 9 MiB and prints the error, if there is one. A second argument is the user to become.
PUT = """
import os
import sys
from pathlib import Path
from logkeep.errors import StoreError
from logkeep.stores.opendal import open_store
store = open_store("file:" + sys.argv[1], base=Path("/"))
if os.geteuid() == 0 and sys.argv[2:]:
    os.setgroups([])
    os.setuid(int(sys.argv[2]))
try:
    print(store.put("a/b/x.zst", [bytes(1 << 20)] * 9))
except StoreError as error:
    print(error)
"""


MANY = [(f"a/{number}/x.zst", b"x" * 100_000) for number in range(6)]
PUT_MANY = """
import sys
from pathlib import Path
from logkeep.stores.opendal import open_store
store = open_store(Path(sys.argv[1]).as_uri(), base=Path("/"))
print(store.put_many([(f"a/{number}/x.zst", b"x" * 100_000) for number in range(6)]))
"""


@pytest.fixture
def bucket() -> Iterator[Path]:
    """A bucket in a folder that any user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="logkeep-bucket-") as folder:
        Path(folder).chmod(0o755)
        create_bucket("file:logs", base=Path(folder))
        yield Path(folder, "logs")


def put(bucket: Path, *wrapper: str, user: int | None = None) -> str:
    """What a process of its own says when it puts into the bucket."""
    command = [*wrapper, sys.executable, "-c", PUT, str(bucket), *([str(user)] if user else [])]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def strace(*options: str) -> Sequence[str]:
    return [need_command("strace", "strace"), "-f", "-qq", *options]


def test_object_and_folders_are_on_disk_before_put_returns(bucket: Path) -> None:
    log = bucket.parent / "trace"
    calls = "trace=openat,fsync,fdatasync,rename,renameat,renameat2,mkdir"
    assert put(bucket, *strace("-y", "-e", calls, "-o", str(log))) == f"{9 * MIB}"
    said = log.read_text()
    file_synced = re.search(r"f(data)?sync\(\d+<[^>]*/logs/\.tmp/[0-9a-f]{32}>\) += 0", said)
    renamed = re.search(r"rename\w*\(.*/logs/a/b/x\.zst\"\S* += 0", said)
    folders = [re.search(rf"fsync\(\d+<{re.escape(str(bucket))}{part}>\) += 0", said) for part in ("/a/b", "/a", "")]
    places = [found.start() if found else None for found in (file_synced, renamed, *folders)]
    assert None not in places, said
    assert places == sorted(place for place in places if place is not None)


def test_a_full_disk_is_said_and_leaves_nothing(bucket: Path) -> None:
    """The mount belongs to a process of its own, and ends with it."""
    script = f"mount -t tmpfs -o size=4m none {bucket} && {sys.executable} -c '{PUT}' {bucket} && find {bucket} -type f"
    done = subprocess.run(["unshare", "-rm", "sh", "-ec", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"LK-STORE-FULL: cannot write 'a/b/x.zst' in file:\S+: .*No space left on device.*Free space.*\n", done.stdout
    )


@pytest.mark.parametrize(
    ("inject", "said"),
    [
        ("fsync:error=EIO", "LK-STORE-UNREACHABLE: cannot write 'a/b/x.zst' in file://.*Input/output error"),
        ("rename:error=EIO", "LK-STORE-UNREACHABLE: cannot write 'a/b/x.zst' in file://.*Input/output error"),
        ("fsync:error=ENOSPC", "LK-STORE-FULL: cannot write 'a/b/x.zst' in file://.*No space left on device"),
        ("rename:error=EROFS", "LK-STORE-DENIED: cannot write 'a/b/x.zst' in file://.*Read-only file system"),
        ("fsync:error=EIO:when=2+", "LK-STORE-UNREACHABLE: cannot write 'a/b/x.zst' in file://.*Input/output error"),
    ],
)
def test_a_broken_disk_is_never_taken_for_success(bucket: Path, inject: str, said: str) -> None:
    log = bucket.parent / "trace"
    assert re.match(said, put(bucket, *strace("-o", str(log), "-e", f"inject={inject}")))
    assert "INJECTED" in log.read_text()
    assert list((bucket / ".tmp").iterdir()) == []


def test_a_closed_folder_is_denied(bucket: Path) -> None:
    bucket.chmod(0o555)
    said = put(bucket, user=NOBODY)
    assert re.match(
        r"LK-STORE-DENIED: cannot write 'a/b/x.zst' in file://.*: Permission denied\. Check the keys or the owner", said
    )
    bucket.chmod(0o000)
    assert re.match(r"LK-STORE-DENIED: .* in file://.*: .*ermission denied", put(bucket, user=NOBODY))
    bucket.chmod(0o755)


def test_a_process_killed_in_mid_put_leaves_no_object(bucket: Path) -> None:
    killed = subprocess.run(
        [*strace("-e", "inject=fsync:signal=KILL"), sys.executable, "-c", PUT, str(bucket)],
        capture_output=True,
        check=False,
    )
    assert killed.returncode != 0
    store = open_store(bucket.as_uri(), base=Path("/"))
    assert names(store.list("")) == []
    assert [path for path in bucket.rglob("*") if path.is_file() and ".tmp" not in path.parts] == []


@pytest.mark.parametrize("at", ["fsync:signal=KILL", "mkdir:signal=KILL:when=4", "rename:signal=KILL:when=4"])
def test_a_process_killed_among_many_objects_leaves_whole_ones_only(bucket: Path, at: str) -> None:
    command = [*strace("-e", f"inject={at}"), sys.executable, "-c", PUT_MANY, str(bucket)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    store = open_store(bucket.as_uri(), base=Path("/"))
    assert {store.get(name) for name in names(store.list(""))} <= {b"x" * 100_000}
    assert store.put_many(MANY) == [100_000] * len(MANY)


@pytest.mark.parametrize(
    ("inject", "said"),
    [
        ("rename:error=ENOSPC:when=5", "100000"),  # each is tried by itself
        ("rename:error=EIO:when=5", "StoreUnreachable('cannot write 6 objects in file:"),
        ("fsync:error=EIO", "StoreUnreachable('cannot write 6 objects in file:"),
        ("fsync:error=ENOSPC", "StoreFull("),
    ],
)
def test_a_disk_that_fails_among_many_objects_is_told_and_nothing_is_stored_by_halves(
    bucket: Path, inject: str, said: str
) -> None:
    log = bucket.parent / "trace"
    command = [*strace("-o", str(log), "-e", f"inject={inject}"), sys.executable, "-c", PUT_MANY, str(bucket)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "INJECTED" in log.read_text()
    assert done.stdout.count(said) == len(MANY), done.stdout
    there = names(open_store(bucket.as_uri(), base=Path("/")).list(""))
    assert there == ([name for name, _ in MANY] if said == "100000" else [])
    assert list((bucket / ".tmp").iterdir()) == []


def test_an_object_is_read_by_the_zstd_command(bucket: Path) -> None:
    lines = [b"line %d\n" % number for number in range(100_000)]
    frames = [compress_frame(b"".join(lines[at : at + 10_000])) for at in range(0, len(lines), 10_000)]
    open_store(bucket.as_uri(), base=Path("/")).put("a/b.zst", frames)
    zstd = need_command("zstd", "zstd")
    done = subprocess.run([zstd, "-dc", bucket / "a" / "b.zst"], capture_output=True, check=True)
    assert done.stdout == b"".join(lines)
    subprocess.run([zstd, "-t", "-q", bucket / "a" / "b.zst"], check=True)
