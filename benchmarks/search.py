"""Searching kept logs of thirty days: against zstdgrep, zstdcat and ripgrep on the same objects in the same run.

python -m benchmarks.search FOLDER TEXT LIMIT      a search as a process of its own, of which the memory is measured
"""

from __future__ import annotations

import json
import os
import random
import resource
import shlex
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from benchmarks.installation import Installation, forget_peak, memory_of
from benchmarks.month import DAYS, FIRST_DAY, Month, write_month
from benchmarks.result import Result, judge, not_measured, seconds
from benchmarks.surroundings import find_program, has_room, scratch
from logkeep.bootstrap.logs import set_up_logging
from logkeep.bootstrap.runtime import make_runtime
from logkeep.database.segments import fetch_segments
from logkeep.domain.archive_search import ArchiveQuery, Hit, SearchEnd
from logkeep.domain.manifest import Frame
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Span, read_moment
from logkeep.service.archive_search import search_archive
from logkeep.service.clusters import find_clusters
from logkeep.service.indexing import index_cluster
from logkeep.settings import load_settings
from logkeep.stores.frames import decompress_frame

_BYTES = int(os.environ.get("BENCH_BYTES", str(2 * 2**30)))
_ROUNDS = 3
_NEEDLES = 8  # of a kind, one after the other
_OFTEN = ".java:"
_NO_FILTER = {"a short text that no line holds": "~#~", "a text in some lines": "Exception", "a text in most": _OFTEN}
_LIMIT = 100_000
_COUNT = ArchiveQuery(
    text="", regex=False, ignore_case=False, node="", family="", wanted=RecordFilter(), limit=1, count=True
)
_EIGHTH, _THIRD = "<= 0.125", "<= 0.333"


def search() -> list[Result]:
    """Logs without ids, and some of which every line has two."""
    rows: list[Result] = []
    for what, ids in (("no ids", False), ("ids in every line", True)):
        with scratch() as folder:
            if not has_room(folder, 2 * _BYTES):
                return [*rows, not_measured(f"search, {what}", "there is no room on the disk", _EIGHTH)]
            month = write_month(folder / "logs", _BYTES, ids=ids)
            rows += [replace(row, name=f"{row.name}; {what}") for row in _measure(folder, month)]
    return rows


def _measure(folder: Path, month: Month) -> Iterator[Result]:
    installation = Installation(folder / "installation", {"node": folder / "logs"})
    installation.back_up()
    archive = _Archive(installation, sorted((folder / "installation" / "buckets").rglob("*.zst")))
    yield _index(archive, month)
    yield _sizes(folder)
    others = _others(archive.objects)
    yield from _rare(archive, month, others)
    for what, text in _NO_FILTER.items():
        yield _every_frame(archive, what, text, others)
    yield _hour(archive)
    yield _first_hit(archive, month)
    for what, text, limit in (
        ("frequent", _OFTEN, _LIMIT),
        ("rare", month.rare["word"][0], _LIMIT),
        ("counted", _OFTEN, 0),
    ):
        yield _memory(folder, what, text, limit)


@dataclass(frozen=True)
class Cost:
    """What a search took."""

    cpu: float  # seconds, user and system, of all threads or processes
    wall: float


_Search = Callable[[str], tuple[Cost, int]]  # of a text; returns the lines that hold it


@dataclass(frozen=True)
class _Archive:
    installation: Installation
    objects: Sequence[Path]

    def frames(self) -> list[tuple[Path, Frame]]:
        """Return whole frames with the objects that they are in."""
        kept = fetch_segments(self.installation.runtime.database, self.installation.cluster.id)
        objects = {file.name: file for file in self.objects}
        return [(objects[Path(one.object).name], max(one.frames, key=lambda frame: frame.raw)) for one in kept]

    def find_first(self, text: str) -> tuple[Cost, int]:
        busy, began = time.process_time(), time.perf_counter()
        query = replace(_COUNT, text=text, count=False)
        events = search_archive(self.installation.runtime, self.installation.cluster, query)
        next(event for event in events if isinstance(event, Hit))
        return Cost(time.process_time() - busy, time.perf_counter() - began), 1

    def find(self, query: ArchiveQuery) -> SearchEnd:
        for event in search_archive(self.installation.runtime, self.installation.cluster, query):
            if isinstance(event, SearchEnd):
                assert event.completed
                return event
        raise AssertionError("a search has an end")

    def count(self, text: str) -> tuple[Cost, int]:
        busy, began = time.process_time(), time.perf_counter()
        end = self.find(replace(_COUNT, text=text))
        return Cost(time.process_time() - busy, time.perf_counter() - began), end.total.hits


