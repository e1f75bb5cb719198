"""Writes what is kept to a directory, and never outside it, whatever names the service sends."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from logkeep.cli.client import Broken, NotAnswering
from logkeep.cli.download import Download, Incomplete, drop_first
from logkeep.cli.errors import CommandFailed, ServiceFault, UsageError
from logkeep.cli.journal import Journal
from logkeep.contract.native.responses import KeptLine
from logkeep.sources.names import name_bytes

_BUFFER = 1024 * 1024  # bytes; pieces that come are 64 KiB
_LONGEST_NAME = 255  # bytes


@dataclass(frozen=True, slots=True)
class RestoredFile:
    """A file to be written: its path below the directory, and what it is put together from."""

    label: str  # as the service calls it
    path: Path  # relative
    parts: tuple[KeptLine, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def timed(self) -> bool:
        """Return whether the records of each part have known times."""
        return all(part.timed for part in self.parts)

    @property
    def expected(self) -> int:
        """About how many bytes will come."""
        return sum(part.expected for part in self.parts)


@dataclass(slots=True)
class Outcome:
    """Result of one run, by file."""

    files: list[tuple[RestoredFile, int]] = field(default_factory=list[tuple[RestoredFile, int]])  # and their bytes
    there: int = 0  # how many of them an earlier run had written
    failed: dict[str, str] = field(default_factory=dict[str, str])  # label -> reason
    received: int = 0  # bytes that came in this run

    @property
    def size(self) -> int:
        return sum(size for _, size in self.files)


def plan_joined(kept: Iterable[KeptLine]) -> list[RestoredFile]:
    """One file for each family: `<node>/<family>`."""
    families: defaultdict[tuple[str, str], list[KeptLine]] = defaultdict(list)
    for generation in kept:
        families[generation.node, generation.family].append(generation)
    return _distinct(
        RestoredFile(f"{node}/{family}", _local_path(node, family), tuple(parts))
        for (node, family), parts in families.items()
    )


def plan_files(kept: Iterable[KeptLine]) -> list[RestoredFile]:
    """One file for each generation: `<node>/<name>`; of several of one name the newest has it, the others `.~1`, …"""
    names: defaultdict[tuple[str, str], list[KeptLine]] = defaultdict(list)
    for generation in kept:
        names[generation.node, generation.name].append(generation)
    files: list[RestoredFile] = []
    taken = set(names)
    for (node, name), generations in names.items():
        number = 0
        for generation in generations[:-1]:
            number += 1
            while (node, f"{name}.~{number}") in taken:
                number += 1
            older = f"{name}.~{number}"
            files.append(RestoredFile(f"{node}/{older}", _local_path(node, older), (generation,)))
        files.append(RestoredFile(f"{node}/{name}", _local_path(node, name), (generations[-1],)))
    return _distinct(files)


def check_free(
    directory: Path, files: Sequence[RestoredFile], *, force: bool, there: Collection[str] = (), resumable: bool = False
) -> None:
    """Raise `UsageError` where something is in the way, before anything is written; `there` labels what stays."""
    paths = {file.path for file in files}
    for file in files:
        if clash := next((parent for parent in file.path.parents if parent in paths), None):
            raise UsageError(f"{file.label}: {clash} is a file of this node too; restore one of them with --family")
        target = directory / file.path
        if target.is_dir() and not target.is_symlink():
            raise UsageError(f"{target} is a directory; choose another --to")
        if not force and file.label not in there and os.path.lexists(target):
            go_on = "go on with what was interrupted by --resume, " if resumable else ""
            raise UsageError(f"{target} exists; choose another --to, {go_on}or overwrite with --force")


class Restore:
    """Writes files to a directory, one after the other; an earlier run may have begun."""

    def __init__(
        self, download: Download, directory: Path, *, force: bool, journal: Journal | None = None, mode: int = 0o600
    ) -> None:
        self._mode = mode
        self._download = download
        self._directory = directory
        self._force = force
        self._journal = journal

    def find_there(self, files: Iterable[RestoredFile]) -> dict[str, int]:
        """Which files an earlier run has finished, by label, and their sizes."""
        found = {file.label: self._finished(file) for file in files}
        return {label: size for label, size in found.items() if size is not None}

    def count_begun(self, file: RestoredFile) -> int:
        """Bytes of a file that an earlier run has begun."""
        part = self._part(file)
        return part.stat().st_size if self._download.exact and part.is_file() else 0

    def write(
        self,
        files: Iterable[RestoredFile],
        progress: Callable[[int, str], None],
        *,
        there: Mapping[str, int],
        resume: bool = False,
    ) -> Outcome:
        """A file that is damaged does not keep the others from being restored. `progress` is told what came."""
        outcome = Outcome(there=len(there))
        for file in files:
            if file.label in there:
                outcome.files += [(file, there[file.label])] if there[file.label] or self._download.exact else []
                continue

            def count(size: int, label: str = file.label) -> None:
                outcome.received += size
                progress(outcome.received, label)

            try:
                size = self._write_file(file, count, resume=resume)
                outcome.files += [(file, size)] if size or self._download.exact else []
            except (Broken, NotAnswering, Incomplete, ServiceFault) as error:
                outcome.failed[file.label] = str(error)
        return outcome

    def _finished(self, file: RestoredFile) -> int | None:
        """Return the size of a whole file, None for one that is not whole."""
        known = self._journal.sizes.get(file.label) if self._journal else None
        size = file.size if self._download.exact else known
        if size == 0 and not self._download.exact:
            return 0  # nothing of it is of the span, so there is no file
        with suppress(FileNotFoundError, NotADirectoryError):
            found = (self._directory / file.path).lstat()
            if stat.S_ISREG(found.st_mode) and found.st_size == size:
                return size
        return None

    def _write_file(self, file: RestoredFile, count: Callable[[int], None], *, resume: bool) -> int:
        """Under another name first, so that a file under its own name is whole; its size."""
        target, part = self._directory / file.path, self._part(file)
        _make_folders(self._directory, file.path.parent)
        with _open_part(part) as out:
            size = out.seek(0, os.SEEK_END) if resume else 0
            size = size if size <= file.size or not self._download.exact else 0
            out.seek(size)
            out.truncate()
            try:
                for piece in self._pieces(file, size):
                    out.write(piece)
                    size += len(piece)
                    count(len(piece))
                out.flush()
            except BaseException:
                if not size:
                    part.unlink()
                raise
            os.fchmod(out.fileno(), self._mode)
            self._put_in_place(file, part, target, size)
        return size

    def _put_in_place(self, file: RestoredFile, part: Path, target: Path, size: int) -> None:
        if not self._force and os.path.lexists(target):
            raise UsageError(f"{target} was made by somebody else in the meantime; overwrite it with --force")
        if self._journal:
            self._journal.add(file.label, size)
        if size or self._download.exact:
            part.replace(target)  # a link under that name is replaced, not followed
        else:
            part.unlink()

    def _pieces(self, file: RestoredFile, done: int) -> Iterator[bytes]:
        """Yield the bytes of a file after the first `done`."""
        if not self._download.exact:
            yield from drop_first((piece for kept in file.parts for piece in self._download.read(kept)), done)
            return
        for kept in file.parts:
            yield from self._download.read(kept, min(done, kept.size))
            done -= min(done, kept.size)

    def _part(self, file: RestoredFile) -> Path:
        """A name that tells what it is made of, so that a file is never continued with something else."""
        made_of = [(kept.node, kept.generation, kept.start, kept.end) for kept in file.parts]
        download = self._download
        content = (download.cluster.id, download.since, download.until, file.label, made_of)
        digest = hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:32]
        return (self._directory / file.path).with_name(f".logkeep-{digest}.part")


@contextmanager
def _open_part(path: Path) -> Generator[BinaryIO]:
    """For this process alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b", _BUFFER) as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another restore is writing {path.parent}; wait for it, or choose another --to") from None
        yield out


