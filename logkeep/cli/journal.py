"""Journal of a restore, a file in its directory, by which an interrupted one resumes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from logkeep.cli.client import decode
from logkeep.contract.native.responses import KeptLine

_DONE = b'{"done":'


class _Done(msgspec.Struct):
    done: str  # label of a file
    size: int


class Journal:
    """Backups go on while a restore does, so the list of what is kept must not be asked for a second time."""

    def __init__(self, directory: Path, question: Sequence[str]) -> None:
        """`question` is all that decides what is restored, and under which names."""
        digest = hashlib.sha256(msgspec.json.encode(question)).hexdigest()[:32]
        self._path = directory / f".logkeep-restore-{digest}.jsonl"
        self.sizes: dict[str, int] = {}  # of files that are done, by label

    def exists(self) -> bool:
        return self._path.is_file()

    def read(self) -> list[KeptLine]:
        """Return the list as it was; fills `sizes`."""
        *lines, _ = self._path.read_bytes().split(b"\n")  # the last line may have been cut off
        for line in lines:
            if line.startswith(_DONE):
                done = decode(line, _Done)
                self.sizes[done.done] = done.size
        return [decode(line, KeptLine) for line in lines if not line.startswith(_DONE)]

    def begin(self, kept: Iterable[KeptLine]) -> None:
        """Take the place of one that is there."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(f".{os.getpid()}")
        with unfinished.open("wb") as out:
            out.writelines(msgspec.json.encode(one) + b"\n" for one in kept)
        unfinished.replace(self._path)

    def add(self, label: str, size: int) -> None:
        """A file is done, or will be with the next system call."""
        with self._path.open("ab") as out:
            out.write(msgspec.json.encode(_Done(label, size)) + b"\n")

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
