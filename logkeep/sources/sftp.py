"""Log directories of other machines over SSH, `sftp://logs@node-1/var/log/opensearch`."""

from __future__ import annotations

import asyncio
import os
import posixpath
import stat
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import asyncssh

from logkeep.errors import SettingError, SourceError, SourceUnreachable, SourceUnreadable, SourceVanished
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog, PassedKind, is_plausible, printable
from logkeep.sources.hosts import Address, AllowedHost, is_below
from logkeep.sources.names import MAX_DEPTH, TOO_DEEP, is_log_name, name_bytes, name_text
from logkeep.sources.ssh import Connection, Connections

_GONE = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory, asyncssh.SFTPLinkLoop)
_PIECE = 1024 * 1024  # bytes that are asked for at a time, at most
_SMALLEST_PIECE = 4 * 1024
_FIRST_PIECE = (
    32 * 1024
)  # the same of a link of which nothing is known: less than that in the time of an answer is none
_HOW = "write it as sftp://user@host/absolute/directory"

_T = TypeVar("_T")


def parse_url(url: str) -> tuple[Address, bytes]:
    """Return address and directory of a source. Raises `SettingError`."""
    try:
        parts = urlsplit(url)
        port = parts.port or 22
    except ValueError as error:
        raise SettingError(f"source: {error}; {_HOW}") from error
    if parts.password is not None:
        raise SettingError("source: no password may stand in a source; Logkeep logs in with the key of sftp.keys")
    directory = unquote_to_bytes(parts.path)
    user = unquote(parts.username or "")
    wrong = parts.scheme != "sftp" or parts.query or parts.fragment or not parts.hostname or not user
    if wrong or not directory.startswith(b"/") or not (user + (parts.hostname or "")).isprintable():
        raise SettingError(f"source: {_HOW}")
    if b"\0" in directory or b".." in directory.split(b"/"):
        raise SettingError("source: the directory must not hold '..'")
    return Address(user, parts.hostname or "", port), posixpath.normpath(b"/" + directory.lstrip(b"/"))


class _Folder(NamedTuple):
    path: bytes
    name: str  # of what lies in it, the beginning
    depth: int  # folders below the log directory


class SftpSources:
    """Opens sources on the hosts that `sftp.hosts` names."""

    def __init__(self, hosts: tuple[str, ...], connections: Connections) -> None:
        """Allow these hosts. Raises `SettingError`."""
        self._allowed = tuple(AllowedHost.parse(host) for host in hosts)
        self._connections = connections

    def open(self, url: str, excluded: Callable[[str], bool] = lambda _name: False) -> SftpSource:
        """Open the source of a URL; connects to nothing yet. Raises `SettingError` if the settings do not allow it."""
        address, directory = parse_url(url)
        allowed = [host for host in self._allowed if host.allows(address, directory)]
        if not allowed:
            shown = os.fsdecode(directory)
            raise SettingError(
                f"source sftp://{address}{shown}: is not allowed by sftp.hosts; "
                f"add '{address.host}' or '{address.host}:{shown}' there"
            )
        roots = () if any(not host.directory for host in allowed) else tuple(host.directory for host in allowed)
        return SftpSource(
            connections=self._connections, address=address, directory=directory, excluded=excluded, roots=roots
        )

    def close(self) -> None:
        self._connections.close()


