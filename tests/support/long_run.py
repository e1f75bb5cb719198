"""The numbered-lines run: a node writes and rotates, the service is killed again and again, and every line is accounted for.

By hand: `.venv/bin/python -m tests.support.long_run --seed 7`; the figures are printed as one JSON document.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from logkeep.bootstrap.runtime import open_runtime
from logkeep.cli.access import read_access
from logkeep.cli.client import ServiceClient, decode
from logkeep.cli.errors import CommandFailed, ServiceFault
from logkeep.contract.css.responses import ClusterLogRecord, ListLogsJobResponse
from logkeep.contract.native.job_responses import GapView, JobView
from logkeep.contract.native.responses import ClusterView
from logkeep.database import generations, manifests
from logkeep.database.connection import reading
from logkeep.domain.manifest import Segment
from logkeep.settings import load_settings
from logkeep.stores.layout import decode_manifest
from tests.integration.cli.installed import COMMAND, CONFIGURATION, called, environment, init
from tests.support.catalogue import all_segments
from tests.support.numbered_node import FAMILIES, NODE, Family, Writing, read_journal

_CHUNK = 2000  # lines compared at a time
_NUMBER = re.compile(rb"#(\d{9})#")
_WHOLE_BACKUP_EACH = 25  # kills; how long one takes, just now and on this machine, is how long others may live
_TORTURE_SECONDS = 12  # that the node writes for, at the least, where nothing is killed


@dataclass
class Figures:
    """What a run came to."""

    seed: int
    lines: int = 0
    bytes: int = 0
    kills: int = 0
    rotations: int = 0
    jobs: int = 0  # records, each of which ended
    accepted: int = 0  # calls that were answered
    segments: int = 0
    manifests: int = 0
    gaps: int = 0  # told
    lines_kept: int = 0
    lines_lost: int = 0  # deleted by the node before they could be kept
    lines_lost_between_copy_and_truncation: int = 0  # of these; nobody can have seen them
    ranges_lost: int = 0
    run_seconds: float = 0.0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


# The run ----------------------------------------------------------------------------------------------------------


class Killed:
    """`logkeep serve` in a directory, on the port of its settings, killed and started again."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self._chance = random.Random(f"kills {seed}")
        self._log = (directory / "serve.log").open("ab")
        self._process = self._start()
        self.kills = 0
        self.accepted: list[str] = []
        self._backup_seconds = 0.0  # of the last one that came to its end in peace

    def _start(self) -> subprocess.Popen[bytes]:
        command = [*COMMAND, "--dir", str(self._directory), "serve"]
        return subprocess.Popen(command, env=environment(), stderr=self._log)

    @contextmanager
    def client(self) -> Iterator[ServiceClient]:
        access = read_access(self._directory)
        assert access
        client = ServiceClient(access)
        try:
            yield client
        finally:
            client.close()

    def wait_until_ready(self) -> None:
        end = time.monotonic() + 60
        while not self._asked("/readyz"):
            assert time.monotonic() < end and self._process.poll() is None, "the service does not start"
            time.sleep(0.05)

    def _asked(self, path: str) -> bool:
        try:
            with self.client() as client:
                client.get(path)
        except CommandFailed:
            return False
        except ServiceFault as fault:
            assert fault.status == 503, fault
            return False
        return True

    def kill(self, cluster: ClusterView) -> None:
        """At some moment of its life, starting backups in a row until then."""
        early = self._chance.random() < 0.15
        end = time.monotonic() + self._chance.uniform(0.02, 1.2) if early else float("inf")
        with self.client() as client:
            while time.monotonic() < end:
                answered = self._collect(client, cluster)
                if answered and end == float("inf"):
                    end = time.monotonic() + self._chance.uniform(0.0, max(1.4, 1.4 * self._backup_seconds))
                time.sleep(min(0.02 if not answered else 0.1, max(0.0, end - time.monotonic())))
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(30) == -signal.SIGKILL, "it had ended by itself"
        self._process = self._start()
        self.kills += 1

    def _collect(self, client: ServiceClient, cluster: ClusterView) -> bool:
        """Start a backup where none runs; whether the service answered."""
        try:
            client.send("POST", client.css(cluster, "logs/collect"))
            self.accepted.append(newest(client, cluster).job_id)
        except CommandFailed:
            return False
        except ServiceFault as fault:
            if fault.status == 503:
                return False
            assert "running" in fault.message.lower(), fault  # one at a time
        return True

    def settle(self, cluster: ClusterView) -> ClusterLogRecord:
        """Wait for what runs, then back up once more, with everything still."""
        self.wait_until_ready()
        with self.client() as client:
            known = len(self.accepted)
            while len(self.accepted) == known:
                self._collect(client, cluster)
                time.sleep(0.05)
            began = time.monotonic()
            record = wait_until_ended(client, cluster)
            self._backup_seconds = time.monotonic() - began
            return record

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(60) == 0
        self._log.close()


