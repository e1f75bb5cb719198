"""Log directories of this machine, `file:///var/log/opensearch`."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote_to_bytes, urlsplit

from logkeep.errors import (
    SettingError,
    SourceFileError,
    SourceRefused,
    SourceUnreachable,
    SourceUnreadable,
    SourceVanished,
)
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog, PassedKind, Tenant
from logkeep.sources.confinement import Confinement, OwnPlaces, Roots
from logkeep.sources.names import MAX_DEPTH, TOO_DEEP, is_log_name, name_bytes, name_text
from logkeep.sources.watched import WatchedSource
from logkeep.watchdog import Watchdog, watch

_T = TypeVar("_T")
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
# On the way nothing is read, which asks for less rights.
_PASS_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_HELD = 32  # folders of which files are opened by turns
_RECENT_SECONDS = 1.0
_GONE = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO}
_FILE_GONE = {*_GONE, errno.ESTALE}  # of a folder that says more: it may be a mount


def source_directory(url: str) -> Path:
    """Return the directory that a `file:` URL names; raises `SettingError`."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
        raise SettingError("a source is written as file:///directory, sftp://user@host/directory or agent:NAME")
    path = Path(os.fsdecode(unquote_to_bytes(parts.path)))
    if not path.is_absolute() or "\0" in str(path):
        raise SettingError("the directory of a source must be absolute, as in file:///var/log/opensearch")
    return path


def settle_url(url: str) -> str:
    """Return a `file:` URL with its links resolved, to which later checks compare. Raises `SettingError`."""
    directory = source_directory(url)
    real = os.path.realpath(directory)
    return url if real == str(directory) else f"file://{quote(os.fsencode(real))}"


class LocalSources:
    """Opens the directories of this machine that a project may read."""

    def __init__(self, roots: Roots, own: Mapping[Path, str], watchdog: Watchdog) -> None:
        """Open only what `roots` allow; `own` describes each path of Logkeep's own."""
        self._roots = roots
        self._own = own
        self._watchdog = watchdog
        self._recent = (-inf, OwnPlaces({}))

    def open(self, url: str, tenant: Tenant, excluded: Callable[[str], bool]) -> LogSource:
        """Open a directory. Raises `SettingError`, `SourceRefused`, or `SourceUnreachable` if it hangs."""
        directory = source_directory(url)

        def open_checked() -> LocalSource:
            places = self._places()
            confinement = Confinement(self._roots.of(tenant, directory, places), places)
            source = LocalSource(directory, excluded, confinement, self._watchdog.note_progress)
            source.check()
            return source

        watched = watch(directory)
        return WatchedSource(self._watchdog.call(watched, open_checked), watched, self._watchdog)

    def _places(self) -> OwnPlaces:
        """Look up Logkeep's own places, at most once a second: that takes 1 ms, and a cluster may have 1000 nodes."""
        found, places = self._recent
        if time.monotonic() - found > _RECENT_SECONDS:
            places = OwnPlaces(self._own)
            self._recent = (time.monotonic(), places)
        return places


