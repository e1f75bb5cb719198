"""What Logkeep asks of the place where a node's logs lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from logkeep.errors import InvalidField, SourceUnreachable, writable

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Tenant:
    """For whom a source is read."""

    project: str  # name
    alone: bool  # there is no other project


class LogFile(NamedTuple):
    """One file as the listing shows it. All but the name are hints that save reading, never proof of identity."""

    name: str  # text form of the relative path, see `sources.names`
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int  # 0 where the source has none
    inode: str  # same for two names of one file; '' where the source has none


class PassedKind(StrEnum):
    """Why something that lies in a log directory is not among its files."""

    CLOSED = "closed"  # a folder that cannot be listed
    DEEP = "deep"  # a folder that lies deeper than `names.MAX_DEPTH` and holds something
    LINK = "link"
    SPECIAL = "special"  # neither file nor folder nor link
    EXCLUDED = "excluded"  # by `sources.exclude`


class Passed(NamedTuple):
    """Something that was passed over."""

    name: str  # in text form; that of a folder ends in '/'
    kind: PassedKind
    why: str = ""  # what is wrong with a CLOSED or DEEP one and what to do, as the end of a sentence


MOST_FILES = 100_000  # that a directory may hold; a node keeps some hundreds
_LARGEST = 2**63 - 1  # of sizes and times, as a database holds them
_NAMED = 20  # of links and others that no backup fails or warns for


class Listing(list[LogFile]):
    """The files of a directory, and what else lies in it."""

    def __init__(self, files: Iterable[LogFile] = ()) -> None:
        super().__init__(files)
        self._seen = len(self)
        self.passed: list[Passed] = []  # all CLOSED and DEEP, and the first few of each other kind
        self.counts: dict[PassedKind, int] = {}

    def append(self, file: LogFile) -> None:
        """Add a file. Raises `SourceUnreachable` for values that no file has, as a source may send anything."""
        self._count()
        if not is_plausible(file):
            raise SourceUnreachable(f"{file.name[:100]!r} is listed with a size, time or inode that no file has")
        super().append(file)

    def _count(self) -> None:
        self._seen += 1
        if self._seen > MOST_FILES:
            raise SourceUnreachable(
                f"the log directory holds more than {MOST_FILES} files; see that it is the right one, and clear it"
            )

    def pass_over(self, name: str, kind: PassedKind, why: str = "") -> None:
        self._count()
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        if count <= _NAMED or kind in {PassedKind.CLOSED, PassedKind.DEEP}:
            self.passed.append(Passed(name, kind, writable(why)))

    def with_files(self, files: Iterable[LogFile]) -> Listing:
        """Return a listing of other files, with the same entries passed over."""
        listing = Listing(files)
        listing.passed, listing.counts = self.passed, self.counts
        return listing


def is_plausible(file: LogFile) -> bool:
    """Return whether a file can have these values, and a database store them."""
    return (
        0 <= file.size <= _LARGEST
        and -_LARGEST <= file.mtime_ns <= _LARGEST
        and -_LARGEST <= file.ctime_ns <= _LARGEST
        and len(file.inode) <= 64
        and file.inode.isprintable()
    )


def printable(text: str, most: int = 300) -> str:
    """Return what another side sent in a form that a message may quote."""
    return "".join(filter(str.isprintable, text[:most]))


class OpenLog(Protocol):
    """A log file that was opened; keeps reading the same file when its name changes."""

    def stat(self) -> LogFile:
        """Return the file's present size, times and inode, with the name it was opened by."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Read at most `length` bytes from `offset`; none at the end. Raises `SourceUnreadable`."""
        ...

    def close(self) -> None: ...


class LogSource(Protocol):
    """The log directory of one node. Reading never changes anything on the node."""

    remote: bool = False  # each call waits for another machine; any number of threads may call at a time

    def list(self) -> Listing:
        """List every regular file that is a log, in any order; links are not followed.

        A folder that cannot be listed is passed over, with the reason. Raises `SourceUnreachable` if the directory
        itself cannot be listed.
        """
        ...

    def open(self, name: str) -> OpenLog:
        """Open a log. Raises `SourceVanished` if no regular file has the name any more, else `SourceUnreadable`."""
        ...

    def expect(self, files: Sequence[LogFile]) -> None:
        """Take note that these files will be opened next, in this order, unless something comes between."""

    def run(self, action: Callable[[], _T]) -> _T:
        """Call `action`, which uses this source many times, and hold meanwhile what each use needs.

        It may run in another thread. If the source hangs, this raises `SourceUnreachable` and abandons `action`, of
        which only the `finally` blocks still run.
        """
        return action()


@dataclass(frozen=True, slots=True)
class FoundNode:
    name: str
    path_logs: str
    ip: str
    role: str  # ess, ess-master, ess-client, ess-cold, lgs
    instance: str = ""  # the cluster's own id of it

    def source_url(self, pattern: str) -> str:
        """Fill in `{path.logs}`, `{name}` and `{ip}`; raises `InvalidField` for another placeholder."""
        url = pattern.replace("{path.logs}", quote(self.path_logs)).replace("{name}", quote(self.name, safe=""))
        url = url.replace("{ip}", f"[{self.ip}]" if ":" in self.ip else self.ip)
        if "{" in url or "}" in url:
            raise InvalidField("source", "{path.logs}, {name} and {ip} can be filled in; write 'file://{path.logs}'")
        return url


@dataclass(frozen=True, slots=True)
class FoundVolume:
    """Space of the disks that a node keeps its data on."""

    name: str
    instance: str
    total: int  # bytes
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSnapshot:
    """A snapshot of indexes in one of a cluster's repositories."""

    id: str
    name: str
    version: str
    state: str  # as the cluster calls it: IN_PROGRESS, SUCCESS, PARTIAL, FAILED, INCOMPATIBLE
    indices: tuple[str, ...]
    started_at: int  # Unix ms
    ended_at: int  # Unix ms; 0 while it is made
    shards: int
    failed_shards: int
    bucket: str  # of its repository, '' where that is no bucket


@dataclass(frozen=True, slots=True)
class FoundCluster:
    kind: str
    version: str
    endpoint: str  # host:port
    nodes: tuple[FoundNode, ...]