def newest(client: ServiceClient, cluster: ClusterView) -> ClusterLogRecord:
    return decode(client.records(cluster, limit=1), ListLogsJobResponse).cluster_log_record[0]


def wait_until_ended(client: ServiceClient, cluster: ClusterView) -> ClusterLogRecord:
    end = time.monotonic() + 300
    while (record := newest(client, cluster)).status == "RUNNING":
        assert time.monotonic() < end, "the job does not end"
        time.sleep(0.1)
    return record


@dataclass(frozen=True)
class Place:
    """Where the node writes, and by what Logkeep reads that."""

    logs: Path
    source: str
    settings: str = ""  # besides those that tests usually have
    between: Callable[[], None] = lambda: None  # what happens between two backups, where no kills do


def run_long(seed: int, lines: int, kills: int, rotations: int, folder: Path, place: Place | None = None) -> Figures:
    """Run it, check everything; what is wrong is in the figures' faults. Without kills a backup follows the other."""
    began = time.monotonic()
    writing = Writing(seed, lines, rotations, distinct=not kills)
    figures = Figures(seed)
    directory, journal = folder / "installation", folder / "journal"
    if not place:
        (folder / "node").mkdir()
        place = Place(folder / "node", f"file://{folder}/node")
    logs = place.logs
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # In the settings, so that no command meets another Logkeep on the usual port before this one has started.
    init(directory, f"{CONFIGURATION}{place.settings}\n[server]\nport = {port}\n")
    service = Killed(directory, seed)
    try:
        service.wait_until_ready()
        command(directory, "cluster", "add", "prod", "--node", f"{NODE}={place.source}")
        command(directory, "logs", "open", "prod")
        with service.client() as client:
            cluster = client.find_cluster("prod")
        with _writing(writing, kills, logs, journal) as node:
            time.sleep(0.5)
            service.settle(cluster)  # what went before a first backup looked can be told by nobody
            if kills:
                _kill_meanwhile(writing, kills, service, cluster, node)
            else:
                _back_up_meanwhile(writing, service, cluster, node, place)
            assert node.wait(600) == 0
        figures.kills = service.kills
        figures.run_seconds = round(time.monotonic() - began, 1)
        _check_all(writing, figures, service, cluster, directory, Journal.read(journal), folder / "restored")
    finally:
        service.end()
    _check_catalogue(figures, directory, cluster)
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