class SftpSource(LogSource):
    """SFTP tells neither inodes nor the time of the last change of a name, and times in whole seconds."""

    remote = True

    def __init__(
        self,
        connections: Connections,
        address: Address,
        directory: bytes,
        excluded: Callable[[str], bool],
        roots: tuple[bytes, ...] = (),
    ) -> None:
        """Read a directory, confined to `roots` with links resolved; no roots means no confinement."""
        self._connections = connections
        self._address = address
        self._directory = directory
        self._excluded = excluded
        self._roots = roots

    def list(self) -> Listing:
        return self._connections.run(self._address, self._list)

    def open(self, name: str) -> OpenLog:
        parts = name_bytes(name).split(b"/")
        if not is_log_name(parts, self._excluded):
            raise SourceVanished(f"{name} is no log of this directory")

        async def opened(connection: Connection) -> _OpenSftpLog:
            # Asked at once, as each answer takes its time; the file is not opened before all have come.
            await asyncio.gather(self._check_root(connection), self._check_kinds(connection, name, parts))
            return await self._open(connection, name, parts)

        return self._connections.run(self._address, opened)

    async def _list(self, connection: Connection) -> Listing:
        listing = Listing()
        try:
            await self._check_root(connection)
            waiting = [_Folder(self._directory, "", 0)]
            while waiting:
                folder = waiting.pop()
                try:
                    waiting += await self._list_folder(connection, folder, listing)
                except asyncssh.SFTPError as error:
                    if not folder.depth or _is_lost(error):
                        raise
                    if not isinstance(error, _GONE):
                        listing.pass_over(folder.name, PassedKind.CLOSED, self._remedy(error))
        except asyncssh.SFTPError as error:
            if _is_lost(error):
                raise
            raise SourceUnreachable(
                f"the log directory {os.fsdecode(self._directory)} of {self._address} cannot be listed: "
                f"{printable(error.reason)}; check that it exists there, and that the user {self._address.user} may "
                "read it"
            ) from error
        return listing

    def _remedy(self, error: asyncssh.SFTPError) -> str:
        return (
            f"{printable(error.reason)}; let the user {self._address.user} read and enter it (for example by its group)"
        )

    async def _list_folder(self, connection: Connection, folder: _Folder, listing: Listing) -> list[_Folder]:
        """Add the files of a folder to the listing; return the folders below."""
        below: list[_Folder] = []
        empty = True
        async for entry in connection.sftp.scandir(folder.path):
            empty = False
            part = bytes(entry.filename)  # pyright: ignore[reportArgumentType]  bytes, as the path that was asked for
            if part in {b"", b".", b".."} or b"/" in part:
                continue
            if folder.depth > MAX_DEPTH:
                listing.pass_over(folder.name, PassedKind.DEEP, TOO_DEEP)
                break
            text = os.fsdecode(part)
            name = folder.name + name_text(text)
            attributes = await self._all_told(connection, name, folder.path + b"/" + part, entry.attrs)
            if attributes is None:
                continue  # it went
            if _is(attributes, stat.S_ISDIR):
                if self._excluded(f"{text}/"):
                    listing.pass_over(f"{name}/", PassedKind.EXCLUDED)
                else:
                    below.append(_Folder(folder.path + b"/" + part, f"{name}/", folder.depth + 1))
            elif self._excluded(text):
                listing.pass_over(name, PassedKind.EXCLUDED)
            elif _is(attributes, stat.S_ISREG):
                listing.append(_log_file(name, attributes))
            else:
                listing.pass_over(name, PassedKind.LINK if _is(attributes, stat.S_ISLNK) else PassedKind.SPECIAL)
        if (
            empty
        ):  # servers leave out what they may not look at: not even itself is shown of one that may not be entered
            await connection.sftp.lstat(folder.path + b"/.")
        return below

    async def _all_told(
        self, connection: Connection, name: str, path: bytes, attributes: asyncssh.SFTPAttrs
    ) -> asyncssh.SFTPAttrs | None:
        """Return the attributes of a file; None if it has vanished.

        Version 3 of the protocol lets a listing omit any of them, so the server is asked again for those. Raises
        `SourceUnreachable` if it omits them again.
        """
        if not _left_out(attributes):
            return attributes
        try:
            attributes = await connection.sftp.lstat(path)
        except _GONE:
            return None
        _check_told(self._address, name, attributes)
        return attributes

    async def _open(self, connection: Connection, name: str, parts: list[bytes]) -> _OpenSftpLog:
        """Open a file that was a regular one, and check that it still is.

        SFTP has no way to refuse links, and to open a pipe would block the server.
        """
        with _translated(name):
            file = await connection.sftp.open(b"/".join([self._directory, *parts]), "rb")
        connection.take()
        log = _OpenSftpLog(
            connections=self._connections, address=self._address, connection=connection, file=file, name=name
        )
        try:
            await self._check_kinds(connection, name, parts)
        except BaseException:
            log.close()
            raise
        return log

    async def _check_kinds(self, connection: Connection, name: str, parts: list[bytes]) -> None:
        """Check that a name leads to a regular file by folders only. Raises a `SourceError`."""
        paths = [b"/".join([self._directory, *parts[:count]]) for count in range(1, len(parts) + 1)]
        with _translated(name):
            found = await asyncio.gather(*(connection.sftp.lstat(path) for path in paths))
        for seen in found:
            _check_told(self._address, name, seen)
            if not _is(seen, stat.S_ISREG if seen is found[-1] else stat.S_ISDIR):
                raise SourceVanished(f"{name} is no regular file any more")

    async def _check_root(self, connection: Connection) -> None:
        if not self._roots:
            return
        real, *roots = await asyncio.gather(
            *(connection.sftp.realpath(path) for path in (self._directory, *self._roots))
        )
        if not any(is_below(real, root) for root in roots):  # pyright: ignore[reportArgumentType]  bytes, as asked
            raise SourceUnreachable(
                f"the log directory {os.fsdecode(self._directory)} of {self._address} leads outside sftp.hosts "
                f"to {os.fsdecode(real)}; add that one there"
            )


