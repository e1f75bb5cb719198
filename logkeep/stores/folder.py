"""A folder of this machine as a bucket: what opendal leaves open there is closed here.

Opendal creates a folder that is missing, and so fills the disk under a mount that failed. It fsyncs the file, but not
the folders that lead to it. A write that fails or is given up leaves its unfinished file behind. It lists slowly.

Links in the folder are not followed: who can write there could lead a listing in circles or through the whole machine.
The folder itself may be reached over one.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from logkeep.errors import SettingError, StoreDenied, StoreError
from logkeep.stores.base import LARGEST_MANIFEST, ObjectStore, StoredObject
from logkeep.stores.failures import bucket_missing, cut_short, failure, object_missing, too_large
from logkeep.stores.listing import walk
from logkeep.stores.names import UNFINISHED, check_name, check_prefix
from logkeep.stores.trial import try_out

_PIECE = 16 * 1024 * 1024  # bytes; a system call reads at most 2 GiB
_ABANDONED = 2 * 24 * 3600  # seconds; what a killed process left, and no upload lasts so long


def create_folder(folder: Path) -> None:
    """Create the folder of a bucket durably; leave an existing one as it is.

    Other users have no access: nodes too show their logs to their own group only.
    """
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in missing:
            _fsync(path.parent)
    except OSError as error:
        raise SettingError(f"the bucket {folder.as_uri()} cannot be created: {error.strerror}") from error


class FolderStore:
    """An `ObjectStore` over stores that `connect` opens on the same folder."""

    def __init__(self, folder: Path, connect: Callable[[Path | None], ObjectStore]) -> None:
        """Use `connect` to open stores on the folder: with a folder for unfinished files to write, None to read."""
        self._folder = folder
        self._connect = connect
        self._durable: set[str] = set()  # folders whose own entries are on the disk

    def __repr__(self) -> str:
        return f"FolderStore({self._folder.as_uri()})"

    def check(self) -> None:
        self._expect_folder()
        self._remove_abandoned()
        try_out(self, self._folder.as_uri())

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        check_name(name)
        self._expect_folder()
        self._expect_no_link(name)
        unfinished = self._unfinished()
        try:
            size = self._connect(unfinished).put(name, chunks)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        self._make_durable(name)
        return size

    def get(self, name: str, most: int = LARGEST_MANIFEST, size: int | None = None) -> bytes:
        """Read without opendal, whose read takes longer than a `put`: a small read before puts proves the bucket."""
        check_name(name)
        self._expect_folder()
        try:
            return self._read(name, most, size)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._expect_folder()
            raise object_missing(name, self._folder.as_uri()) from None
        except OSError as error:
            raise self._failure(error, f"read {name!r}") from error

    def open(self, name: str) -> BinaryIO:
        return self._reader().open(name)

    def size(self, name: str) -> int | None:
        return self._reader().size(name)

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        self._expect_folder()
        return walk(prefix, partial(self._entries, after=after), after)

    def delete(self, name: str) -> None:
        self._reader().delete(name)

    def _read(self, name: str, most: int, size: int | None) -> bytes:
        with open(f"{self._folder}/{name}", "rb", buffering=0, opener=_open_readable) as file:
            seen = os.fstat(file.fileno())
            if not stat.S_ISREG(seen.st_mode):
                raise object_missing(name, self._folder.as_uri())
            size = seen.st_size if size is None else size
            if size > most:
                raise too_large(name, self._folder.as_uri(), size, most)
            whole = io.BytesIO()  # which gives what it holds without another copy
            while piece := file.read(min(size - whole.tell(), _PIECE)):
                whole.write(piece)
            found = whole.getvalue()
        if len(found) < size:
            raise cut_short(name, self._folder.as_uri(), len(found), size)
        return found

    def _reader(self) -> ObjectStore:
        """Return the store for everything but writing."""
        self._expect_folder()
        return self._connect(None)

    def _expect_folder(self) -> None:
        try:
            if not stat.S_ISDIR(self._folder.stat().st_mode):
                raise bucket_missing(self._folder.as_uri())
        except OSError as error:
            raise self._failure(error, "look") from error

    def _expect_no_link(self, name: str) -> None:
        """Raise `StoreDenied` if a folder on the way is a link: objects behind it would not be listed."""
        *parents, _ = accumulate(name.split("/"), "{}/{}".format)
        for part in parents:
            try:
                linked = stat.S_ISLNK(os.lstat(f"{self._folder}/{part}").st_mode)
            except (FileNotFoundError, NotADirectoryError):  # the latter is told where it is written
                return
            except OSError as error:
                raise self._failure(error, "write") from error
            if linked:
                raise StoreDenied(
                    f"{part!r} in {self._folder.as_uri()} is a link, and links in a bucket are not followed. Move "
                    "the folder itself there, or mount it there (mount --bind)."
                )

    def _entries(self, folder: str, after: str) -> list[StoredObject]:
        """List without opendal, which takes twelve times as long and holds the interpreter's lock meanwhile.

        What is not behind `after` is skipped before it is looked at: of a cluster's manifests that is almost all.
        """
        try:
            with os.scandir(self._folder / folder) as found:
                behind = (item for item in found if folder + item.name > after or after.startswith(folder + item.name))
                return [entry for item in behind if (entry := _entry(folder, item))]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._failure(error, "list objects") from error

    def _unfinished(self) -> Path:
        """Create a folder for the unfinished file of one put.

        It is created one level at a time, so that a missing bucket is not created.
        """
        mine = self._folder / UNFINISHED / uuid4().hex
        try:
            mine.parent.mkdir(exist_ok=True)
            mine.mkdir()
        except OSError as error:
            raise self._failure(error, "write") from error
        return mine

    def _make_durable(self, name: str) -> None:
        """Fsync the entry of the object, and once the entries of the folders above it, whoever created them."""
        folder = name.rpartition("/")[0]
        try:
            _fsync(self._folder / folder)
            if folder not in self._durable:
                for part in Path(folder).parents if folder else ():
                    _fsync(self._folder / part)
                self._durable.add(folder)
        except OSError as error:
            with suppress(OSError):  # what is not durable is not there
                (self._folder / name).unlink()
            raise self._failure(error, f"write {name!r}") from error

    def _remove_abandoned(self) -> None:
        before = time.time() - _ABANDONED
        with suppress(OSError):  # whether the bucket can be used is not found out here
            for path in (self._folder / UNFINISHED).iterdir():
                with suppress(OSError):  # another process may be at it
                    if path.stat().st_mtime < before:
                        shutil.rmtree(path)

    def _failure(self, error: OSError, deed: str) -> StoreError:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return bucket_missing(self._folder.as_uri())
        return failure(error, deed, self._folder.as_uri())


def _entry(folder: str, item: os.DirEntry[str]) -> StoredObject | None:
    """Return None for what is neither a file nor a folder, such as a link, or no longer exists."""
    if item.is_dir(follow_symlinks=False):
        return StoredObject(f"{folder}{item.name}/", 0)
    with suppress(FileNotFoundError):
        if item.is_file(follow_symlinks=False):
            found = item.stat(follow_symlinks=False)
            return StoredObject(f"{folder}{item.name}", found.st_size, found.st_mtime_ns // 1_000_000)
    return None


def _open_readable(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe that somebody put there is not waited for


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
