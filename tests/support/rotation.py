"""A node that writes and rotates logs as real ones do, one file-system operation at a time, and remembers every byte."""

from __future__ import annotations

import gzip
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

BANNER_BYTES = 4096
_LEVELS = ("INFO", "INFO", "INFO", "WARN", "DEBUG", "ERROR")
_KINDS = ("_audit", "_deprecation", "slowlog", "_detailslog")

Range = tuple[int, int]  # bytes [start, end) of all that was ever written to a family


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes [start, end) of `written` that stand in no file any more."""

    start: int
    end: int
    step: int  # value of `SimulatedNode.step` when it happened
    reason: str  # deleted, truncated


@dataclass(slots=True)
class _Family:
    name: str
    written: bytearray = field(default_factory=bytearray)
    files: dict[str, Range] = field(default_factory=dict)  # complete files and what they hold
    open_as: str | None = None  # the file that lines go to; None while a rotation has it closed
    waiting: bytearray = field(default_factory=bytearray)  # lines kept back while it is closed
    rest: bytes = b""  # of a line that was written in part
    lost: list[Lost] = field(default_factory=list)
    rotation: Iterator[str] = field(default_factory=lambda: iter(()))


class SimulatedNode:
    """The log directory of one node.

    `rotate_steps` yields after each operation on the file system, so that a test can look, write or read between any
    two. `written` is what an archive must hold, but for what `lost` says went before it could be read.
    """

    def __init__(
        self, directory: Path, seed: int = 0, *, banner: bool = False, cluster: str = "logs", keep: int = 4
    ) -> None:
        """`keep` is how many rotated files of a log stay, but for those that are called by date, and the JVM's."""
        self.directory = directory
        self._stay = keep
        self.now = datetime(2026, 11, 23, 10, tzinfo=UTC)  # moved on by each line; set it to have another day
        self.step = 0  # operations done so far
        self._random = random.Random(seed)
        self._banner = _banner() if banner else b""  # the same first bytes in every generation
        self._cluster = cluster
        self._families: dict[str, _Family] = {}
        self._count = 0
        self._manners: dict[str, Callable[[_Family], Iterator[str]]] = {
            "index": self._index,
            "dated": self._dated,
            "logrotate": self._logrotate,
            "copytruncate": self._copytruncate,
            "jvm_start": self._jvm_start,
            "truncate": self._truncate,
            "delete": self._delete,
        }

    @property
    def families(self) -> tuple[str, ...]:
        """Those written to so far."""
        return tuple(self._families)

    @property
    def manners(self) -> tuple[str, ...]:
        return tuple(self._manners)

    def write(self, family: str, n_lines: int = 1, newline: bool = True) -> None:
        """Without `newline` the last line is written in part; the next write completes it, wherever that goes."""
        log = self._family(family)
        data = log.rest + b"".join(self._line(family) for _ in range(n_lines))
        cut = len(data) if newline else self._random.randrange(data.rfind(b"\n", 0, -1) + 1, len(data))
        log.waiting += data[:cut]
        log.rest = data[cut:]
        self._flush(log)

    def rotate_steps(self, family: str, manner: str) -> Iterator[str]:
        """Rotate step by step; a rotation that was left unfinished is finished first, as log4j2 waits for its last."""
        # No `yield from`: a caller that stops in between would close the rotation, which is to be gone on with.
        log = self._family(family)
        for step in log.rotation:
            yield step
        log.rotation = steps = self._manners[manner](log)
        for step in steps:
            yield step

    def rotate(self, family: str, manner: str) -> list[str]:
        return list(self.rotate_steps(family, manner))

    def written(self, family: str) -> bytes:
        """Every byte ever written to the family, in order."""
        return bytes(self._families[family].written) if family in self._families else b""

    def lost(self, family: str) -> list[Lost]:
        return list(self._families[family].lost) if family in self._families else []

    def holds(self, family: str) -> dict[str, Range]:
        """The complete files of the family now, and which part of `written` each holds."""
        return dict(self._families[family].files) if family in self._families else {}

    # manners of rotation

    def _index(self, log: _Family) -> Iterator[str]:
        """log4j2's default (fileIndex=max): x-1.json.gz is the oldest, and all shift down once there are `keep`."""
        stem, extension, keep = *os.path.splitext(log.name), self._stay
        present = [n for n in range(1, keep + 1) if f"{stem}-{n}{extension}.gz" in log.files]
        if len(present) == keep:
            yield self._remove(log, f"{stem}-{present.pop(0)}{extension}.gz")
        if keep in present:
            for n in present:
                yield self._rename(log, f"{stem}-{n}{extension}.gz", f"{stem}-{n - 1}{extension}.gz")
            present = [n - 1 for n in present]
        yield from self._roll(log, f"{stem}-{max(present, default=0) + 1}{extension}")

    def _dated(self, log: _Family) -> Iterator[str]:
        """By day and size: <c>_server.json becomes <c>-yyyy-MM-dd-N.json, other logs keep their kind."""
        stem, extension = os.path.splitext(log.name)
        prefix = f"{stem.removesuffix('_server')}-{self.now:%Y-%m-%d}-"
        pattern = re.compile(re.escape(prefix) + r"(\d+)" + re.escape(extension) + r"(\.gz)?")
        used = [int(found[1]) for name in log.files if (found := pattern.fullmatch(name))]
        yield from self._roll(log, f"{prefix}{max(used, default=0) + 1}{extension}")

    def _roll(self, log: _Family, target: str) -> Iterator[str]:
        """What log4j2 does at each roll; lines wait while it renames."""
        log.open_as = None
        yield self._rename(log, log.name, target)
        yield self._create(log)
        yield from self._compress(log, target)

    def _logrotate(self, log: _Family) -> Iterator[str]:
        """`create` and `delaycompress`: the writer goes on into x.log.1 until it is told to open x.log anew."""
        name, keep = log.name, self._stay
        if f"{name}.1" in log.files:
            yield from self._compress(log, f"{name}.1")
        for n in range(keep, 0, -1):
            if f"{name}.{n}.gz" in log.files:
                yield self._rename(log, f"{name}.{n}.gz", f"{name}.{n + 1}.gz")
        yield self._rename(log, name, f"{name}.1")
        self._path(name).touch()
        yield self._done(f"create {name}")
        yield self._create(log)
        if f"{name}.{keep + 1}.gz" in log.files:
            yield self._remove(log, f"{name}.{keep + 1}.gz")

    def _copytruncate(self, log: _Family) -> Iterator[str]:
        """What is written between the last read of the copy and the truncation is lost, as in logrotate."""
        name, keep = log.name, self._stay
        for n in range(keep, 0, -1):
            if f"{name}.{n}" in log.files:
                yield self._rename(log, f"{name}.{n}", f"{name}.{n + 1}")
        start = log.files[name][0]
        half = len(self._path(name).read_bytes()) // 2
        self._path(f"{name}.1").write_bytes(self._path(name).read_bytes()[:half])
        yield self._done(f"copy half of {name}")
        self._path(f"{name}.1").write_bytes(self._path(name).read_bytes())
        log.files[f"{name}.1"] = (start, log.files[name][1])
        yield self._done(f"copy {name}")
        yield from self._truncate(log)
        if f"{name}.{keep + 1}" in log.files:
            yield self._remove(log, f"{name}.{keep + 1}")

    def _jvm_start(self, log: _Family) -> Iterator[str]:
        """gc.log becomes gc.log.NN, where NN tells no age; with all numbers in use the oldest file is replaced."""
        names = [f"{log.name}.{n:02}" for n in range(min(999, max(32, self._stay)))]
        free = [name for name in names if name not in log.files]
        target = self._random.choice(free) if free else min(names, key=lambda name: log.files[name])
        log.open_as = None
        yield self._rename(log, log.name, target)
        yield self._create(log)

    def _truncate(self, log: _Family) -> Iterator[str]:
        os.truncate(self._path(log.name), 0)
        self._forget(log, log.name, "truncated")
        log.files[log.name] = (len(log.written), len(log.written))
        yield self._done(f"truncate {log.name}")

    def _delete(self, log: _Family) -> Iterator[str]:
        """The oldest rotated file goes, as log4j2's Delete action does beyond 2 GB."""
        rotated = [name for name in log.files if name not in (log.name, log.open_as)]
        if rotated:
            yield self._remove(log, min(rotated, key=lambda name: log.files[name]))

    # single operations

    def _rename(self, log: _Family, old: str, new: str) -> str:
        if new in log.files:
            self._forget(log, new, "deleted")
        self._path(old).replace(self._path(new))
        log.files[new] = log.files.pop(old)
        if log.open_as == old:  # an open file is written to under any name
            log.open_as = new
        return self._done(f"rename {old} to {new}")

    def _create(self, log: _Family) -> str:
        """Open the active file (anew) and write what has waited."""
        self._path(log.name).touch()
        log.open_as = log.name
        log.files[log.name] = (len(log.written), len(log.written))
        self._flush(log)
        return self._done(f"open {log.name}")

    def _compress(self, log: _Family, name: str) -> Iterator[str]:
        """name.gz is empty at first, grows in place, and is complete with its trailer; then the plain file goes."""
        packed = gzip.compress(self._path(name).read_bytes(), mtime=0)
        body = len(packed) - 8  # the trailer: checksum and length
        cuts = sorted({0, *(self._random.randrange(body) for _ in range(3)), body, len(packed)})
        path = self._path(f"{name}.gz")
        path.touch()
        yield self._done(f"create {name}.gz")
        for start, end in pairwise(cuts):
            with path.open("ab") as file:
                file.write(packed[start:end])
            if end == len(packed):
                log.files[f"{name}.gz"] = log.files[name]
            yield self._done(f"grow {name}.gz")
        yield self._remove(log, name)

    def _remove(self, log: _Family, name: str) -> str:
        self._path(name).unlink()
        self._forget(log, name, "deleted")
        return self._done(f"delete {name}")

    def _forget(self, log: _Family, name: str, reason: str) -> None:
        """Note what was in this file and is in no other."""
        start, end = log.files.pop(name)
        for other_start, other_end in sorted(log.files.values()):
            if other_start < end and start < other_end:
                if start < other_start:
                    log.lost.append(Lost(start, other_start, self.step, reason))
                start = max(start, other_end)
        if start < end:
            log.lost.append(Lost(start, end, self.step, reason))

    def _flush(self, log: _Family) -> None:
        if log.open_as is None or not log.waiting:
            return
        start, end = log.files[log.open_as]
        data = (self._banner if start == end else b"") + log.waiting
        with self._path(log.open_as).open("ab") as file:
            file.write(data)
        log.written += data
        log.files[log.open_as] = (start, end + len(data))
        log.waiting.clear()

    def _done(self, step: str) -> str:
        self.step += 1
        return step

    def _path(self, name: str) -> Path:
        return self.directory / name

    def _family(self, name: str) -> _Family:
        if name not in self._families:
            self._families[name] = _Family(name)
            self._path(name).parent.mkdir(parents=True, exist_ok=True)
            self._create(self._families[name])
        return self._families[name]

    # lines

    def _line(self, family: str) -> bytes:
        self._count += 1
        self.now += timedelta(milliseconds=self._random.choice((0, 1, 3, 20, 250)))
        message = f"line {self._count:07} {'x' * self._random.choice((0, 10, 40, 300))}"
        return self._form(family, self._random.choice(_LEVELS), message).encode() + b"\n"

    def _form(self, family: str, level: str, message: str) -> str:
        time = self.now.isoformat(timespec="milliseconds")[:23]
        base = family.rpartition("/")[2]
        if base.startswith("gc."):
            return f"[{time}+0000][4711][gc] {message}"
        time = time.replace(".", ",")
        if base.endswith(".json"):
            kind = next((kind.strip("_") for kind in _KINDS if kind in base), "server")
            return (
                f'{{"type": "{kind}", "timestamp": "{time}+0000", "level": "{level}", "component": "o.o.n.Node", '
                f'"cluster.name": "{self._cluster}", "node.name": "n1", "message": "{message}" }}'
            )
        return f"[{time}][{level:<5}][o.o.n.Node              ] [n1] {message}"


def _banner() -> bytes:
    """What a JVM may say in the same words at each start."""
    line = b"[2026-01-01T00:00:00,000][INFO ][o.o.n.Node              ] [n1] "
    return (line.ljust(127, b"=") + b"\n") * (BANNER_BYTES // 128)
