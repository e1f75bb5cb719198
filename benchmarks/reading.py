"""Reading an archive back by the commands, over HTTP, against zstd on the same objects."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.logs import enlarge
from benchmarks.result import Result, judge, not_measured, seconds
from benchmarks.surroundings import find_program, has_room, scratch
from tests.integration.cli.installed import called, init, serving

_BYTES = int(os.environ.get("BENCH_BYTES", str(2 * 2**30)))
_ROUNDS = 3
_SETTINGS = "[records]\nrunning_visible_seconds = 0\n[buckets.logs]\n"
_OPEN = ("--bucket", "logs", "--base-path", "css/log", "--agency", "a")
_GOAL = ">= 0.7"


def read_back() -> list[Result]:
    """`restore --join` against `zstd -dc` into a file, `verify --read-data` against `zstd -t`."""
    zstd = find_program("zstd")
    with scratch() as folder:
        if not zstd or not has_room(folder, 4 * _BYTES):
            why = "there is no room on the disk" if zstd else "not installed: apt-get install zstd"
            return [not_measured(name, why, _GOAL) for name in ("restore --join", "verify --read-data")]
        enlarge(folder / "logs", _BYTES)
        init(folder / "installation", _SETTINGS)
        with serving(folder / "installation"):
            _command(folder, "cluster", "add", "prod", "--node", f"n={folder / 'logs'}")
            _command(folder, "logs", "open", "prod", *_OPEN)
            _command(folder, "backup", "prod", "--wait")
            objects = sorted((folder / "installation" / "buckets" / "logs").rglob("*.zst"))
            rounds = [_restore_round(zstd, folder, objects) for _ in range(_ROUNDS)]
            verify = seconds(lambda: _command(folder, "verify", "prod", "--read-data"), 2)
        tested = seconds(lambda: subprocess.run([zstd, "-q", "-t", *objects], check=True), 2)
    return [
        _judge("restore --join", min(one for one, _ in rounds), "zstd -dc into a file", min(one for _, one in rounds)),
        _judge("verify --read-data", verify, "zstd -t", tested),
    ]


def _restore_round(zstd: str, folder: Path, objects: list[Path]) -> tuple[float, float]:
    """Return the seconds of both, each on a disk that has nothing else to write."""
    restored, plain = folder / "restored", folder / "plain"
    os.sync()
    ours = seconds(lambda: _command(folder, "restore", "prod", "--to", restored, "--join"), 1)
    shutil.rmtree(restored)
    os.sync()
    with plain.open("wb") as out:
        theirs = seconds(lambda: subprocess.run([zstd, "-q", "-dc", *objects], stdout=out, check=True), 1)
    plain.unlink()
    return ours, theirs


def _command(folder: Path, *arguments: str | Path) -> None:
    called(folder / "installation", *arguments).ended(0)


def _judge(name: str, ours: float, other: str, theirs: float) -> Result:
    rate, limit = _BYTES / 2**20 / ours, _BYTES / 2**20 / theirs
    return judge(name, rate, "MiB/s", _GOAL, against=f"{other}: {limit:.0f} MiB/s", ratio=rate / limit)