def _make_folders(directory: Path, relative: Path) -> None:
    """Make the folders between; none of them may be a link that leads away."""
    directory.mkdir(parents=True, exist_ok=True)
    folder = directory
    for part in relative.parts:
        folder = folder / part
        if folder.is_symlink():
            raise UsageError(f"{folder} is a link; nothing is written through it; choose another --to")
        folder.mkdir(exist_ok=True)


def _local_path(node: str, name: str) -> Path:
    """Return the relative path for the text forms of a node and of a name in its log directory."""
    path = name_bytes(node) + b"/" + name_bytes(name)
    parts = path.split(b"/")
    if b"/" in name_bytes(node) or any(part in {b"", b".", b".."} or b"\0" in part for part in parts):
        raise CommandFailed(
            f"{node}/{name}: the service sent a name that leads out of the directory; nothing was written"
        )
    if any(len(part) > _LONGEST_NAME for part in parts):
        raise CommandFailed(f"{node}/{name}: the name is longer than {_LONGEST_NAME} bytes; nothing was written")
    return Path(os.fsdecode(path))


def _distinct(files: Iterable[RestoredFile]) -> list[RestoredFile]:
    """Two text forms of one name would overwrite each other."""
    found: dict[Path, RestoredFile] = {}
    for file in files:
        if other := found.get(file.path):
            raise CommandFailed(f"{other.label} and {file.label} are one file name; restore one of them with --family")
        found[file.path] = file
    return list(found.values())