@contextmanager
def _writing(writing: Writing, kills: int, logs: Path, journal: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The node, which has a thousandth of its lines to write at first."""
    each = -(-writing.total() // (kills or _TORTURE_SECONDS))
    given = [str(logs), str(journal), "--seed", str(writing.seed), "--lines", str(writing.lines)]
    given += ["--rotations", str(writing.rotations), "--rate", str(each / len(FAMILIES) / 1.2)]
    given += ["--distinct"] if writing.distinct else []
    given += [] if kills else ["--keep", "1000"]  # nothing goes but what is truncated
    command_line = [sys.executable, "-m", "tests.support.numbered_node", *given]
    with subprocess.Popen(command_line, env=environment(), stdin=subprocess.PIPE) as node:
        allow(node, writing.total() // 1000)
        yield node


def allow(node: subprocess.Popen[bytes], lines: int) -> None:
    """Let the node have written so many lines."""
    assert node.stdin
    node.stdin.write(b"%d\n" % lines)
    node.stdin.flush()


def _kill_meanwhile(
    writing: Writing, kills: int, service: Killed, cluster: ClusterView, node: subprocess.Popen[bytes]
) -> None:
    """What the node may write grows with each kill, so that both end together."""
    for number in range(1, kills + 1):
        allow(node, min(writing.total(), number * -(-writing.total() // kills)))
        service.kill(cluster)
        assert node.poll() in (None, 0), "the node has ended"
        if number % _WHOLE_BACKUP_EACH == 0:
            service.settle(cluster)
            print(f"{number} kills, {len(service.accepted)} backups", file=sys.stderr, flush=True)


def _back_up_meanwhile(
    writing: Writing, service: Killed, cluster: ClusterView, node: subprocess.Popen[bytes], place: Place
) -> None:
    allow(node, writing.total())
    while node.poll() is None:
        place.between()
        service.settle(cluster)


def command(directory: Path, *arguments: str) -> Any:
    """The JSON document that a command prints."""
    return called(directory, *arguments, "--json").ended(0).json


# What the node did ------------------------------------------------------------------------------------------------


@dataclass
class Journal:
    """Bytes count within all that was ever written to a family; times are Unix ns."""

    generations: dict[str, list[tuple[int, int]]]  # first byte and first line of each
    gone: dict[str, list[tuple[int, int, int, str]]]  # bytes [start, end), when they were last readable, why
    written: dict[str, tuple[list[int], list[int]]]  # times, and how much was there then
    rotations: int

    @staticmethod
    def read(path: Path) -> Journal:
        journal = Journal(defaultdict(list), defaultdict(list), defaultdict(lambda: ([], [])), 0)
        for event, at, family, *values in read_journal(path):
            match event:
                case "generation":
                    known = journal.generations[family]
                    if not known or values[0] > known[-1][0]:
                        known.append((values[0], values[1]))
                case "gone":
                    journal.gone[family].append((values[0], values[1], at, values[2]))
                case "written":
                    journal.written[family][0].append(at)
                    journal.written[family][1].append(values[0])
                case "rotation":
                    journal.rotations += 1
        return journal

    def readable_at(self, family: str, at: int) -> int:
        """Bytes written by then."""
        times, sizes = self.written[family]
        place = bisect_right(times, at)
        return sizes[place - 1] if place else 0


# The oracle -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Missing:
    """Bytes [start, end) of a family that are not in the archive."""

    family: Family
    start: int
    end: int
    lines: int
    first_time: str
    last_time: str


def _check_all(
    writing: Writing,
    figures: Figures,
    service: Killed,
    cluster: ClusterView,
    directory: Path,
    journal: Journal,
    restored: Path,
) -> None:
    faults = figures.faults
    figures.lines, figures.rotations = writing.total(), journal.rotations
    figures.bytes = sum(sizes[-1] for _, sizes in journal.written.values())
    last = service.settle(cluster)
    time.sleep(2.2)  # files that changed a moment ago are looked into again
    service.settle(cluster)
    stored = _objects(directory)
    service.settle(cluster)
    if _objects(directory) != stored:
        faults.append("a backup with nothing new stored something")
    with service.client() as client:
        jobs = _all_jobs(client, cluster)
        faults += [f"job {job.job_id}: {job.status} {job.failed_msg}" for job in jobs if job.status != "SUCCESS"]
        faults += [f"accepted job {job} has no record" for job in set(service.accepted) - {job.job_id for job in jobs}]
        kept = defaultdict(list)
        for one in client.list_kept(cluster):
            kept[one.family].append(one.size)
    figures.jobs, figures.accepted = len(jobs), len(service.accepted)
    figures.gaps = sum(len(job.gaps) for job in jobs)
    assert last.status == "SUCCESS"
    command(directory, "verify", "prod", "--read-data", "--chain")
    command(directory, "restore", "prod", "--to", str(restored), "--join")
    faults += [f"{name} was never written" for name in kept.keys() - {family.name for family in FAMILIES}]
    for family in FAMILIES:
        with (restored / NODE / family.name).open("rb") as joined:
            missing = list(compare(writing, family, journal, joined, kept[family.name], figures))
        (restored / NODE / family.name).unlink()
        check_missing(family, missing, journal, jobs, figures)
        if writing.distinct:  # killed early, a job may not know what it did not see
            _check_gaps(family, missing, jobs, figures)


def _check_gaps(family: Family, missing: list[Missing], jobs: list[JobView], figures: Figures) -> None:
    """A gap that is told is one."""
    figures.faults += [
        f"{family.name}: a gap is told where nothing is missing: {gap}, by job {job.job_id}"
        for job in jobs
        for gap in job.gaps
        if gap.family == family.name and not any(_overlap(gap, one) for one in missing)
    ]


def _objects(directory: Path) -> int:
    return sum(1 for _ in (directory / "buckets").rglob("*.zst"))


def _all_jobs(client: ServiceClient, cluster: ClusterView) -> list[JobView]:
    """Oldest first, with their gaps."""
    listed: list[ClusterLogRecord] = []
    while page := decode(
        client.records(cluster, start=len(listed) + 1, limit=100), ListLogsJobResponse
    ).cluster_log_record:
        listed += page
    return [decode(client.get(f"/api/v1/clusters/{cluster.id}/jobs/{one.job_id}"), JobView) for one in listed[::-1]]


def compare(
    writing: Writing, family: Family, journal: Journal, joined: BinaryIO, sizes: list[int], figures: Figures
) -> Iterator[Missing]:
    """Hold what is kept of a family, given by the sizes of its generations, against what was written; yields what lacks."""
    written = list(_written(writing, family, journal))
    following = 0
    for size in filter(None, sizes):
        index = _find(writing, family, written, joined, size)
        if index < following:
            around = joined.read(min(size, 120))
            joined.seek(size - len(around), io.SEEK_CUR)
            figures.faults.append(f"{family.name}: twice, mangled or out of order: a generation that begins {around!r}")
            continue
        for skipped in written[following:index]:
            yield _lack(writing, family, skipped, 0)
        _hold(writing, family, written[index], joined, size, figures)
        if size < written[index].size:
            yield _lack(writing, family, written[index], size)
        following = index + 1
    for skipped in written[following:]:
        yield _lack(writing, family, skipped, 0)
    if joined.read(1):
        figures.faults.append(f"{family.name}: restored is longer than what is listed")


@dataclass(frozen=True)
class Generation:
    """Bytes [start, start + size) of all that was written to a family; the first line may have begun before."""

    start: int
    size: int
    line: int  # that the first byte belongs to
    skip: int  # bytes of this line that stand before


def _written(writing: Writing, family: Family, journal: Journal) -> Iterator[Generation]:
    begun = journal.generations[family.name]
    ends = [*(start for start, _ in begun[1:]), journal.written[family.name][1][-1]]
    at = line_start = 0  # the line at which `line_start` bytes were written
    for (start, line), end in zip(begun, ends, strict=True):
        line_start += sum(len(writing.text(family, n, min(n + _CHUNK, line))) for n in range(at, line, _CHUNK))
        at = line
        if end > start:
            yield Generation(start, end - start, line, start - line_start)


def _text(writing: Writing, family: Family, of: Generation) -> Iterator[bytes]:
    """What was written to a generation, in pieces."""
    skip, left = of.skip, of.size
    for number in range(of.line, writing.each, _CHUNK):
        piece = writing.text(family, number, min(number + _CHUNK, writing.each))[skip : skip + left]
        skip = 0
        left -= len(piece)
        yield piece
        if not left:
            return


def _find(writing: Writing, family: Family, written: list[Generation], joined: BinaryIO, size: int) -> int:
    """Which generation begins like what is read next; -1 for none."""
    at = joined.tell()
    head = joined.read(min(size, 8192))
    joined.seek(at)
    found = _NUMBER.search(head)
    number = int(found[1]) if found else -1
    lines = [one.line for one in written]
    near = range(bisect_left(lines, number - 1), bisect_right(lines, number))
    same = (n for n in near if next(_text(writing, family, written[n]))[: len(head)] == head[: written[n].size])
    return next(same, -1)


def _hold(
    writing: Writing, family: Family, generation: Generation, joined: BinaryIO, size: int, figures: Figures
) -> None:
    """Read `size` bytes and hold them against the generation."""
    read = 0
    for expected in _text(writing, family, generation):
        found = joined.read(min(len(expected), size - read))
        read += len(found)
        figures.lines_kept += found.count(b"\n")
        if found != expected[: len(found)]:
            pairs = enumerate(zip(found, expected, strict=False))
            place = next((n for n, (one, other) in pairs if one != other), 0)
            around = found[max(0, place - 60) : place + 60]
            figures.faults.append(f"{family.name}: mangled after line {generation.line}: {around!r}")
            break
        if read == size:
            break
    if read < size:
        figures.faults.append(f"{family.name}: {size - read} bytes too many or mangled after line {generation.line}")
        joined.seek(size - read, io.SEEK_CUR)


def _lack(writing: Writing, family: Family, generation: Generation, kept: int) -> Missing:
    """What is missing behind the first `kept` bytes of a generation."""
    at, before, lines = 0, generation.line, 0
    for piece in _text(writing, family, generation):
        lacking = piece[max(0, kept - at) :]
        before += piece.count(b"\n") - lacking.count(b"\n")
        lines += lacking.count(b"\n")
        at += len(piece)
    last = max(before, before + lines - 1)
    times = [writing.time_of(number).strftime("%Y-%m-%dT%H:%M:%S,%f")[:23] for number in (before, last)]
    return Missing(family, generation.start + kept, generation.start + generation.size, lines, *times)


def check_missing(
    family: Family, missing: list[Missing], journal: Journal, jobs: list[JobView], figures: Figures
) -> None:
    told = [(gap, job) for job in jobs for gap in job.gaps if gap.family == family.name]
    figures.ranges_lost += len(missing)
    figures.lines_lost += sum(one.lines for one in missing)
    for one in missing:
        parts = [
            (max(start, one.start), min(end, one.end), at, why)
            for start, end, at, why in journal.gone[family.name]
            if start < one.end and one.start < end
        ]
        _check_deleted(one, parts, journal, jobs, figures)
        if all(why == "truncated" for *_, why in parts):
            figures.lines_lost_between_copy_and_truncation += one.lines
        elif not any(_tells(gap, job, one, min(at for *_, at, _ in parts)) for gap, job in told):
            figures.faults.append(f"no gap tells of {_shown(one)}, last readable at {[at for *_, at, _ in parts]}")
    lost, said = sum(one.end - one.start for one in missing), sum(gap.at_least for gap, _ in told)
    if said > lost:
        figures.faults.append(f"{family.name}: gaps tell of {said} bytes at least, {lost} are missing")


def _check_deleted(
    one: Missing,
    parts: list[tuple[int, int, int, str]],
    journal: Journal,
    jobs: list[JobView],
    figures: Figures,
) -> None:
    """All that is missing went, and no job that ended in success ran while it was there."""
    if sum(end - start for start, end, *_ in parts) != one.end - one.start:
        figures.faults.append(f"{_shown(one)} is missing though the node still has it, or had it to the end")
    for start, end, at, _ in parts:
        for job in jobs:
            began = int(job.create_at) * 1_000_000
            if (job.finished_at or 0) * 1_000_000 + 1_000_000 < at and journal.readable_at(
                one.family.name, began
            ) > start:
                figures.faults.append(
                    f"{_shown(one)}: bytes {start} to {end} were readable until {at}, but job {job.job_id} of "
                    f"{job.create_at} to {job.finished_at} did not keep them"
                )
                break


def _tells(gap: GapView, job: JobView, one: Missing, gone_at: int) -> bool:
    after, until = (text.replace(".", ",")[:23] for text in (gap.after, gap.until))
    ended = (job.finished_at or 0) * 1_000_000
    return ended > gone_at and after <= one.first_time and (not until or until >= one.last_time)


def _overlap(gap: GapView, one: Missing) -> bool:
    after, until = (text.replace(".", ",")[:23] for text in (gap.after, gap.until))
    return after <= one.last_time and (not until or until >= one.first_time)


def _shown(one: Missing) -> str:
    return f"{one.family.name}: bytes {one.start} to {one.end} ({one.lines} lines, {one.first_time} to {one.last_time})"


def _check_catalogue(figures: Figures, directory: Path, cluster: ClusterView) -> None:
    """Segments are contiguous, sum up to what is kept, and each is named by one manifest of one chain."""
    runtime = open_runtime(load_settings(directory, {}))
    ends: dict[tuple[str, int], int] = defaultdict(int)
    named: set[str] = set()
    for segment in all_segments(runtime.database, cluster.id):
        figures.segments += 1
        _follow(segment, ends, figures)
        named.add(segment.object)
    if len(named) != figures.segments:
        figures.faults.append("two segments have one object")
    for node, kept in generations.fetch_generations(runtime.database, cluster.id):
        if ends[node, kept.generation] != kept.kept:
            figures.faults.append(
                f"{kept.family}: {kept.kept} bytes kept, its segments end at {ends[node, kept.generation]}"
            )
    with reading(runtime.database) as connection:
        chain = manifests.fetch_manifests(connection, cluster.id)
    previous = ""
    for row in chain:
        manifest = decode_manifest(runtime.stores[row.bucket].get(row.object))
        if manifest.previous != previous:
            figures.faults.append(f"{row.object} does not follow the manifest before it")
        previous = row.sha256
        again = [one.object for one in manifest.segments if one.object not in named]
        figures.faults += [f"{name} is named by two manifests, or by one alone" for name in again]
        named -= {one.object for one in manifest.segments}
    figures.faults += [f"{name} is named by no manifest" for name in named]
    figures.manifests = len(chain)
    runtime.database.dispose()


def _follow(segment: Segment, ends: dict[tuple[str, int], int], figures: Figures) -> None:
    key = (segment.node, segment.generation)
    if segment.start != ends[key] or sum(frame.raw for frame in segment.frames) != segment.end - segment.start:
        figures.faults.append(f"{segment.object} does not begin where the one before it ends")
    ends[key] = segment.end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--rotations", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="an empty one that stays; else one that is removed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = run_long(given.seed, given.lines, given.kills, given.rotations, folder)
    print(json.dumps(asdict(figures), indent=1))
    return 1 if figures.faults else 0


if __name__ == "__main__":
    sys.exit(main())
