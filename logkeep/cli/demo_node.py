"""A node of the demonstration: a copy of real logs that goes on writing and rotates as log4j2 does."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path

from logkeep.cli.errors import UsageError
from logkeep.logformat.names import NOT_LOGS, LogName, is_compressed, parse_name

_CHUNK = 1024 * 1024
_LINES = 200  # written anew into each log
_TAIL = 64 * 1024  # bytes at the end of a log, from which they are taken
_LARGEST_ROTATED = 256 * 1024 * 1024  # bytes: twice what log4j2 lets a log grow to
_TIME = re.compile(rb"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d([,.])\d{3}")

Digest = tuple[int, str]  # bytes and their sha256


@dataclass(frozen=True, slots=True)
class Copied:
    """Result of copying a directory of logs."""

    files: int
    size: int  # bytes


@dataclass(slots=True)
class Written:
    """Actions of the node between two backups."""

    logs: int = 0  # that were written to
    lines: int = 0
    size: int = 0  # bytes
    rotated: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # name, name of the compressed one

    def add(self, lines: list[bytes]) -> None:
        self.lines += len(lines)
        self.size += sum(map(len, lines))


def copy_logs(source: Path, node: Path, skipped: Callable[[str, str], None]) -> Copied:
    """Copy what are logs; the directory they come from is only read. `skipped` is told name and reason of the rest."""
    files = size = 0
    node.mkdir(parents=True)
    for path in _regular_files(source, skipped):
        name = path.relative_to(source)
        if any(fnmatch(part, pattern) for part in name.parts for pattern in NOT_LOGS):
            skipped(str(name), "is no log")
        elif _copy(path, node / name, lambda reason, name=name: skipped(str(name), reason)):
            files += 1
            size += (node / name).stat().st_size
    if not files:
        raise UsageError(f"{source} holds no logs that can be read; name another directory with --logs")
    return Copied(files, size)


def _regular_files(source: Path, skipped: Callable[[str, str], None]) -> Iterator[Path]:
    def unlisted(error: OSError) -> None:
        skipped(os.fsdecode(error.filename), f"cannot be listed: {error.strerror}")

    for folder, folders, names in os.walk(source, onerror=unlisted):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(names)):
            if path.is_symlink() or not path.is_file():
                skipped(str(path.relative_to(source)), "is no regular file")
            else:
                yield path


def _copy(path: Path, target: Path, skipped: Callable[[str], None]) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        log = path.open("rb")
    except OSError as error:
        skipped(f"cannot be read: {error.strerror}")
        return False
    with log, target.open("wb") as copy:
        shutil.copyfileobj(log, copy, _CHUNK)
    if is_compressed(path.name) and not _is_whole(target):
        target.unlink()
        skipped("is no whole gzip file, and the demonstration compares whole ones")
        return False
    return True


def _is_whole(path: Path) -> bool:
    try:
        for _ in _pieces(path, compressed=True):
            pass
    except (EOFError, OSError, zlib.error):
        return False
    return True


class DemoNode:
    """Simulated log directory of a node."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def logs(self) -> list[tuple[Path, LogName]]:
        """Every file and what its name says."""
        paths = sorted(path for path in self.directory.rglob("*") if path.is_file())
        names = [str(path.relative_to(self.directory)) for path in paths]
        known = set(names)
        return [(path, parse_name(name, known)) for path, name in zip(paths, names, strict=True)]

    def write_and_rotate(self, now: datetime) -> Written:
        """New lines into each active log; in the midst of them, the main ones are rotated."""
        active = [path for path, name in self.logs() if name.active and path.stat().st_size]
        main = _main_logs(active)
        written = Written(logs=len(active))
        for path in active:
            lines = _fresh_lines(path, now)
            half = len(lines) // 2 if path in main else len(lines)
            _append(path, lines[:half])
            if path in main:
                written.rotated.append((path.name, _rotate(path, now)))
                _append(path, lines[half:])
            written.add(lines)
        return written

    def families(self) -> dict[str, Digest]:
        """Return the active file's name of each log, and the content of all its files in the order of writing."""
        families: defaultdict[str, list[tuple[Path, LogName]]] = defaultdict(list)
        for path, name in self.logs():
            families[name.family].append((path, name))
        return {family: digest(_plain_in_order(files)) for family, files in sorted(families.items())}

    def files(self) -> dict[str, Digest]:
        """Return the uncompressed content of each file, by its name without `.gz`."""
        return {name.plain: digest(_plain(path, name)) for path, name in self.logs()}