class LocalSource(LogSource):
    """Every directory is opened from '/' on without following a link, and held against the rules as it was opened.

    So whatever is moved or linked meanwhile, what is listed and read lies where it was allowed.
    """

    def __init__(
        self,
        directory: Path,
        excluded: Callable[[str], bool] = lambda _name: False,
        confinement: Confinement | None = None,
        note_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Read a directory; `excluded` tells by a base name if a file is no log.

        A listing calls `note_progress` for each entry.
        """
        self._directory = directory
        self._excluded = excluded
        self._confinement = confinement
        self._note_progress = note_progress
        self._checked = set[tuple[Path, int, int]]()  # directories, with device and inode
        self._held: dict[tuple[str, ...], _Folder] | None = None  # those of which files are opened one after the other

    def check(self) -> None:
        """Raise `SourceRefused` unless the directory may be read; judge one that cannot be opened by its path."""
        try:
            with self._opened():
                pass
        except OSError:
            if self._confinement:
                self._confinement.check_directory(self._directory)

    def list(self) -> Listing:
        listing = Listing()
        try:
            with self._opened() as folder:
                self._list_folder(folder, self._directory, "", listing, 0)
        except OSError as error:
            raise SourceUnreachable(
                f"the log directory {self._directory} cannot be listed: {_reason(error)}; "
                "check that it exists on this machine and that the logkeep user may read it"
            ) from error
        return listing

    def _list_folder(self, folder: int, path: Path, prefix: str, listing: Listing, depth: int) -> None:
        excluded = self._excluded
        with os.scandir(folder) as entries:
            for entry in entries:
                self._note_progress()
                if depth > MAX_DEPTH:
                    listing.pass_over(prefix, PassedKind.DEEP, TOO_DEEP)
                    return
                if entry.is_dir(follow_symlinks=False):
                    self._list_below(folder, path / entry.name, prefix, listing, depth)
                elif excluded(entry.name):
                    listing.pass_over(prefix + name_text(entry.name), PassedKind.EXCLUDED)
                elif entry.is_file(follow_symlinks=False):
                    try:
                        seen = entry.stat(follow_symlinks=False)
                    except OSError as error:
                        if error.errno in _FILE_GONE:
                            continue
                        raise
                    listing.append(_log_file(prefix + name_text(entry.name), seen))
                else:
                    kind = PassedKind.LINK if entry.is_symlink() else PassedKind.SPECIAL
                    listing.pass_over(prefix + name_text(entry.name), kind)

    def _list_below(self, folder: int, path: Path, prefix: str, listing: Listing, depth: int) -> None:
        name = f"{prefix}{name_text(path.name)}/"
        if self._excluded(f"{path.name}/"):
            listing.pass_over(name, PassedKind.EXCLUDED)
            return
        try:
            with self._opened_below(folder, path) as inner:
                self._list_folder(inner, path, name, listing, depth + 1)
        except SourceRefused as error:
            listing.pass_over(name, PassedKind.CLOSED, error.message)
        except OSError as error:
            if error.errno not in _GONE:
                listing.pass_over(name, PassedKind.CLOSED, f"{_reason(error)}; {_remedy(error, 'read and enter it')}")

    def open(self, name: str) -> OpenLog:
        *folders, base = parts = name_bytes(name).split(b"/")
        if not is_log_name(parts, self._excluded):
            raise SourceVanished(f"{name} is no log of this directory")
        try:
            opened = _open_file(self._folder(*map(os.fsdecode, folders)), base)
        except OSError as error:
            raise _failed(name, error) from error
        try:
            regular = stat.S_ISREG(os.fstat(opened).st_mode)
        except OSError as error:
            os.close(opened)
            raise _failed(name, error) from error
        if not regular:
            os.close(opened)
            raise SourceVanished(f"{name} is no regular file any more")
        return _OpenLocalLog(name, opened)

    def run(self, action: Callable[[], _T]) -> _T:
        """Hold folders open meanwhile: the way to a file takes two thirds of the time of opening it."""
        self._held = {}
        try:
            return action()
        finally:
            self._held = None

    def _folder(self, *parts: str) -> _Folder:
        """Open the directory, or a folder below it, as it is reached now. Raises `SourceRefused`, `OSError`."""
        held = self._held.get(parts) if self._held else None
        if held and held.is_there():
            return held
        path = self._directory.joinpath(*parts)
        if parts:
            outer = self._folder(*parts[:-1])
            folder = _Folder(path, os.open(parts[-1], _PASS_FOLDER, dir_fd=outer.descriptor))
        else:
            folder = _Folder(path, _open_directory(path, _PASS_FOLDER))
        self._check_folder(path, folder.descriptor)
        if self._held is not None:
            self._held.pop(parts, None)
            if len(self._held) >= _MOST_HELD:
                self._held.pop(next(iter(self._held)))
            self._held[parts] = folder
        return folder

    @contextmanager
    def _opened(self) -> Generator[int]:
        """Open the directory for listing. Raises `SourceRefused`, `OSError`."""
        folder = _open_directory(self._directory, _OPEN_FOLDER)
        try:
            self._check_folder(self._directory, folder)
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _opened_below(self, folder: int, path: Path) -> Generator[int]:
        """Open the folder `path` for listing, from its open parent. Raises `SourceRefused`, `OSError`."""
        inner = os.open(path.name, _OPEN_FOLDER, dir_fd=folder)
        try:
            self._check_folder(path, inner)
            yield inner
        finally:
            os.close(inner)

    def _check_folder(self, path: Path, folder: int) -> None:
        """Raise `SourceRefused` unless an open directory may be read."""
        if not self._confinement:
            return
        seen = os.fstat(folder)
        look = (path, seen.st_dev, seen.st_ino)
        if look in self._checked:
            return
        if path == self._directory:
            self._confinement.check_directory(path, folder)
        else:
            self._confinement.check_folder(path, folder)
        self._checked.add(look)


class _Folder:
    """A directory that is open for whoever uses it, and closed after the last of them."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.descriptor = descriptor
        self._path = str(path)
        self._seen = os.fstat(descriptor)

    def __del__(self) -> None:
        os.close(self.descriptor)

    def is_there(self) -> bool:
        """Return whether its path still leads to it. While it is open, no other directory gets its inode."""
        try:
            return os.path.samestat(self._seen, os.lstat(self._path))
        except OSError:
            return False


class _OpenLocalLog(OpenLog):
    def __init__(self, name: str, opened: int) -> None:
        self._name = name
        self._opened = opened

    def stat(self) -> LogFile:
        try:
            return _log_file(self._name, os.fstat(self._opened))
        except OSError as error:
            raise _failed(self._name, error) from error

    def read_at(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._opened, length, offset)
        except OSError as error:
            raise _failed(self._name, error) from error

    def close(self) -> None:
        os.close(self._opened)


def _open_file(folder: _Folder, base: bytes) -> int:
    if not stat.S_ISREG(os.stat(base, dir_fd=folder.descriptor, follow_symlinks=False).st_mode):
        raise OSError(errno.ENXIO, "no regular file")  # to open a device may do something
    return os.open(base, _OPEN_FILE, dir_fd=folder.descriptor)


def _open_directory(directory: Path, flags: int) -> int:
    """Open a directory with these flags. Raises `SourceRefused` if a part of the path is a link, or `OSError`."""
    parts = directory.parts[1:]
    if ".." in parts:
        raise SourceRefused(f"the directory {directory} has '..' in its path; name it without")
    folder = os.open("/", _PASS_FOLDER if parts else flags)
    for number, part in enumerate(parts, 1):
        outer = folder
        try:
            folder = os.open(part, flags if number == len(parts) else _PASS_FOLDER, dir_fd=outer)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP} and _is_link(part, outer):
                raise _linked(directory, Path("/", *parts[:number])) from error
            raise
        finally:
            os.close(outer)
    return folder


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _linked(directory: Path, link: Path) -> SourceRefused:
    return SourceRefused(
        f"the directory {directory} is reached over the link {link}, and links are followed only when a cluster is "
        f"registered, so that none that is put there later leads elsewhere; where it is right, register the node with "
        f"file://{quote(os.fsencode(os.path.realpath(directory)))}"
    )


def _log_file(name: str, seen: os.stat_result) -> LogFile:
    return LogFile(
        name=name,
        size=seen.st_size,
        mtime_ns=seen.st_mtime_ns,
        ctime_ns=seen.st_ctime_ns,
        inode=f"{seen.st_dev}:{seen.st_ino}",
    )


def _failed(name: str, error: OSError) -> SourceFileError:
    """Translate an error of a file. On a network or FUSE mount, an open file can vanish together with its name."""
    if error.errno in _FILE_GONE:
        return SourceVanished(f"{name} is gone")
    return SourceUnreadable(f"{name!r} cannot be read: {_reason(error)}; {_remedy(error, 'read it')}")


def _remedy(error: OSError, right: str) -> str:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"let the logkeep user {right} (for example by its group)"
    return "check the disk of the node"


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
