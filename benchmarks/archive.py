"""Backing up: against zstd over the same files, against a bare listing, and how much memory it takes."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.installation import Installation
from benchmarks.logs import enlarge
from benchmarks.result import Result, seconds

_FIRST_BYTES = int(os.environ.get("BENCH_BYTES", str(1024 * 1024 * 1024)))
_FILES = 10_000
_HUGE_BYTES = int(os.environ.get("BENCH_HUGE_BYTES", str(10 * 1024 * 1024 * 1024)))


def first_backup() -> list[Result]:
    """The engine with its real catalogue and a folder as bucket; zstd reads the same files and writes one."""
    zstd = shutil.which("zstd")
    if not zstd:
        sys.exit("the benchmark needs the zstd command (Debian: apt-get install zstd)")
    with tempfile.TemporaryDirectory(dir=_scratch()) as temporary:
        folder = Path(temporary)
        files = enlarge(folder / "logs", _FIRST_BYTES)
        for file in files:
            file.read_bytes()  # both find the files in memory
        pairs = [(_zstd(zstd, files, folder), _back_up(folder, f"round{number}")) for number in range(3)]
        theirs, ours = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    total = _FIRST_BYTES / 2**20
    against = f"zstd -3 -T1: {total / theirs:.0f} MiB/s"
    return [Result("first backup", total / ours, "MiB/s", against, theirs / ours, ">= 0.8", theirs / ours >= 0.8)]


def _zstd(zstd: str, files: list[Path], folder: Path) -> float:
    command = [zstd, "-q", "-3", "-T1", "-c", *map(str, files)]

    def run() -> None:
        with (folder / "all.zst").open("wb") as output:
            subprocess.run(command, stdout=output, check=True)

    return seconds(run, 1)


def _back_up(folder: Path, name: str) -> float:
    installation = Installation(folder / name, {"node": folder / "logs"})
    return seconds(installation.back_up, 1)


def nothing_new() -> list[Result]:
    """Planning over many files that have not changed, with the catalogue read from the database."""
    with tempfile.TemporaryDirectory(dir=_scratch()) as temporary:
        logs = Path(temporary) / "logs"
        _write_many(logs)
        installation = Installation(Path(temporary) / "installation", {"node": logs})
        installation.back_up()
        installation.back_up()
        node = installation.prepare_node("node")
        theirs = seconds(lambda: [entry.stat() for entry in os.scandir(logs)], 7)
        ours = seconds(node.run, 7)
        node.finish()
        with (logs / "es.log").open("ab") as active:
            active.write(b"one line more\n")
        one = seconds(installation.back_up, 1)
    against = f"scandir + stat: {theirs * 1000:.1f} ms"
    return [
        Result("nothing new, 10,000 files", ours * 1000, "ms", against, ours / theirs, "<= 3", ours / theirs <= 3),
        Result("one line new, 10,000 files", one * 1000, "ms", against, one / theirs, "", True),
    ]


def _write_many(logs: Path) -> None:
    logs.mkdir()
    for number in range(_FILES - 1):
        day, index = 1 + number // 400, 1 + number % 400
        (logs / f"es-2026-10-{day:02d}-{index}.log").write_bytes(b"[2026-10-01T00:00:00,000][INFO ] %d\n" % number)
    (logs / "es.log").write_bytes(b"[2026-11-01T00:00:00,000][INFO ] active\n")
    past = 1_700_000_000
    for file in logs.iterdir():
        os.utime(file, (past, past))


def memory() -> list[Result]:
    """Peak memory of a process that backs up, above what it takes with everything imported and opened."""
    with tempfile.TemporaryDirectory(dir=_scratch()) as temporary:
        folder = Path(temporary)
        _write_many(folder / "many")
        (folder / "huge").mkdir()
        _write_huge(folder / "huge" / "es.log")
        (idle, huge), (_, many) = _peak(folder, "huge"), _peak(folder, "many")
    against = f"idle: {idle:.0f} MiB"
    size = f"{_HUGE_BYTES / 2**30:.0f} GiB"
    return [
        Result(f"memory above idle, one file of {size}", huge, "MiB", against, None, "<= 150 MiB", huge <= 150),
        Result("memory above idle, 10,000 files", many, "MiB", against, None, "<= 150 MiB", many <= 150),
    ]


def _write_huge(path: Path) -> None:
    chance = random.Random(1)
    line = b"[2026-11-24T00:00:00,000][INFO ][o.e.n.Node] [n] %s\n"
    block = b"".join(line % chance.randbytes(16).hex().encode() for _ in range(100_000))
    with path.open("wb") as file:
        while file.tell() < _HUGE_BYTES:
            file.write(block[: _HUGE_BYTES - file.tell()])


def _peak(folder: Path, logs: str) -> tuple[float, float]:
    """Memory in MiB: of the process when it has everything opened, and what a backup adds to that at most."""
    command = [sys.executable, "-m", "benchmarks.installation", str(folder / f"peak-{logs}"), str(folder / logs)]
    idle, peak = map(int, subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split())
    return idle / 1024, (peak - idle) / 1024


def _scratch() -> Path:
    scratch = Path("build/bench")
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch.absolute()
