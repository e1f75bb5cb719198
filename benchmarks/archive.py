"""Backing up: against other programs over the same files, against a bare listing, and how much memory it takes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from benchmarks.installation import Ended, Installation, Worker
from benchmarks.logs import enlarge
from benchmarks.result import Result, judge, not_measured, seconds
from benchmarks.surroundings import find_program, has_room, scratch

_GIB = 2**30
_FIRST_BYTES = int(os.environ.get("BENCH_BYTES", str(2 * _GIB)))
_HUGE_BYTES = int(os.environ.get("BENCH_HUGE_BYTES", str(10 * _GIB)))
_ROUNDS = 3
_FILES = int(os.environ.get("BENCH_FILES", "10000"))
_SMALL_FILES = int(os.environ.get("BENCH_SMALL_FILES", "10000"))
_MANY_FILES = int(os.environ.get("BENCH_MANY_FILES", "100000"))
_HALVES = ("a", "b")  # of the files, each the logs of one node


def first_backup() -> list[Result]:
    """The engine with its real catalogue and a folder as bucket; the others read the same files."""
    with scratch() as folder:
        if not has_room(folder, 3 * _FIRST_BYTES):
            return [not_measured("first backup", f"the disk has no room for {_size(3 * _FIRST_BYTES)}", ">= 0.8")]
        logs = folder / "logs"
        for seed, half in enumerate(_HALVES):
            for file in enlarge(logs / half, _FIRST_BYTES // 2, seed=seed):
                file.read_bytes()  # all find the files in memory
        rounds = [_first_round(logs, folder / f"round{number}") for number in range(_ROUNDS)]
    best = {name: min(one[name] for one in rounds) for name in rounds[0]}
    rate = {name: _FIRST_BYTES / 2**20 / took for name, took in best.items() if not name.startswith("processor")}
    ours = rate["one worker"]
    rows = [
        _compare("first backup, one worker", ours, "zstd -3 -T1", rate, ">= 0.95", "zstd"),
        _compare("first backup against rclone copy", ours, "rclone copy", rate, "", "rclone"),
        _compare("first backup against restic", ours, "restic backup", rate, ">= 2", "restic"),
    ]
    busy = best["processor"]
    if theirs := best.get("processor of zstd"):
        against = f"zstd -3 -T1: {theirs:.2f} s"
        rows.append(judge("first backup, processor", busy, "s", "<= 1.5", against=against, ratio=busy / theirs))
    one = f"one worker: {ours:.0f} MiB/s, by {busy / best['one worker']:.2f} of {os.cpu_count()} cores"
    for name, goal in (("two nodes at once", ""), ("two workers", ">= 1.6")):
        rows.append(judge(f"first backup, {name}", rate[name], "MiB/s", goal, against=one, ratio=rate[name] / ours))
    return rows


def _compare(name: str, ours: float, other: str, rate: dict[str, float], goal: str, package: str) -> Result:
    if other not in rate:
        return not_measured(name, f"not installed: apt-get install {package}", goal)
    return judge(name, ours, "MiB/s", goal, against=f"{other}: {rate[other]:.0f} MiB/s", ratio=ours / rate[other])


def _first_round(logs: Path, folder: Path) -> dict[str, float]:
    """Seconds by name of who worked, one after the other."""
    folder.mkdir()
    nodes = {half: logs / half for half in _HALVES}
    took: dict[str, float] = {}
    if zstd := find_program("zstd"):
        files = sorted(str(file) for file in logs.rglob("*.log"))
        busy = os.times()
        took["zstd -3 -T1"] = _run([zstd, "-q", "-3", "-T1", "-c", *files], folder / "all.zst")
        took["processor of zstd"] = sum(os.times()[2:4]) - sum(busy[2:4])
    one = Installation(folder / "one", nodes)
    busy = os.times()
    took["one worker"] = seconds(one.back_up, 1)
    took["processor"] = sum(os.times()[:2]) - sum(busy[:2])
    took["two nodes at once"] = seconds(Installation(folder / "at-once", nodes, nodes_at_once=2).back_up, 1)
    workers = [Worker(folder / half, node) for half, node in nodes.items()]
    took["two workers"] = seconds(lambda: _work(workers), 1)
    if rclone := find_program("rclone"):
        took["rclone copy"] = _run([rclone, "--config", "", "copy", str(logs), str(folder / "rclone")])
    if restic := find_program("restic"):
        took["restic backup"] = _restic(restic, folder, logs)
    shutil.rmtree(folder)
    return took


def _restic(restic: str, folder: Path, logs: Path) -> float:
    """Return the seconds of a first backup into a new repository."""
    command = [restic, "--quiet", "--repo", str(folder / "restic"), "--cache-dir", str(folder / "cache")]
    _run([*command, "init"])
    return _run([*command, "backup", str(logs)])


def _work(workers: Sequence[Worker]) -> list[Ended]:
    for worker in workers:
        worker.begin()
    return [worker.end() for worker in workers]


def _run(command: list[str], output: Path | None = None) -> float:
    """Seconds that a program took; what it writes goes into a file or nowhere."""
    environment = {**os.environ, "RESTIC_PASSWORD": "bench"}
    with (output or Path(os.devnull)).open("wb") as file:
        return seconds(lambda: subprocess.run(command, stdout=file, env=environment, check=True), 1)


def nothing_new(files: int = 0) -> list[Result]:
    """Planning over many files that have not changed, with the catalogue read from the database."""
    files = files or _FILES
    with scratch() as folder:
        logs = folder / "logs"
        _write_many(logs, files)
        installation = Installation(folder / "installation", {"node": logs})
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
        judge(f"nothing new, {files:,} files", ours * 1000, "ms", "<= 2", against=against, ratio=ours / theirs),
        judge(f"one line new, {files:,} files", one * 1000, "ms", "<= 8", against=against, ratio=one / theirs),
    ]


def many_files() -> list[Result]:
    """The same over as many files as a directory may hold, or nearly."""
    return nothing_new(_MANY_FILES)


def small_files() -> list[Result]:
    """A first backup where each file becomes an object of its own: against copies that are as durable, and restic."""
    with scratch() as folder:
        logs, copies = folder / "logs", folder / "copies"
        _write_many(logs, _SMALL_FILES)
        copies.mkdir()
        theirs = seconds(lambda: [_copy_durably(file, copies) for file in logs.iterdir()], 1)
        ours = seconds(Installation(folder / "installation", {"node": logs}).back_up, 1)
        restic = find_program("restic")
        packed = _restic(restic, folder, logs) if restic else 0
    name, against = f"first backup, {_SMALL_FILES:,} small files", f"copy + fsync: {theirs:.2f} s"
    rows = [judge(name, ours, "s", against=against, ratio=ours / theirs)]
    if not restic:
        return [*rows, not_measured(f"{name}, again", "not installed: apt-get install restic", "<= 3")]
    against = f"restic backup: {packed:.2f} s"
    return [*rows, judge(f"{name}, again", ours, "s", "<= 3", against=against, ratio=ours / packed)]


def _copy_durably(file: Path, folder: Path) -> None:
    with (folder / file.name).open("wb") as copy:
        copy.write(file.read_bytes())
        copy.flush()
        os.fsync(copy.fileno())
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def _write_many(logs: Path, files: int = 0) -> None:
    logs.mkdir()
    for number in range((files or _FILES) - 1):
        day, index = 1 + number // 400, 1 + number % 400
        (logs / f"es-2026-10-{day:02d}-{index}.log").write_bytes(b"[2026-10-01T00:00:00,000][INFO ] %d\n" % number)
    (logs / "es.log").write_bytes(b"[2026-11-01T00:00:00,000][INFO ] active\n")
    past = 1_700_000_000
    for file in logs.iterdir():
        os.utime(file, (past, past))


def memory() -> list[Result]:
    """Peak memory of a process that backs up, above what it takes with everything imported and opened."""
    return [
        _peak(f"one file of {_size(_HUGE_BYTES)}", _HUGE_BYTES, _write_huge),
        _peak(f"{_FILES:,} files", 0, _write_many),
    ]


def _peak(what: str, size: int, write: Callable[[Path], None]) -> Result:
    name, goal = f"memory above idle, {what}", "<= 150 MiB"
    with scratch() as folder:
        if not has_room(folder, size):
            return not_measured(name, f"the disk has no room for {_size(size)}", goal)
        write(folder / "logs")
        worker = Worker(folder / "installation", folder / "logs")
        worker.begin()
        ended = worker.end()
    return judge(name, ended.peak - ended.idle, "MiB", goal, against=f"idle: {ended.idle:.0f} MiB")


def _write_huge(logs: Path) -> None:
    logs.mkdir()
    chance = Random(1)
    line = b"[2026-11-24T00:00:00,000][INFO ][o.e.n.Node] [n] %s\n"
    block = b"".join(line % chance.randbytes(16).hex().encode() for _ in range(100_000))
    with (logs / "es.log").open("wb") as file:
        while file.tell() < _HUGE_BYTES:
            file.write(block[: _HUGE_BYTES - file.tell()])


def _size(number: int) -> str:
    return f"{number / _GIB:.3g} GiB"
