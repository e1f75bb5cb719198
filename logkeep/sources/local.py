"""Log directories of this machine, `file:///var/log/opensearch`."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from logkeep.errors import SettingError, SourceUnreachable, SourceUnreadable, SourceVanished
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog, PassedKind
from logkeep.sources.names import MAX_DEPTH, TOO_DEEP, is_log_name, name_bytes, name_text

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_GONE = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO}


def source_directory(url: str) -> Path:
    """The directory that a `file:` URL names; raises `SettingError`."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
        raise SettingError("a source is written as file:///directory, sftp://user@host/directory or agent:NAME")
    path = Path(os.fsdecode(unquote_to_bytes(parts.path)))
    if not path.is_absolute() or "\0" in str(path):
        raise SettingError("the directory of a source must be absolute, as in file:///var/log/opensearch")
    return path


def check_root(directory: Path, roots: tuple[Path, ...]) -> None:
    """Confine a source to `sources.roots` where that is set, links resolved; raises `SettingError`."""
    real = directory.resolve()
    if roots and not any(real.is_relative_to(root.resolve()) for root in roots):
        raise SettingError(f"source {directory}: lies outside sources.roots; add its directory there or move the logs")


class LocalSource(LogSource):
    def __init__(self, directory: Path, excluded: Callable[[str], bool] = lambda _name: False) -> None:
        """`excluded` says of a base name that it is no log."""
        self._directory = directory
        self._excluded = excluded

    def list(self) -> Listing:
        listing = Listing()
        try:
            self._list_folder(str(self._directory), "", listing, 0)
        except OSError as error:
            raise SourceUnreachable(
                f"the log directory {self._directory} cannot be listed: {_reason(error)}; "
                "check that it exists on this machine and that the logkeep user may read it"
            ) from error
        return listing

    def _list_folder(self, path: str, prefix: str, listing: Listing, depth: int) -> None:
        excluded = self._excluded
        with os.scandir(path) as entries:
            for entry in entries:
                if depth > MAX_DEPTH:
                    listing.pass_over(prefix, PassedKind.DEEP, TOO_DEEP)
                    return
                if entry.is_dir(follow_symlinks=False):
                    self._list_below(entry, prefix, listing, depth)
                elif excluded(entry.name):
                    listing.pass_over(prefix + name_text(entry.name), PassedKind.EXCLUDED)
                elif entry.is_file(follow_symlinks=False):
                    try:
                        seen = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    listing.append(_log_file(prefix + name_text(entry.name), seen))
                else:
                    kind = PassedKind.LINK if entry.is_symlink() else PassedKind.SPECIAL
                    listing.pass_over(prefix + name_text(entry.name), kind)

    def _list_below(self, entry: os.DirEntry[str], prefix: str, listing: Listing, depth: int) -> None:
        name = f"{prefix}{name_text(entry.name)}/"
        if self._excluded(f"{entry.name}/"):
            listing.pass_over(name, PassedKind.EXCLUDED)
            return
        try:
            self._list_folder(entry.path, name, listing, depth + 1)
        except OSError as error:
            if error.errno not in _GONE:
                listing.pass_over(name, PassedKind.CLOSED, f"{_reason(error)}; {_remedy(error, 'read and enter it')}")

    def open(self, name: str) -> OpenLog:
        *folders, base = parts = name_bytes(name).split(b"/")
        if not is_log_name(parts, self._excluded):
            raise SourceVanished(f"{name} is no log of this directory")
        try:
            folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for part in folders:
                    inner = os.open(part, _OPEN_FOLDER, dir_fd=folder)
                    os.close(folder)
                    folder = inner
                opened = os.open(base, _OPEN_FILE, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError as error:
            if error.errno in _GONE:
                raise SourceVanished(f"{name} is gone") from error
            raise _unreadable(name, error) from error
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise SourceVanished(f"{name} is no regular file any more")
        return _OpenLocalLog(name, opened)


class _OpenLocalLog(OpenLog):
    def __init__(self, name: str, opened: int) -> None:
        self._name = name
        self._opened = opened

    def stat(self) -> LogFile:
        return _log_file(self._name, os.fstat(self._opened))

    def read_at(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._opened, length, offset)
        except OSError as error:
            raise _unreadable(self._name, error) from error

    def close(self) -> None:
        os.close(self._opened)


def _log_file(name: str, seen: os.stat_result) -> LogFile:
    return LogFile(name, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, f"{seen.st_dev}:{seen.st_ino}")


def _unreadable(name: str, error: OSError) -> SourceUnreadable:
    return SourceUnreadable(f"{name!r} cannot be read: {_reason(error)}; {_remedy(error, 'read it')}")


def _remedy(error: OSError, right: str) -> str:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"let the logkeep user {right} (for example by its group)"
    return "check the disk of the node"


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
