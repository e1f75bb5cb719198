"""A node that writes and rotates in single file-system steps, and the engine's partners, for tests against a model."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from logkeep.backup.catalogue import Kept, LastListing
from logkeep.backup.gaps import is_closed
from logkeep.backup.identity import lead_of
from logkeep.domain.manifest import Checkpoint, Gap, PendingFile, Segment, Sighting
from logkeep.domain.warning import JobWarning
from logkeep.errors import JobSuperseded, SourceVanished, StoreError
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog
from logkeep.stores.base import remove_each
from logkeep.stores.frames import decompress_frame

BANNER = b"# every generation of this log begins with these lines\n" * 100  # more than the head that is hashed
TICK_NS = 20_000_000  # of the times of a source without inodes


class MemoryCatalogue:
    """Implements `backup.catalogue.Catalogue`."""

    def __init__(self) -> None:
        self.kept: dict[int, Checkpoint] = {}
        self.retired: set[int] = set()
        self.digest = ""
        self.job = ""  # id of the job under way, as it stands in the names of objects
        self.segments: list[Segment] = []
        self.gaps: list[Gap] = []
        self.sightings: list[Sighting] = []
        self.waiting: list[PendingFile] = []
        self.warnings: dict[tuple[str, str, str, str], JobWarning] = {}
        self.before_record: Callable[[], None] = lambda: None

    def checkpoints(self, node: str) -> list[Checkpoint]:
        return [c for c in self.kept.values() if c.generation not in self.retired]

    def retired_alike(self, node: str, family: str, head: bytes) -> list[Checkpoint]:
        lead = lead_of(head)
        hidden = (self.kept[number] for number in self.retired)
        return [c for c in hidden if (c.lead == lead if c.lead else c.family == family)]

    def recall(self, node: str, family: str) -> list[Checkpoint]:
        found = [self.kept[number] for number in self.retired if self.kept[number].family == family]
        self.retired -= {c.generation for c in found}
        return found

    def kept_segments(self, node: str, generation: int, start: int) -> list[Segment]:
        mine = sorted((s for s in self.segments if s.generation == generation), key=lambda s: s.start)
        return [s for s in mine if s.end > start]

    def last_segments(self, node: str) -> dict[int, int]:
        return {s.generation: s.end - s.start for s in self.segments if self.job and self.job in s.object}

    def last_listing(self, node: str) -> LastListing:
        return LastListing(self.digest, list(self.waiting))

    def record_plan(self, node: str, remaining: int, pending: Sequence[PendingFile] | None = None) -> None:
        if pending is not None:
            self.before_record()
            self.waiting = list(pending)
        self.remaining = remaining

    def record_flow(self, node: str, read: int) -> None:
        pass

    def commit(self, kept: Sequence[Kept], remaining: int = 0) -> None:
        for segment, after in kept:
            known = self.kept.get(segment.generation)
            if ((known and known.kept) or after.start) != segment.start:
                raise JobSuperseded
        for segment, after in kept:
            self.segments.append(segment)
            self.kept[after.generation] = after
            self.retired.discard(after.generation)
        self.remaining = remaining

    def warn(self, warning: JobWarning) -> None:
        self.warnings[warning.key] = warning

    def record_node(
        self,
        node: str,
        seen: Iterable[Checkpoint] = (),
        found: Sequence[Gap | Sighting] = (),
        digest: str | None = None,
        pending: Sequence[PendingFile] | None = None,
        retired: Collection[int] = (),
    ) -> None:
        self.before_record()
        for checkpoint in seen:
            self.kept[checkpoint.generation] = checkpoint
        self.retired = (self.retired - {c.generation for c in seen}) | set(retired)
        self.gaps += [one for one in found if isinstance(one, Gap)]
        self.sightings += [one for one in found if isinstance(one, Sighting)]
        if digest is not None:
            self.digest = digest
        if pending is not None:
            self.waiting = list(pending)

    def contents(self, objects: dict[str, bytes]) -> dict[str, list[bytes]]:
        """Family -> what is kept of each generation, in the order of writing."""
        families: dict[str, list[bytes]] = {}
        for checkpoint in sorted(self.kept.values(), key=lambda c: (c.family, c.position)):
            mine = sorted((s for s in self.segments if s.generation == checkpoint.generation), key=lambda s: s.start)
            assert [s.start for s in mine] == [checkpoint.start, *[s.end for s in mine[:-1]]][: len(mine)], "a hole"
            data = b"".join(_plain(objects[s.object], s) for s in mine)
            assert len(data) == checkpoint.kept - checkpoint.start
            families.setdefault(checkpoint.family, []).append(data)
        return families


def _plain(stored: bytes, segment: Segment) -> bytes:
    return b"".join(decompress_frame(stored[f.offset : f.offset + f.stored]) for f in segment.frames)


class InlineExecutor(Executor):
    """Does what is submitted at once; what ends a process, and is no `Exception`, ends the caller."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class MemoryStore:
    """The part of an `ObjectStore` that the engine needs; refuses to write a name twice."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.before_put: Callable[[], None] = lambda: None
        self.after_put: Callable[[], None] = lambda: None

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        self.before_put()
        data = b"".join(chunks)
        assert name not in self.objects
        self.objects[name] = data
        self.after_put()
        return len(data)

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        found: list[int | StoreError] = []
        for name, data in objects:
            try:
                found.append(self.put(name, [data]))
            except StoreError as error:
                found.append(error)
        return found

    def open(self, name: str) -> BytesIO:
        return BytesIO(self.objects[name])

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)

    def remove(self, names: Sequence[str]) -> list[StoreError | None]:
        return remove_each(self.delete, names, 1)


class BusySource(LogSource):
    """A source whose every call may be preceded by steps of the node; a listing, where `torn`, by some in its middle."""

    def __init__(self, source: LogSource, meanwhile: Callable[[], None], *, torn: bool = False) -> None:
        self._source = source
        self._meanwhile = meanwhile
        self._torn = torn
        self._listed: dict[str, str] = {}
        self._calls = 0
        self.slipped: set[str] = set()  # names that were gone, or another file, when they were opened

    def list(self) -> Listing:
        self._meanwhile()
        found = self._source.list()
        if self._torn:
            self._meanwhile()
            found = self._tear(found, self._source.list())
        self._listed = {file.name: file.inode for file in found}
        return found

    def _tear(self, before: Listing, after: Listing) -> Listing:
        """Half of the names as they were, half as they are: a folder tells of what is renamed meanwhile once, twice or
        not at all.
        """
        self._calls += 1
        names = sorted({file.name for file in (*before, *after)})
        early = set(names[: len(names) // 2] if self._calls % 2 else names[len(names) // 2 :])
        self.slipped |= {file.name for file in {*before} ^ {*after}}
        return after.with_files(
            [*(file for file in before if file.name in early), *(file for file in after if file.name not in early)]
        )

    def open(self, name: str) -> OpenLog:
        self._meanwhile()
        try:
            log = self._source.open(name)
        except SourceVanished:
            self.slipped.add(name)
            raise
        if log.stat().inode != self._listed.get(name):
            self.slipped.add(name)
        return _BusyLog(log, self._meanwhile)


class _BusyLog(OpenLog):
    def __init__(self, log: OpenLog, meanwhile: Callable[[], None]) -> None:
        self._log = log
        self._meanwhile = meanwhile

    def stat(self) -> LogFile:
        self._meanwhile()
        return self._log.stat()

    def read_at(self, offset: int, length: int) -> bytes:
        self._meanwhile()
        return self._log.read_at(offset, length)

    def close(self) -> None:
        self._log.close()


class WithoutInodes(LogSource):
    """A source that tells neither inode nor ctime, and times in ticks, as one over SFTP."""

    def __init__(self, source: LogSource, tick_ns: int = TICK_NS) -> None:
        self._source = source
        self._tick_ns = tick_ns

    def list(self) -> Listing:
        listing = self._source.list()
        return listing.with_files(_without_inode(file, self._tick_ns) for file in listing)

    def open(self, name: str) -> OpenLog:
        return _LogWithoutInode(self._source.open(name), self._tick_ns)


class _LogWithoutInode(OpenLog):
    def __init__(self, log: OpenLog, tick_ns: int) -> None:
        self._log = log
        self._tick_ns = tick_ns
        self.read_at = log.read_at
        self.close = log.close

    def stat(self) -> LogFile:
        return _without_inode(self._log.stat(), self._tick_ns)


def _without_inode(file: LogFile, tick_ns: int) -> LogFile:
    return file._replace(inode="", ctime_ns=0, mtime_ns=file.mtime_ns // tick_ns * tick_ns)


@dataclass
class Node:
    """Writes unique lines into families of a directory; `steps` holds the file-system steps that are still to come."""

    directory: Path
    lines: int = 0
    truth: dict[str, list[bytearray]] = field(default_factory=dict)  # family -> its generations, oldest first
    banners: set[str] = field(default_factory=set)
    twins: set[str] = field(default_factory=set)  # families that write the very same lines, each at its own pace
    steps: list[Iterator[None]] = field(default_factory=list)
    emptied: set[tuple[str, int]] = field(default_factory=set)  # generations that were truncated, not rotated
    anew: set[str] = field(default_factory=set)  # families whose names count from 1 again, as no rotated file was left
    rewritten: set[str] = field(default_factory=set)  # families whose active file began anew in place
    _highest: dict[str, int] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)  # lines of each twin

    def step(self) -> bool:
        """One step of the oldest rotation under way; False where there is none."""
        while self.steps:
            try:
                next(self.steps[0])
                return True
            except StopIteration:
                self.steps.pop(0)
        return False

    def finish(self) -> None:
        while self.step():
            pass

    def write(self, family: str, count: int, *, newline: bool = True) -> None:
        self.finish()
        self._append(family, count, newline=newline)

    def _append(self, family: str, count: int, *, newline: bool = True) -> None:
        generations = self.truth.setdefault(family, [bytearray()])
        data = b"" if generations[-1] or family not in self.banners else BANNER
        # A generation of nothing but the banner is the same as any other such one: nobody could tell them apart.
        for _ in range(max(count, 1) if data else count):
            data += self._line(family)
        if data and not newline:
            data = data[:-1]
        with (self.directory / family).open("ab") as file:
            file.write(data)
        generations[-1] += data

    def _line(self, family: str) -> bytes:
        """The next line; of twins what each has written decides it, of others the lines of all."""
        self.lines += 1
        number, words = self.lines, f"line {self.lines} of {family}"
        if family in self.twins:
            number = self._counts[family] = self._counts.get(family, 0) + 1
            words = f"line {number} of more than one {'=' * 80}"
        return f"[2026-11-24T{number // 60 % 24:02}:{number % 60:02}:00,000] {words}\n".encode()

    def rotate(self, family: str, manner: str) -> None:
        """Begin a rotation; its steps follow by `step`. One rotation at a time, as with log4j2."""
        self.finish()
        if not (self.directory / family).exists():
            self._append(family, 0)
        self.steps.append(getattr(self, f"_{manner}")(family))

    def storm(self, family: str, manner: str, rotations: int, kept: int) -> None:
        """Write and rotate again and again; of the rotated files the newest `kept` stay."""
        self.steps.append(self._storm(family, manner, rotations, kept))

    def truncate(self, family: str) -> None:
        self.finish()
        if (self.directory / family).exists():
            os.truncate(self.directory / family, 0)
            self.emptied.add((family, len(self.truth[family]) - 1))
            self.truth[family].append(bytearray())

    def drop(self, family: str) -> None:
        """Delete the oldest rotated file of a log, once the steps before are done."""
        self.steps.append(self._drop(family, 0))

    def _storm(self, family: str, manner: str, rotations: int, kept: int) -> Iterator[None]:
        for _ in range(rotations):
            self._append(family, 1)
            yield
            yield from getattr(self, f"_{manner}")(family)
            yield from self._drop(family, kept)

    def _drop(self, family: str, kept: int) -> Iterator[None]:
        rotated = self._rotated(family)
        while len(rotated) > kept:
            rotated.pop(0).unlink()
            yield
            if not kept:
                break

    def _rotated(self, family: str) -> list[Path]:
        """The rotated files of a log, oldest first."""
        stem, _, extension = family.rpartition(".")
        counted = re.compile(rf"{re.escape(stem.removesuffix('_server'))}-(?:[\d-]+-)?(\d+)\.{extension}(?:\.gz)?")
        shifted = re.compile(rf"{re.escape(family)}\.(\d+)(?:\.gz)?")
        found: list[tuple[int, Path]] = []
        for path in self.directory.iterdir():
            if name := counted.fullmatch(path.name):
                found.append((int(name[1]), path))
            elif name := shifted.fullmatch(path.name):
                found.append((-int(name[1]), path))
        return [path for _, path in sorted(found)]

    def _path(self, name: str) -> Path:
        return self.directory / name

    def _roll(self, family: str, target: str) -> Iterator[None]:
        """Rename, new active file, a `.gz` that grows in place, the plain one deleted."""
        active, plain, packed = self._path(family), self._path(target), self._path(f"{target}.gz")
        active.rename(plain)
        self.truth[family].append(bytearray())
        yield
        active.touch()
        packed.touch()
        yield
        yield from _pack(plain, packed)
        plain.unlink()
        yield

    def _dated(self, family: str) -> Iterator[None]:
        yield from self._roll(family, self._next_dated(family))

    def _next_dated(self, family: str) -> str:
        stem, _, extension = family.rpartition(".")
        stem = stem.removesuffix("_server")
        number = max((_number(path) for path in self._rotated(family)), default=0) + 1
        if number <= self._highest.get(family, 0):
            self.anew.add(family)
        self._highest[family] = max(number, self._highest.get(family, 0))
        return f"{stem}-2026-11-24-{number}.{extension}"

    def _linked(self, family: str) -> Iterator[None]:
        """A mover that links, packs, and unlinks last: for a while one content has three names."""
        target = self._next_dated(family)
        active, plain, packed = self._path(family), self._path(target), self._path(f"{target}.gz")
        plain.hardlink_to(active)
        yield
        yield from _pack(plain, packed)
        active.unlink()
        self.truth[family].append(bytearray())
        yield
        plain.unlink()
        yield
        active.touch()
        yield

    def _indexed(self, family: str) -> Iterator[None]:
        """Four at most: the first one goes, and all shift down once there is a fourth."""
        stem, _, extension = family.rpartition(".")
        used = [n for n in range(1, 5) if self._path(f"{stem}-{n}.{extension}.gz").exists()]
        if len(used) == 4:
            self._path(f"{stem}-{used.pop(0)}.{extension}.gz").unlink()
            yield
        if 4 in used:
            for n in used:
                self._path(f"{stem}-{n}.{extension}.gz").rename(self._path(f"{stem}-{n - 1}.{extension}.gz"))
                yield
            used = [n - 1 for n in used]
        yield from self._roll(family, f"{stem}-{max(used, default=0) + 1}.{extension}")

    def _logrotate(self, family: str) -> Iterator[None]:
        """With `delaycompress`: the youngest is compressed under its name, gets the times of the plain one, and shifts."""
        plain, whole = self._path(f"{family}.1"), self._path(f"{family}.1.gz")
        if plain.exists():
            packed = gzip.compress(plain.read_bytes(), mtime=0)
            whole.write_bytes(packed[: len(packed) // 2])
            yield
            whole.write_bytes(packed)
            yield
            shutil.copystat(plain, whole)
            yield
            plain.unlink()
            yield
        for n in (2, 1):
            if self._path(f"{family}.{n}.gz").exists():
                self._path(f"{family}.{n}.gz").rename(self._path(f"{family}.{n + 1}.gz"))
                yield
        self._path(family).rename(self._path(f"{family}.1"))
        self.truth[family].append(bytearray())
        yield
        self._path(family).touch()
        yield

    def _copytruncate(self, family: str) -> Iterator[None]:
        for n in (3, 2, 1):
            if self._path(f"{family}.{n}").exists():
                self._path(f"{family}.{n}").rename(self._path(f"{family}.{n + 1}"))
                yield
        data = self._path(family).read_bytes()
        with self._path(f"{family}.1").open("wb") as copy:
            copy.write(data[: len(data) // 2])
            copy.flush()
            yield
            copy.write(data[len(data) // 2 :])
            copy.flush()
            yield
        os.truncate(self._path(family), 0)
        self.rewritten.add(family)
        self.truth[family].append(bytearray())
        yield

    def readable(self) -> dict[str, list[int]]:
        """Family -> for each generation how many of its bytes can be read from some file now."""
        return {family: self._readable(family, generations) for family, generations in self.truth.items()}

    def _readable(self, family: str, generations: Sequence[bytearray]) -> list[int]:
        paths = [*self._rotated(family), *([self._path(family)] if self._path(family).exists() else [])]
        contents = [content for path in paths if len(content := _content(path)) > self._common(family)]
        return [max((len(c) for c in contents if bytes(g[: len(c)]) == c), default=0) for g in generations]

    def has(self, family: str) -> bool:
        """Whether any file of the log is there."""
        return self._path(family).exists() or bool(self._rotated(family))

    def lost(self, kept: dict[str, list[int]]) -> dict[str, dict[int, int]]:
        """Family -> generation -> how many of its bytes are neither kept nor in any file."""
        readable = self.readable()
        held = {f: [max(pair) for pair in zip(kept[f], readable[f], strict=True)] for f in self.truth}
        return {
            family: {n: len(g) - held[family][n] for n, g in enumerate(generations) if len(g) > held[family][n]}
            for family, generations in self.truth.items()
        }

    def _common(self, family: str) -> int:
        return len(BANNER) if family in self.banners else 0


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data) if data else b""
    except (EOFError, zlib.error):
        return b""


def _number(path: Path) -> int:
    return int(path.name.removesuffix(".gz").rpartition(".")[0].rpartition("-")[2] or 0)


def _pack(plain: Path, packed: Path) -> Iterator[None]:
    """The `.gz` grows in place; for a moment it holds only its header."""
    whole = gzip.compress(plain.read_bytes(), mtime=0)
    third = (len(whole) - 10) // 3
    for start, end in pairwise((0, 10, 10 + third, 10 + 2 * third, len(whole))):
        with packed.open("ab") as file:
            file.write(whole[start:end])
        yield


def kept_lengths(node: Node, kept: dict[str, list[bytes]]) -> dict[str, list[int]]:
    """How much is kept of each generation: of each at most once, as it was written, and in the same order."""
    found: dict[str, list[int]] = {}
    for family, generations in node.truth.items():
        lengths = found[family] = [0] * len(generations)
        following = 0
        for content in filter(None, kept.get(family, [])):
            number = next((n for n in range(following, len(lengths)) if generations[n].startswith(content)), None)
            assert number is not None, f"{family}: twice, out of order or never written: {content[-60:]!r}"
            lengths[number], following = len(content), number + 1
    return found


def check_archive(kept: dict[str, list[int]], required: dict[str, list[int]]) -> None:
    for family, lengths in required.items():
        for number, needed in enumerate(lengths):
            held = kept[family][number]
            assert held >= needed, f"{family}: generation {number}: {held} of {needed} bytes kept"


@dataclass
class Ledger:
    """Holds what the jobs tell as gaps against what the node lost.

    A loss is told by a job that saw it happen or began after it; one gap may tell of several. No gap is told where
    nothing was lost and nothing is in doubt.
    """

    node: Node
    catalogue: MemoryCatalogue
    told: dict[str, set[int]] = field(default_factory=dict)  # family -> generations whose loss needs no more telling

    def check(self, kept: dict[str, list[int]], then: Before, unclear: Collection[str]) -> None:
        """After a job: `kept` is what is kept now, `unclear` the logs that wait for a file to be compressed."""
        lost = self.node.lost(kept)
        gaps = self.catalogue.gaps[then.gaps :]
        for family in lost:
            told = self.told.setdefault(family, set())
            new = lost[family].keys() - told
            listed = self._listed(family, kept[family], then)
            if any(then.kept.get(family, ())):
                told.update(self._excused(family, then))
            else:
                told.update(lost[family].keys() - listed)  # before the first backup
            if family in then.slipped | self.node.rewritten:
                # Between its listing and the look into it, a file was taken for a younger one that was compressed in
                # the same moment, or was emptied and grew to its size again.
                told.update(listed)
            mine = [gap for gap in gaps if gap.family == family]
            assert sum(gap.at_least for gap in mine) <= sum(lost[family].values()), f"{family}: more told than lost"
            if mine:
                assert new or self._doubtful(family, kept[family], then), f"{family}: nothing lost"
                told.update(lost[family])
            elif family not in unclear and self.node.has(family):
                pending = then.lost.get(family, {}).keys() | listed
                assert pending & lost[family].keys() <= told, f"{family}: lost and not told: {pending}"

    def _excused(self, family: str, then: Before) -> set[int]:
        """What no backup could know of."""
        lost = set(then.lost.get(family, ()))
        if family in self.node.anew:
            return lost  # the names seem to go on
        return {n for n in lost if (family, n) in self.node.emptied and not then.kept[family][n]}

    def _listed(self, family: str, kept: list[int], then: Before) -> set[int]:
        """Generations that stood in the first listing and are not kept as far as that."""
        return {n for n, length in enumerate(then.listed.get(family, ())) if length > kept[n]}

    def _doubtful(self, family: str, kept: list[int], then: Before) -> bool:
        """Whether bytes may have been lost, for all that a backup can know.

        Either the newest generation that was kept is in no file any more, or one is gone that was written to, or not
        read to its end, when it was last seen.
        """
        if family in then.slipped | self.node.rewritten:
            return True
        readable = self.node.readable()[family]
        newest = max((n for n, length in enumerate(then.kept.get(family, ())) if length), default=0)
        gone = any(kept[n] and readable[n] < kept[n] for n in range(newest, len(kept)))
        return gone or any(
            c.family == family and c.present and not is_closed(c) and not self.catalogue.kept[c.generation].present
            for c in then.checkpoints
        )


@dataclass
class Before:
    """How things stood when a job began."""

    kept: dict[str, list[int]]
    lost: dict[str, dict[int, int]]
    checkpoints: list[Checkpoint]
    gaps: int
    slipped: set[str] = field(default_factory=set)  # logs of which a file was gone when it was opened
    listed: dict[str, list[int]] = field(default_factory=dict)  # what could be read at its first listing