def _others(objects: Sequence[Path]) -> dict[str, _Search | None]:
    """Return other programs, None for one that is missing."""
    quoted = shlex.join(map(str, objects))
    zstd, zstdgrep, rg = find_program("zstd"), find_program("zstdgrep", "zstd"), find_program("rg", "ripgrep")
    return {
        "zstdcat | grep": _program(f"{zstd} -q -dc {quoted} | grep -cF -e {{}}") if zstd else None,
        "zstdgrep": _program(f"{zstdgrep} -cF -e {{}} {quoted}") if zstdgrep else None,
        "rg -z": _program(f"{rg} -z -cF -e {{}} {quoted}") if rg else None,
    }


def _program(command: str) -> _Search:
    def count(text: str) -> tuple[Cost, int]:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        told = subprocess.run(
            command.format(shlex.quote(text)),
            shell=True,
            env={**os.environ, "LC_ALL": "C"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,  # a text that no line holds is an error
        ).stdout
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return Cost(cpu, wall), sum(int(line.rpartition(":")[2]) for line in told.splitlines())

    return count


def _index(archive: _Archive, month: Month) -> Result:
    busy = time.process_time()
    for _ in index_cluster(archive.installation.runtime, archive.installation.cluster):
        pass
    return judge("index built, a core", month.size / 1e6 / (time.process_time() - busy), "MB/s", ">= 100 MB/s")


def _sizes(folder: Path) -> Result:
    """All that is in the bucket, against gzip -6 of each file; both programs use the same method."""
    kept = [file for file in (folder / "installation" / "buckets").rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in kept)
    index = sum(file.stat().st_size for file in kept if "_index" in file.parts)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        gzipped = sum(pool.map(_gzipped_size, (folder / "logs").iterdir()))
    against = f"gzip -6: {gzipped / 1e6:.0f} MB; {index / 1e6:.0f} MB are index"
    return judge("archive + index", size / 1e6, "MB", "<= 0.85", against=against, ratio=size / gzipped)


def _gzipped_size(file: Path) -> int:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    with file.open("rb") as opened:
        size = sum(len(compressor.compress(piece)) for piece in iter(lambda: opened.read(2**20), b""))
    return size + len(compressor.flush())


def _rare(archive: _Archive, month: Month, others: dict[str, _Search | None]) -> Iterator[Result]:
    """Yield the processor's time of a search for texts that one line holds, and for ids that none does."""
    chance = random.Random(15)
    kinds = {f"rare {kind}": chance.sample(texts, min(_NEEDLES, len(texts))) for kind, texts in month.rare.items()}
    kinds |= {
        "absent 32-hex id": [chance.randbytes(16).hex() for _ in range(_NEEDLES)],
        "absent UUID": [str(UUID(bytes=chance.randbytes(16))) for _ in range(_NEEDLES)],
        "absent 8-character id": [chance.randbytes(4).hex() for _ in range(_NEEDLES)],
    }
    word = kinds["rare word"][0]
    searches = {name: partial(_mean, archive.count, texts) for name, texts in kinds.items()}
    searches |= {name: partial(other, word) for name, other in others.items() if other}
    best = _best(searches, "cpu")
    expected = {name: count for name, (_, count) in best.items() if name in others}
    assert set(expected.values()) <= {archive.count(word)[1]}, expected
    for name in kinds:
        assert name.startswith("absent") or best[name][1]
        yield _judge(f"search, {name}, processor", name, best, others, _THIRD if "8-character" in name else _EIGHTH)


def _mean(search: _Search, texts: Sequence[str]) -> tuple[Cost, int]:
    found = [search(text) for text in texts]
    costs = [cost for cost, _ in found]
    mean = Cost(sum(cost.cpu for cost in costs) / len(costs), sum(cost.wall for cost in costs) / len(costs))
    return mean, min(count for _, count in found)


_Best = dict[str, tuple[float, int]]


def _best(searches: Mapping[str, Callable[[], tuple[Cost, int]]], field: str) -> _Best:
    """Return the least cost and the lines found of each search, of rounds in which they take turns."""
    rounds = [{name: search() for name, search in searches.items()} for _ in range(_ROUNDS)]
    return {name: (min(getattr(one[name][0], field) for one in rounds), rounds[0][name][1]) for name in searches}


def _judge(name: str, ours: str, best: _Best, others: Iterable[str], goal: str) -> Result:
    """Compare with the best of the others; those that are missing are named."""
    theirs = {other: best[other][0] for other in others if other in best}
    against = ", ".join(
        f"{other}: {theirs[other]:.3g} s" if other in theirs else f"{other}: missing" for other in others
    )
    if not theirs:
        return not_measured(name, "not installed: apt-get install zstd ripgrep", goal)
    value = best[ours][0]
    return judge(name, value, "s", goal, against=against, ratio=value / min(theirs.values()))


def _every_frame(archive: _Archive, what: str, text: str, others: dict[str, _Search | None]) -> Result:
    searches = {name: partial(other, text) for name, other in others.items() if other}
    best = _best({"ours": partial(archive.count, text), **searches}, "wall")
    assert len({count for _, count in best.values()}) == 1, best
    return _judge(f"search --count, {what}, {best['ours'][1]:,} hits, wall", "ours", best, others, "<= 0.7")


def _hour(archive: _Archive) -> Result:
    """Count the frames that are read for an hour of all days and a text with no filter."""
    hour = f"{FIRST_DAY + timedelta(DAYS // 2)}T14:00", f"{FIRST_DAY + timedelta(DAYS // 2)}T15:00"
    span = Span(*map(read_moment, hour))
    total = archive.find(replace(_COUNT, text=_OFTEN, wanted=RecordFilter(span))).total
    against = f"{total.frames_read} of {total.frames} frames"
    return judge(
        "search, an hour of thirty days", 100 * total.frames_read / total.frames, "%", "<= 5 %", against=against
    )


def _first_hit(archive: _Archive, month: Month) -> Result:
    words = random.Random(16).sample(month.rare["word"], min(_NEEDLES, len(month.rare["word"])))
    ours = min(_mean(archive.find_first, words)[0].wall for _ in range(_ROUNDS))
    frames = random.Random(17).choices(archive.frames(), k=_NEEDLES)
    theirs = min(seconds(lambda: [_read_one(*frame) for frame in frames], 1) / _NEEDLES for _ in range(_ROUNDS))
    against = f"read and decompress a frame: {1000 * theirs:.2f} ms"
    return judge("search, first hit", 1000 * ours, "ms", "<= 10", against=against, ratio=ours / theirs)


def _read_one(file: Path, frame: Frame) -> bytes:
    with file.open("rb") as opened:
        opened.seek(frame.offset)
        return decompress_frame(opened.read(frame.stored))


def _memory(folder: Path, what: str, text: str, limit: int) -> Result:
    """Measure a search in a process of its own; a limit of 0 counts."""
    command = [sys.executable, "-m", "benchmarks.search", str(folder / "installation"), text, str(limit)]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    against = f"idle: {told['idle']:.0f} MiB; {told['hits']:,} hits"
    return judge(f"search, memory above idle, {what}", told["peak"] - told["idle"], "MiB", "<= 64 MiB", against=against)


def main(folder: str, text: str, limit: str) -> None:
    set_up_logging("warning")  # to stderr: stdout is read
    runtime = make_runtime(load_settings(Path(folder), {}))
    [cluster] = find_clusters(runtime)
    query = replace(_COUNT, text=text, count=limit == "0", limit=int(limit))
    idle = memory_of("VmRSS")
    forget_peak()
    hits = 0
    for event in search_archive(runtime, cluster, query):
        hits = event.total.hits if isinstance(event, SearchEnd) else hits
    print(json.dumps({"idle": idle, "peak": memory_of("VmHWM"), "hits": hits}))


if __name__ == "__main__":
    main(*sys.argv[1:])
