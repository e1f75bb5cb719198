"""A node that writes and rotates in single file-system steps, and the engine's partners, for tests against a model."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from logkeep.domain.manifest import Checkpoint, Gap, Segment, Sighting, Unread
from logkeep.errors import JobSuperseded
from logkeep.sources.base import LogFile, LogSource, OpenLog
from logkeep.stores.frames import decompress_frame

BANNER = b"# every generation of this log begins with these lines\n" * 100  # more than the head that is hashed


class MemoryCatalogue:
    """Implements `engine.catalogue.Catalogue`."""

    def __init__(self) -> None:
        self.kept: dict[int, Checkpoint] = {}
        self.digest = ""
        self.job = ""  # id of the job under way, as it stands in the names of objects
        self.segments: list[Segment] = []
        self.gaps: list[Gap] = []
        self.waiting: list[Unread] = []

    def checkpoints(self, node: str) -> list[Checkpoint]:
        return list(self.kept.values())

    def last_segments(self, node: str) -> dict[int, int]:
        return {s.generation: s.end - s.start for s in self.segments if self.job and self.job in s.object}

    def listing_digest(self, node: str) -> str:
        return self.digest

    def record_plan(self, node: str, remaining: int) -> None:
        self.remaining = remaining

    def commit(self, segment: Segment, after: Checkpoint, remaining: int = 0) -> None:
        known = self.kept.get(segment.generation)
        if (known.kept if known else 0) != segment.start:
            raise JobSuperseded
        self.segments.append(segment)
        self.remaining = remaining
        self.kept[after.generation] = after

    def unread(self, node: str) -> list[Unread]:
        return self.waiting

    def record_node(
        self,
        node: str,
        seen: Iterable[Checkpoint] = (),
        found: Iterable[Gap | Sighting] = (),
        digest: str | None = None,
        unread: Sequence[Unread] | None = None,
    ) -> None:
        for checkpoint in seen:
            self.kept[checkpoint.generation] = checkpoint
        self.gaps += [one for one in found if isinstance(one, Gap)]
        if digest is not None:
            self.digest = digest
        if unread is not None:
            self.waiting = list(unread)

    def contents(self, objects: dict[str, bytes]) -> dict[str, list[bytes]]:
        """Family -> what is kept of each generation, in the order of writing."""
        families: dict[str, list[bytes]] = {}
        for checkpoint in sorted(self.kept.values(), key=lambda c: (c.family, c.position)):
            mine = sorted((s for s in self.segments if s.generation == checkpoint.generation), key=lambda s: s.start)
            assert [s.start for s in mine] == [0, *[s.end for s in mine[:-1]]][: len(mine)], "segments leave a hole"
            data = b"".join(_plain(objects[s.object], s) for s in mine)
            assert len(data) == checkpoint.kept
            families.setdefault(checkpoint.family, []).append(data)
        return families


def _plain(stored: bytes, segment: Segment) -> bytes:
    return b"".join(decompress_frame(stored[f.offset : f.offset + f.stored]) for f in segment.frames)


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

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)


class BusySource(LogSource):
    """A source whose every call may be preceded by steps of the node."""

    def __init__(self, source: LogSource, meanwhile: Callable[[], None]) -> None:
        self._source = source
        self._meanwhile = meanwhile

    def list(self) -> list[LogFile]:
        self._meanwhile()
        return self._source.list()

    def open(self, name: str) -> OpenLog:
        self._meanwhile()
        return _BusyLog(self._source.open(name), self._meanwhile)


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


@dataclass
class Node:
    """Writes unique lines into families of a directory; `steps` holds the file-system steps that are still to come."""

    directory: Path
    lines: int = 0
    truth: dict[str, list[bytearray]] = field(default_factory=dict)  # family -> its generations, oldest first
    banners: set[str] = field(default_factory=set)
    steps: list[Iterator[None]] = field(default_factory=list)

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
        self._finish_of(family)
        generations = self.truth.setdefault(family, [bytearray()])
        data = b"" if generations[-1] or family not in self.banners else BANNER
        # A generation of nothing but the banner is the same as any other such one: nobody could tell them apart.
        for _ in range(max(count, 1) if data else count):
            self.lines += 1
            data += b"line %d of %s\n" % (self.lines, family.encode())
        if data and not newline:
            data = data[:-1]
        with (self.directory / family).open("ab") as file:
            file.write(data)
        generations[-1] += data

    def rotate(self, family: str, manner: str) -> None:
        """Begin a rotation; its steps follow by `step`. One rotation of a family at a time, as with log4j2."""
        self._finish_of(family)
        if not (self.directory / family).exists():
            self.write(family, 0)
        self.steps.append(getattr(self, f"_{manner}")(family))

    def truncate(self, family: str) -> None:
        self._finish_of(family)
        if (self.directory / family).exists():
            os.truncate(self.directory / family, 0)
            self.truth[family].append(bytearray())

    def delete_oldest(self, family: str) -> None:
        self.finish()
        stem = family.rpartition(".")[0].removesuffix("_server")
        rotated = sorted(self.directory.glob(f"{stem}*-*"), key=_number)
        if rotated:
            rotated[0].unlink()

    def _finish_of(self, _family: str) -> None:
        self.finish()

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
        whole = gzip.compress(plain.read_bytes(), mtime=0)
        with packed.open("ab") as file:
            for start in range(0, len(whole), max(1, len(whole) // 3)):
                file.write(whole[start : start + max(1, len(whole) // 3)])
                file.flush()
                yield
        plain.unlink()
        yield

    def _dated(self, family: str) -> Iterator[None]:
        stem, _, extension = family.rpartition(".")
        stem = stem.removesuffix("_server")
        numbers = [_number(path) for path in self.directory.glob(f"{stem}-2026-11-24-*")]
        yield from self._roll(family, f"{stem}-2026-11-24-{max(numbers, default=0) + 1}.{extension}")

    def _indexed(self, family: str) -> Iterator[None]:
        stem, _, extension = family.rpartition(".")
        used = [n for n in range(1, 5) if self._path(f"{stem}-{n}.{extension}.gz").exists()]
        if len(used) == 4:
            self._path(f"{stem}-1.{extension}.gz").unlink()
            yield
            for n in (2, 3, 4):
                self._path(f"{stem}-{n}.{extension}.gz").rename(self._path(f"{stem}-{n - 1}.{extension}.gz"))
                yield
            used = [1, 2, 3]
        yield from self._roll(family, f"{stem}-{len(used) + 1}.{extension}")

    def _logrotate(self, family: str) -> Iterator[None]:
        if self._path(f"{family}.2.gz").exists():
            self._path(f"{family}.2.gz").rename(self._path(f"{family}.3.gz"))
            yield
        if self._path(f"{family}.1").exists():  # delaycompress
            self._path(f"{family}.1").rename(self._path(f"{family}.2"))
            yield
            packed = gzip.compress(self._path(f"{family}.2").read_bytes(), mtime=0)
            self._path(f"{family}.2.gz").write_bytes(packed[: len(packed) // 2])
            yield
            self._path(f"{family}.2.gz").write_bytes(packed)
            yield
            self._path(f"{family}.2").unlink()
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
        self.truth[family].append(bytearray())
        yield

    def readable(self) -> dict[str, list[int]]:
        """Family -> for each generation how many of its bytes can be read from some file now."""
        contents = [content for path in self.directory.iterdir() if (content := _content(path))]
        return {
            family: [
                max((len(c) for c in contents if len(c) > self._common(family) and bytes(g[: len(c)]) == c), default=0)
                for g in generations
            ]
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


def check_archive(node: Node, kept: dict[str, list[bytes]], required: dict[str, list[int]]) -> None:
    """Each kept generation is the beginning of one that was written, in the same order, once, and long enough."""
    for family, generations in node.truth.items():
        lengths = [0] * len(generations)
        following = 0
        for content in filter(None, kept.get(family, [])):
            number = next((n for n in range(following, len(lengths)) if generations[n].startswith(content)), None)
            assert number is not None, f"{family}: twice, out of order or never written: {content[-60:]!r}"
            lengths[number], following = len(content), number + 1
        for number, needed in enumerate(required.get(family, [])):
            assert lengths[number] >= needed, f"{family}: generation {number}: {lengths[number]} of {needed} bytes kept"
