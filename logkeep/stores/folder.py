"""A folder of this machine as a bucket.

Not by opendal, which creates a folder that is missing, and so fills the disk under a mount that failed; fsyncs the
file, but not the folders that lead to it; leaves behind what it did not finish; and takes several times as long for a
small object.

Links in the folder are not followed: who can write there could lead a listing in circles or through the whole machine.
The folder itself may be reached over one. It may lie on a mount that hangs, for which no call waits without an end.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

from logkeep.errors import SettingError, StoreDenied, StoreError, StoreUnreachable
from logkeep.stores.base import LARGEST_MANIFEST, StoredObject, put_each, remove_each
from logkeep.stores.failures import GOES_ON, bucket_missing, cut_short, failure, object_missing, too_large
from logkeep.stores.listing import walk
from logkeep.stores.names import UNFINISHED, check_name, check_prefix
from logkeep.stores.probe import try_out
from logkeep.stores.ranges import open_ranges
from logkeep.watchdog import Watchdog, Watched, watch

_T = TypeVar("_T")

_STALLED_SECONDS = 300.0  # a disk that is full or broken stays so, and an fsync behind others may take its time
_OPEN = 32  # files of a batch at the same time
_SYNCS = 8  # at the same time; more are no faster
_PIECE = 16 * 1024 * 1024  # bytes of one call of the system
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


class _Hanging(Exception):
    """A call does not come back."""

    def __init__(self, watched: Watched, began: bool) -> None:
        super().__init__()
        self.point = watched.point
        self.began = began  # the very call; not, where an earlier one hangs


_WATCHDOG = Watchdog(_STALLED_SECONDS, _Hanging)


class FolderStore:
    """An `ObjectStore` in a folder."""

    def __init__(self, folder: Path, where: str) -> None:
        """`where` is the bucket in messages."""
        self._folder = folder
        self._where = where
        self._watched = watch(folder)
        self._durable: set[str] = set()  # folders whose own entries are on the disk

    def __repr__(self) -> str:
        return f"FolderStore({self._where})"

    def check(self) -> None:
        self._call("look", self._expect_folder)
        self._call("list objects", self._remove_abandoned)
        try_out(self, self._where)

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write beside the objects, and move in what is on the disk. A list of chunks takes one call."""
        check_name(name)
        deed = f"write {name!r}"
        if isinstance(chunks, Sequence):
            return self._call(deed, lambda: self._put(name, chunks, _run_here))
        return self._put(name, chunks, partial(self._call, deed))

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        """Write all, then fsync many at the same time, which the disk does together. Each by itself where that fails,
        so that the error is that of the object, and others are stored.
        """
        for name, _ in objects:
            check_name(name)
        try:
            return [*self._call(f"write {len(objects)} objects", lambda: self._put_many(objects))]
        except StoreUnreachable as error:
            return [error] * len(objects)
        except StoreError:
            return put_each(self.put, objects, _SYNCS)

    def get(self, name: str, most: int = LARGEST_MANIFEST, size: int | None = None) -> bytes:
        check_name(name)
        return self._call(f"read {name!r}", lambda: self._get(name, most, size))

    def open(self, name: str) -> BinaryIO:
        check_name(name)
        call = partial(self._call, f"read {name!r}")
        file, size = call(lambda: self._open(name), lambda late: late and late[0].close())

        def read(start: int, most: int) -> bytes:
            return call(lambda: os.pread(file.fileno(), min(most, _PIECE), start))

        def close() -> None:
            with suppress(StoreError):
                call(file.close)

        return open_ranges(f"{name!r} in {self._where}", size, read, close)

    def size(self, name: str) -> int | None:
        check_name(name)
        return self._call(f"look up {name!r}", lambda: self._size(name))

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        self._call("list objects", self._expect_folder)
        return walk(prefix, lambda folder: self._call("list objects", lambda: self._entries(folder, after)), after)

    def delete(self, name: str) -> None:
        check_name(name)
        self._call(f"delete {name!r}", lambda: self._delete(name))

    def remove(self, names: Sequence[str]) -> list[StoreError | None]:
        return remove_each(self.delete, names, _OPEN)

    def _call(self, deed: str, action: Callable[[], _T], late: Callable[[_T | None], object] = lambda _: None) -> _T:
        """Return what `action` returns, unless it hangs; `deed` names it, as in "read 'a/b.zst'"."""
        try:
            return self._call_watched(action, late)
        except _Hanging as error:
            raise StoreUnreachable(
                f"cannot {deed} in {self._where}: it gave no sign of progress for {_STALLED_SECONDS:g} s. See that "
                f"what is mounted at {error.point} answers, or unmount it (`umount -l`) and mount it anew; {GOES_ON}"
            ) from None
        except FileNotFoundError:
            raise bucket_missing(self._where) from None
        except OSError as error:
            raise failure(error, deed, self._where) from error

    def _call_watched(self, action: Callable[[], _T], late: Callable[[_T | None], object]) -> _T:
        try:
            return _WATCHDOG.call(self._watched, action, late)
        except _Hanging as error:
            watched = watch(self._folder)
            if error.began or watched == self._watched:
                raise
        self._watched = watched  # mounted anew
        return _WATCHDOG.call(watched, action, late)

    # Within a call: raise `OSError` or a `StoreError` -------------------------------------------------------------

    def _put(self, name: str, chunks: Iterable[bytes], call: Callable[..., Any]) -> int:
        """Make each step by `call`, which takes what `_call_watched` takes."""
        file: _Unfinished = call(lambda: self._begin(name), _discard)
        try:
            for chunk in chunks:
                call(partial(file.write, chunk))
            return call(lambda: self._finish(file, name))
        except BaseException:
            with suppress(OSError, StoreError):  # a later `check` removes it
                call(file.discard)
            raise

    def _begin(self, name: str) -> _Unfinished:
        """Create the unfinished file of one put, one level at a time, so that a missing bucket is not created."""
        self._expect_folder()
        self._expect_no_link(name)
        unfinished = self._folder / UNFINISHED
        unfinished.mkdir(exist_ok=True)
        return _Unfinished(unfinished / uuid4().hex)

    def _finish(self, file: _Unfinished, name: str) -> int:
        """Return the object's size once it is on the disk under its name."""
        size = file.close()
        self._move_in([file], [name], map)
        return size

    def _put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int]:
        files: list[_Unfinished] = []
        sizes: list[int] = []
        with ThreadPoolExecutor(min(_SYNCS, len(objects)), thread_name_prefix="fsync") as pool:
            try:
                for at in range(0, len(objects), _OPEN):
                    for name, data in objects[at : at + _OPEN]:
                        files.append(self._begin(name))
                        files[-1].write(data)
                    sizes += _noted(pool.map(_Unfinished.close, files[at:]))
                self._move_in(files, [name for name, _ in objects], pool.map)
            except BaseException:
                for file in files:
                    with suppress(OSError):
                        file.discard()
                raise
        return sizes

    def _move_in(self, files: Sequence[_Unfinished], names: Sequence[str], each: Callable[..., Iterator[None]]) -> None:
        """Give files that are on the disk their names, durably: all of them or none."""
        moved: list[Path] = []
        try:
            for file, name in zip(files, names, strict=True):
                try:
                    file.path.rename(self._folder / name)
                except FileNotFoundError:
                    self._make_folders(name)
                    file.path.rename(self._folder / name)
                moved.append(self._folder / name)
            self._make_durable(names, each)
        except BaseException:
            for path in moved:
                with suppress(OSError):  # what is not durable is not there
                    path.unlink()
            raise

    def _make_folders(self, name: str) -> None:
        for part in _folders(name):
            (self._folder / part).mkdir(exist_ok=True)

    def _make_durable(self, names: Iterable[str], each: Callable[..., Iterator[None]]) -> None:
        """Fsync the entries of objects, and once those of the folders above them, whoever created them."""
        folders = {name.rpartition("/")[0] for name in names}
        new = folders - self._durable
        above = {str(part) for folder in new if folder for part in Path(folder).parents}
        for _ in _noted(each(_fsync, [self._folder / folder for folder in sorted(folders | above, reverse=True)])):
            pass
        self._durable |= new

    def _get(self, name: str, most: int, size: int | None) -> bytes:
        file, there = self._open(name)
        with file:
            size = there if size is None else size
            if size > most:
                raise too_large(name, self._where, size, most)
            whole = io.BytesIO()  # which gives what it holds without another copy
            while piece := file.read(min(size - whole.tell(), _PIECE)):
                whole.write(piece)
                _WATCHDOG.note_progress()
            found = whole.getvalue()
        if len(found) < size:
            raise cut_short(name, self._where, len(found), size)
        return found

    def _open(self, name: str) -> tuple[io.FileIO, int]:
        """Return an open object and its size."""
        try:
            file = open(f"{self._folder}/{name}", "rb", buffering=0, opener=_open_readable)  # noqa: SIM115  the caller does
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._expect_folder()
            raise object_missing(name, self._where) from None
        seen = os.fstat(file.fileno())
        if not stat.S_ISREG(seen.st_mode):
            file.close()
            raise object_missing(name, self._where)
        return file, seen.st_size

    def _size(self, name: str) -> int | None:
        try:
            seen = (self._folder / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            self._expect_folder()
            return None
        return seen.st_size if stat.S_ISREG(seen.st_mode) else None

    def _delete(self, name: str) -> None:
        try:
            (self._folder / name).unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._expect_folder()

    def _expect_folder(self) -> None:
        try:
            found = stat.S_ISDIR(self._folder.stat().st_mode)
        except NotADirectoryError:  # a folder on the way to it
            found = False
        if not found:
            raise bucket_missing(self._where)

    def _expect_no_link(self, name: str) -> None:
        """Raise `StoreDenied` if a folder on the way is a link: objects behind it would not be listed."""
        for part in _folders(name):
            try:
                linked = stat.S_ISLNK(os.lstat(f"{self._folder}/{part}").st_mode)
            except (FileNotFoundError, NotADirectoryError):  # the latter is told where it is written
                return
            if linked:
                raise StoreDenied(
                    f"{part!r} in {self._where} is a link, and links in a bucket are not followed. Move "
                    "the folder itself there, or mount it there (mount --bind)."
                )

    def _entries(self, folder: str, after: str) -> list[StoredObject]:
        """List one folder. What is not behind `after` is skipped before it is looked at."""
        found: list[StoredObject] = []
        try:
            with os.scandir(self._folder / folder) as items:
                for item in items:
                    _WATCHDOG.note_progress()
                    name = folder + item.name
                    if (name > after or after.startswith(name)) and (entry := _entry(folder, item)):
                        found.append(entry)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return found

    def _remove_abandoned(self) -> None:
        before = time.time() - _ABANDONED
        with suppress(OSError):  # whether the bucket can be used is not found out here
            for path in (self._folder / UNFINISHED).iterdir():
                with suppress(OSError):  # another process may be at it
                    if path.lstat().st_mtime >= before:
                        continue
                    if path.is_dir():  # by earlier versions
                        shutil.rmtree(path)
                    else:
                        path.unlink()


class _Unfinished:
    """A file that becomes an object as a whole, or is discarded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("xb", buffering=0)

    def write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]
            _WATCHDOG.note_progress()

    def close(self) -> int:
        """Return the file's size once its bytes are on the disk."""
        os.fsync(self._file.fileno())
        size = os.fstat(self._file.fileno()).st_size
        self._file.close()
        return size

    def discard(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


def _discard(late: _Unfinished | None) -> None:
    if late:
        late.discard()


def _run_here(action: Callable[[], _T], _late: object = None) -> _T:
    """Make a step of a put within a call, which is watched as a whole."""
    return action()


def _folders(name: str) -> Iterator[str]:
    """Yield the folders that an object lies in, the outermost first."""
    *parents, _ = accumulate(name.split("/"), "{}/{}".format)
    return iter(parents)


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


def _noted(results: Iterator[_T]) -> Iterator[_T]:
    """Yield results, each of which is progress."""
    for result in results:
        _WATCHDOG.note_progress()
        yield result
