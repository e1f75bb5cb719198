"""Writes what is kept to a directory, and never outside it, whatever names the service sends."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from logkeep.cli.client import Broken, Cluster, Kept, ServiceClient
from logkeep.cli.errors import Failed, ServiceFault, WrongUse
from logkeep.sources.names import name_bytes

_LONGEST_NAME = 255  # bytes


@dataclass(frozen=True, slots=True)
class RestoredFile:
    """A file to be written: its path below the directory, and what it is put together from."""

    label: str  # as the service calls it
    path: Path  # relative
    parts: tuple[Kept, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)


@dataclass(slots=True)
class Outcome:
    """What became of the files of one run."""

    written: list[RestoredFile] = field(default_factory=list[RestoredFile])
    failed: dict[str, str] = field(default_factory=dict[str, str])  # label -> reason
    size: int = 0  # bytes written


class Incomplete(Failed):
    """The service sent less than it keeps."""


def plan_joined(kept: Iterable[Kept]) -> list[RestoredFile]:
    """One file for each family: `<node>/<family>`."""
    families: defaultdict[tuple[str, str], list[Kept]] = defaultdict(list)
    for generation in kept:
        families[generation.node, generation.family].append(generation)
    return _distinct(
        RestoredFile(f"{node}/{family}", _local_path(node, family), tuple(parts))
        for (node, family), parts in families.items()
    )


def plan_files(kept: Iterable[Kept]) -> list[RestoredFile]:
    """One file for each generation: `<node>/<name>`; of several of one name the newest has it, the others `.~1`, …"""
    names: defaultdict[tuple[str, str], list[Kept]] = defaultdict(list)
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


def check_free(directory: Path, files: Sequence[RestoredFile], *, force: bool) -> None:
    """Raise `WrongUse` before anything is written where something is in the way."""
    paths = {file.path for file in files}
    for file in files:
        if clash := next((parent for parent in file.path.parents if parent in paths), None):
            raise WrongUse(f"{file.label}: {clash} is a file of this node too; restore one of them with --family")
        target = directory / file.path
        if target.is_dir() and not target.is_symlink():
            raise WrongUse(f"{target} is a directory; choose another --to")
        if not force and os.path.lexists(target):
            raise WrongUse(f"{target} exists; choose another --to, or overwrite with --force")


def restore_files(
    client: ServiceClient,
    cluster: Cluster,
    directory: Path,
    files: Iterable[RestoredFile],
    *,
    force: bool,
    progress: Callable[[int, str], None],
) -> Outcome:
    """Write one file after the other; one that is damaged does not keep the others from being restored."""
    outcome = Outcome()
    for file in files:
        before = outcome.size

        def count(size: int, label: str = file.label) -> None:
            outcome.size += size
            progress(outcome.size, label)

        try:
            _write(directory, file, _pieces(client, cluster, file, count), force=force)
            outcome.written.append(file)
        except (Broken, Incomplete, ServiceFault) as error:
            outcome.size = before
            outcome.failed[file.label] = str(error)
    return outcome


def _pieces(
    client: ServiceClient, cluster: Cluster, file: RestoredFile, count: Callable[[int], None]
) -> Iterator[bytes]:
    for kept in file.parts:
        received = 0
        with client.read_kept(cluster, kept) as pieces:
            for piece in pieces:
                received += len(piece)
                count(len(piece))
                yield piece
        if received < kept.size:  # more is well: a backup may have gone on since the list was made
            raise Incomplete(f"{received} bytes of {kept.name} came instead of {kept.size}")


def _write(directory: Path, file: RestoredFile, pieces: Iterable[bytes], *, force: bool) -> None:
    """Under another name first, so that a file under its own name is whole."""
    target = directory / file.path
    _make_folders(directory, file.path.parent)
    descriptor, temporary = tempfile.mkstemp(prefix=".logkeep-", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            os.fchmod(descriptor, 0o666 & ~_umask())
            for piece in pieces:
                out.write(piece)
        if not force and os.path.lexists(target):
            raise WrongUse(f"{target} was made by somebody else in the meantime; overwrite it with --force")
        os.replace(temporary, target)  # noqa: PTH105  a link under that name is replaced, not followed
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def _make_folders(directory: Path, relative: Path) -> None:
    """The folders between, none of which may be a link that leads away."""
    directory.mkdir(parents=True, exist_ok=True)
    folder = directory
    for part in relative.parts:
        folder = folder / part
        if folder.is_symlink():
            raise WrongUse(f"{folder} is a link; nothing is written through it; choose another --to")
        folder.mkdir(exist_ok=True)


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _local_path(node: str, name: str) -> Path:
    """The relative path that the text forms of a node and of a name in its log directory stand for."""
    path = name_bytes(node) + b"/" + name_bytes(name)
    parts = path.split(b"/")
    if b"/" in name_bytes(node) or any(part in {b"", b".", b".."} or b"\0" in part for part in parts):
        raise Failed(f"{node}/{name}: the service sent a name that leads out of the directory; nothing was written")
    if any(len(part) > _LONGEST_NAME for part in parts):
        raise Failed(f"{node}/{name}: the name is longer than {_LONGEST_NAME} bytes; nothing was written")
    return Path(os.fsdecode(path))


def _distinct(files: Iterable[RestoredFile]) -> list[RestoredFile]:
    """Two text forms of one name would overwrite each other."""
    found: dict[Path, RestoredFile] = {}
    for file in files:
        if other := found.get(file.path):
            raise Failed(f"{other.label} and {file.label} are one file name; restore one of them with --family")
        found[file.path] = file
    return list(found.values())