class _OpenSftpLog(OpenLog):
    def __init__(
        self,
        connections: Connections,
        address: Address,
        connection: Connection,
        file: asyncssh.SFTPClientFile,
        name: str,
    ) -> None:
        self._connections = connections
        self._address = address
        self._connection = connection
        self._file = file
        self._name = name
        self._closed = False
        self._piece = _FIRST_PIECE

    def stat(self) -> LogFile:
        attributes = self._ask(self._file.stat)
        _check_told(self._address, self._name, attributes)
        file = _log_file(self._name, attributes)
        if not is_plausible(file):
            raise SourceUnreachable(f"{self._address} tells a size or time of {self._name} that no file has")
        return file

    def read_at(self, offset: int, length: int) -> bytes:
        wanted, began = min(length, self._piece), time.monotonic()
        data: bytes = self._ask(lambda: self._file.read(wanted, offset))  # pyright: ignore[reportUnknownLambdaType]
        if wanted == self._piece:
            self._learn(time.monotonic() - began)
        if len(data) > length:
            raise SourceUnreachable(f"{self._address} answers with more of {self._name} than it was asked for")
        return data

    def _learn(self, seconds: float) -> None:
        """Ask for less at a time over a slow link, so that each answer comes within the time-out."""
        if seconds > self._connections.timeout_seconds / 8:
            self._piece = max(_SMALLEST_PIECE, self._piece // 2)
        elif seconds < self._connections.timeout_seconds / 32:
            self._piece = min(_PIECE, self._piece * 2)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._connections.give_back(self._connection, self._file.close)

    def _ask(self, question: Callable[[], Awaitable[_T]]) -> _T:
        async def asked(_connection: Connection) -> _T:
            with _translated(self._name):
                return await question()

        return self._connections.run(self._address, asked, self._connection)


@contextmanager
def _translated(name: str) -> Generator[None]:
    """Translate errors of one file into a `SourceFileError`."""
    try:
        yield
    except asyncssh.SFTPError as error:
        if _is_lost(error):
            raise
        raise _file_error(name, error) from error


def _file_error(name: str, error: asyncssh.SFTPError) -> SourceError:
    if isinstance(error, _GONE):
        return SourceVanished(f"{name} is gone")
    remedy = (
        "let the user of the source read it (for example by its group)"
        if isinstance(error, asyncssh.SFTPPermissionDenied)
        else "check the disk of the node"
    )
    return SourceUnreadable(f"{name!r} cannot be read: {printable(error.reason)}; {remedy}")


def _is_lost(error: asyncssh.SFTPError) -> bool:
    return isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection)


def _left_out(attributes: asyncssh.SFTPAttrs) -> list[str]:
    told = {"kind": attributes.permissions, "size": attributes.size, "time": attributes.mtime}
    return [what for what, value in told.items() if value is None]


def _check_told(address: Address, name: str, attributes: asyncssh.SFTPAttrs) -> None:
    if left_out := _left_out(attributes):
        raise SourceUnreachable(
            f"the SFTP server of {address} does not tell the {' and '.join(left_out)} of {name}, without which no log "
            "can be told from another file; use another SFTP server there, as `internal-sftp` of OpenSSH, or an agent"
        )


def _is(attributes: asyncssh.SFTPAttrs, kind: Callable[[int], bool]) -> bool:
    return attributes.permissions is not None and kind(attributes.permissions)


def _log_file(name: str, attributes: asyncssh.SFTPAttrs) -> LogFile:
    mtime_ns = int(attributes.mtime or 0) * 1_000_000_000 + (attributes.mtime_ns or 0)
    return LogFile(name=name, size=attributes.size or 0, mtime_ns=mtime_ns, ctime_ns=0, inode="")