def digest(pieces: Iterable[bytes]) -> Digest:
    size, sha256 = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        sha256.update(piece)
    return size, sha256.hexdigest()


def digest_file(path: Path) -> Digest | None:
    """None where there is no such file."""
    return digest(_pieces(path)) if path.is_file() else None


def _plain_in_order(files: list[tuple[Path, LogName]]) -> Iterator[bytes]:
    def age(entry: tuple[Path, LogName]) -> tuple[bool, str, tuple[int, str, int]]:
        path, name = entry
        return name.active, _first_line(path) if name.order_by_time else "", name.order

    for path, name in sorted(files, key=age):
        yield from _plain(path, name)


def _plain(path: Path, name: LogName) -> Iterator[bytes]:
    return _pieces(path, compressed=name.compressed)


def _pieces(path: Path, *, compressed: bool = False) -> Iterator[bytes]:
    with gzip.open(path) if compressed else path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _first_line(path: Path) -> str:
    with path.open("rb") as log:
        return log.readline(1024).decode("utf-8", "replace")


def _main_logs(active: list[Path]) -> set[Path]:
    """Return the server's own logs in both forms; without them the largest log that is quickly compressed."""
    small = [path for path in active if path.stat().st_size <= _LARGEST_ROTATED]
    servers = {path for path in small if path.name.endswith("_server.json")}
    twins = {server.with_name(server.name.removesuffix("_server.json") + ".log") for server in servers}
    if servers:
        return servers | (twins & set(small))
    others = [path for path in small if path.suffix in {".log", ".json"} and path.name != "gc.log"]
    return {max(others, key=lambda path: path.stat().st_size)} if others else set()


def _fresh_lines(path: Path, now: datetime) -> list[bytes]:
    """Its last lines once more, each a millisecond later than the one before."""
    with path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - _TAIL))
        lines = log.read().splitlines(keepends=True)
    whole = lines[1:] if size > _TAIL else lines
    return [_at(line, now + timedelta(milliseconds=index)) for index, line in enumerate(whole[-_LINES:])]


def _at(line: bytes, moment: datetime) -> bytes:
    day, time, milliseconds = f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}", f"{moment.microsecond // 1000:03}"
    return _TIME.sub(rf"{day}\g<1>{time}\g<2>{milliseconds}".encode(), line, count=1)


def _append(path: Path, lines: list[bytes]) -> None:
    with path.open("ab") as log:
        log.writelines(lines)


def _rotate(path: Path, now: datetime) -> str:
    """Rename, begin anew, compress, delete, as log4j2 does; the name of the compressed file."""
    stem = path.stem.removesuffix("_server") if path.suffix == ".json" else path.stem
    pattern = re.compile(rf"{re.escape(stem)}-(\d{{4}}-\d\d-\d\d)-(\d+){re.escape(path.suffix)}(?:\.gz)?")
    found = [(match[1], int(match[2])) for other in path.parent.iterdir() if (match := pattern.fullmatch(other.name))]
    day, number = max([(f"{now.astimezone(UTC):%Y-%m-%d}", 0), *found])
    rotated = path.with_name(f"{stem}-{day}-{number + 1}{path.suffix}")
    path.rename(rotated)
    path.touch()
    compressed = rotated.with_name(f"{rotated.name}.gz")
    with rotated.open("rb") as plain, gzip.open(compressed, "wb") as out:
        shutil.copyfileobj(plain, out, _CHUNK)
    rotated.unlink()
    return compressed.name
