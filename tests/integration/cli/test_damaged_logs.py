"""Cut and damaged rotations, as an operator meets them: `backup --wait`, `job show`, `restore`."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.integration.cli.installed import Done

Command = Callable[..., Done]
ROTATED = "prod-2026-11-23-1.log.gz"


def events(first: int, last: int) -> bytes:
    """Lines of which each has a time of its own."""
    return b"".join(
        b"[2026-11-23T10:%02d:%02d,000][INFO ] event %d\n" % (n // 60, n % 60, n) for n in range(first, last)
    )


def left(path: Path, data: bytes, seconds: float = 120) -> None:
    path.write_bytes(data)
    then = time.time() - seconds
    os.utime(path, (then, then))


def restored(tenant: Command, cluster: str, to: Path) -> bytes:
    tenant("restore", cluster, "--to", to, "--join").ended(0)
    return (to / "n1" / "prod.log").read_bytes()


def test_cut_file_is_kept_told_once_and_hides_no_gap(tenant: Command, opened: str, node: Path, tmp_path: Path) -> None:
    left(node / ROTATED, gzip.compress(events(1, 61))[:-8])
    (node / "prod.log").write_bytes(events(61, 71))
    job = tenant("backup", opened, "--wait", "--json").ended(0)
    assert "LK-LOG-CUT" in tenant("job", "show", job.json["jobId"]).ended(0).out
    assert restored(tenant, opened, tmp_path / "1") == events(1, 71)
    (node / "prod.log").rename(node / "away")
    left(node / "prod.log", events(81, 91))
    (node / "away").unlink()
    second = tenant("backup", opened, "--wait").ended(0)
    assert "gap: not all of prod.log of n1 was kept" in second.err
    assert "LK-LOG" not in second.err
    began = time.monotonic()
    assert "gap" not in tenant("backup", opened, "--wait").ended(0).err
    assert time.monotonic() - began < 20
    (node / ROTATED).unlink()
    left(node / "prod-2026-11-23-1.log.old.gz", gzip.compress(events(1, 66)))
    tenant("backup", opened, "--wait").ended(0)
    assert restored(tenant, opened, tmp_path / "2").count(b"event 65\n") >= 1


def test_damaged_file_fails_no_job(tenant: Command, opened: str, node: Path, tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(events(1, 61)))
    packed[-6] ^= 1
    left(node / ROTATED, bytes(packed))
    (node / "prod.log").write_bytes(events(61, 71))
    told = tenant("backup", opened, "--wait").ended(0).err
    assert f"warning: LK-LOG-DAMAGED: node n1: '{ROTATED}': its gzip data is damaged" in told
    assert "nothing proves those from byte 0 on" in told
    assert restored(tenant, opened, tmp_path / "1") == events(1, 71)
    assert "warning" not in tenant("backup", opened, "--wait").ended(0).err
    left(node / ROTATED, gzip.compress(events(1, 61)))
    told = tenant("backup", opened, "--wait").ended(0).err
    assert "warning" not in told
    assert "gap" not in told
    assert sorted(restored(tenant, opened, tmp_path / "2").splitlines()) == sorted(
        (events(1, 61) * 2 + events(61, 71)).splitlines()
    )


def test_garbage_behind_a_whole_file_is_told_once(tenant: Command, opened: str, node: Path, tmp_path: Path) -> None:
    left(node / ROTATED, gzip.compress(events(1, 61)) + b"garbage")
    (node / "prod.log").write_bytes(events(61, 71))
    assert "warning: LK-LOG-GARBAGE: " in tenant("backup", opened, "--wait").ended(0).err
    assert "warning" not in tenant("backup", opened, "--wait").ended(0).err
    assert restored(tenant, opened, tmp_path / "1") == events(1, 71)
