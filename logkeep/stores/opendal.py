"""Buckets of every kind that opendal offers: folders, S3 and its like, memory; and how a URL opens one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import opendal

from logkeep.domain.usage import RequestKind
from logkeep.errors import SettingError, StoreCorrupt, StoreDenied, StoreError, StoreMissing
from logkeep.stores.base import (
    LARGEST_MANIFEST,
    CountRequests,
    ObjectStore,
    StoredObject,
    count_nothing,
    put_each,
    remove_each,
)
from logkeep.stores.failures import bucket_missing, explain, failure, object_missing, too_large
from logkeep.stores.folder import FolderStore, create_folder
from logkeep.stores.listing import walk
from logkeep.stores.location import Location, known_options, parse_location
from logkeep.stores.names import check_name, check_prefix
from logkeep.stores.probe import try_out
from logkeep.stores.ranges import open_ranges
from logkeep.stores.versions import VersionedObjects

if TYPE_CHECKING:
    from opendal.types import Entry  # pyright: ignore[reportMissingModuleSource]

PART = 8 * 1024 * 1024  # bytes of one part of an upload; 10,000 of them are the most that S3 takes
_CONCURRENT_PARTS = 2  # on loopback 277 MiB/s against 180 for one and 259 for four; each costs its size in memory
PUTS = 32  # small objects on their way at the same time
_VERSIONING = "enable_versioning"  # option of kinds of store that list versions; it changes what is listed, no more
_PIECE = 16 * 1024 * 1024  # bytes that one request reads of an object that is read as a whole
_LISTED = 1000  # objects that one request lists

_OPENDAL_ERRORS = (
    OSError,  # what an opendal file being written raises
    opendal.exceptions.Error,
    opendal.exceptions.Unexpected,
    opendal.exceptions.Unsupported,
    opendal.exceptions.ConfigInvalid,
    opendal.exceptions.NotFound,
    opendal.exceptions.PermissionDenied,
    opendal.exceptions.IsADirectory,
    opendal.exceptions.NotADirectory,
    opendal.exceptions.AlreadyExists,
    opendal.exceptions.IsSameFile,
    opendal.exceptions.ConditionNotMatch,
    opendal.exceptions.RateLimited,
    opendal.exceptions.RangeNotSatisfied,
    opendal.exceptions.Conflict,
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long one request to a store may take: `tries` times `timeout`, and the pauses between."""

    timeout: float = 18.0  # seconds; a part of 8 MiB must fit in
    tries: int = 3
    pause: float = 0.5  # seconds before the second try, doubled for each further one, with jitter
    longest_pause: float = 2.0  # seconds


REMOTE = RetryPolicy()


def open_store(
    url: str,
    credentials: Mapping[str, str] | None = None,
    *,
    base: Path,
    retries: RetryPolicy = REMOTE,
    called: str = "",
    count: CountRequests = count_nothing,
) -> ObjectStore:
    """Open the bucket of a URL; a `file:` URL is relative to `base`. Raises `SettingError`; contacts no server yet.

    `file:folder`, `file:///folder`, `memory:` (a new one at each call), `s3://bucket/prefix?region=…&endpoint=…`, and
    any other kind of opendal with its options as query parameters. `credentials` are the options that are secret;
    `?credentials=environment` lets the store look for them as its own tools do. `?timeout=` takes seconds.
    A bucket that is `called` something is told by that name in messages, without its folder or server. Requests are
    told to `count`, but for a folder, which takes none.
    """
    location = parse_location(url, credentials, base)
    location = location.called(called) if called else location
    if location.folder:
        return FolderStore(location.folder, location.where)
    if location.timeout is not None:
        retries = replace(retries, timeout=location.timeout)
    operator = _connect(location, location.options, retries)
    keeps_versions = location.scheme != "memory" and _VERSIONING in known_options(location.scheme)
    versions = partial(_connect, location, {**location.options, _VERSIONING: "true"}, retries)
    return OpendalStore(operator, location.where, location.secrets, count, versions if keeps_versions else None)


def create_bucket(url: str, *, base: Path) -> None:
    """Create the folder of a `file:` URL; leave an existing one as it is. Raises `SettingError` for other kinds."""
    folder = parse_location(url, None, base).folder
    if folder is None:
        raise SettingError("only the bucket of a file: URL can be created here; use the tools of the store")
    create_folder(folder)


class OpendalStore:
    """An `ObjectStore` over an operator of opendal, which waits and tries again by itself."""

    def __init__(
        self,
        operator: opendal.Operator,
        where: str,
        secrets: Iterable[str] = (),
        count: CountRequests = count_nothing,
        connect_versions: Callable[[], opendal.Operator] | None = None,
    ) -> None:
        """Use an operator; `where` is the bucket as it may be printed, `secrets` are what no message may contain.

        Requests are told to `count`, each once, however often opendal tries it. `connect_versions` makes an operator
        that lists versions, where this kind of store may keep them.
        """
        self._operator = operator
        self._versions = VersionedObjects(connect_versions, self._failing, count) if connect_versions else None
        self._where = where
        self._secrets = tuple(secrets)
        self._count = count
        self._skips = operator.capability().list_with_start_after
        self._takes_parts = operator.capability().write_can_multi

    def __repr__(self) -> str:
        return f"OpendalStore({self._where})"

    def check(self) -> None:
        try_out(self, self._where)

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        check_name(name)
        sent = self._write_parts(name, chunks) if self._takes_parts else self._write_whole(name, chunks)
        stored = self.size(name)
        if stored != sent:
            raise StoreCorrupt(
                f"{sent} bytes of {name!r} were sent to {self._where}, which has {stored}. Run the backup again."
            )
        return sent

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        return put_each(self.put, objects, PUTS)

    def get(self, name: str, most: int = LARGEST_MANIFEST, size: int | None = None) -> bytes:
        """Read as many bytes as `size` says, even if the object has grown: its hash or signature reveals that."""
        check_name(name)
        size = self.size(name) if size is None else size
        if size is None:
            raise object_missing(name, self._where)
        if size > most:
            raise too_large(name, self._where, size, most)
        try:
            return self._read_whole(name, size)
        except StoreMissing:
            self._expect_bucket()
            raise object_missing(name, self._where) from None

    def open(self, name: str) -> BinaryIO:
        size = self.size(name)
        if size is None:
            raise object_missing(name, self._where)
        return open_ranges(f"{name!r} in {self._where}", size, partial(self._read_range, name))

    def size(self, name: str) -> int | None:
        check_name(name)
        try:
            self._count(RequestKind.HEAD, name, 1)
            with self._failing(f"look up {name!r}"):
                found = self._operator.stat(name)
        except StoreMissing:
            self._expect_bucket()
            return None
        except StoreDenied as denied:
            raise self._explained(name, denied) from None
        return found.content_length if found.is_file else None

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        return walk(prefix, partial(self._entries, after=after), after)

    def delete(self, name: str) -> None:
        check_name(name)
        self._count(RequestKind.DELETE, name, 1)
        with suppress(StoreMissing), self._failing(f"delete {name!r}"):
            self._operator.delete(name)

    def remove(self, names: Sequence[str]) -> list[StoreError | None]:
        for name in names:
            check_name(name)
        if self._versions:
            return self._versions.remove(names)
        return remove_each(self.delete, names, PUTS)

    def _read_range(self, name: str, start: int, size: int) -> bytes:
        """Read `size` bytes from `start` on, of an object that has that many."""
        self._count(RequestKind.GET, name, 1)
        with self._failing(f"read {name!r}"):
            return self._operator.read(name, offset=start, size=size)

    def _read_whole(self, name: str, size: int) -> bytes:
        """Read in pieces, as the library holds what it reads twice."""
        if size <= _PIECE:
            return self._read_range(name, 0, size) if size else b""
        whole = io.BytesIO()
        for start in range(0, size, _PIECE):
            whole.write(self._read_range(name, start, min(_PIECE, size - start)))
        return whole.getvalue()  # which is not another copy

    def _write_parts(self, name: str, chunks: Iterable[bytes]) -> int:
        """Upload in parts. An error leaves the upload unfinished: a file of opendal can be closed, but not aborted.

        So the `with` form of a file is not used: it would close, and thereby store, a truncated object.
        """
        deed = f"write {name!r}"
        sent = 0
        with self._failing(deed):
            upload = self._operator.open(name, "wb", chunk=PART, concurrent=_CONCURRENT_PARTS)
        for chunk in chunks:
            with self._failing(deed):
                upload.write(chunk)
            sent += len(chunk)
        with self._failing(deed):
            upload.close()
        parts = -(-sent // PART)
        self._count(RequestKind.PUT, name, parts + 2 if parts > 1 else 1)  # to begin and to end an upload in parts
        return sent

    def _write_whole(self, name: str, chunks: Iterable[bytes]) -> int:
        """Upload in one request, held in memory, for the few kinds of store that take no parts."""
        whole = b"".join(chunks)
        self._count(RequestKind.PUT, name, 1)
        with self._failing(f"write {name!r}"):
            self._operator.write(name, whole)
        return len(whole)

    def _entries(self, folder: str, after: str = "") -> list[StoredObject]:
        """List one folder without the folder itself, which some kinds of store list too."""
        try:
            found = self._list(folder, after=after)
        except StoreMissing:
            self._expect_bucket()
            return []
        return [entry for entry in found if len(entry.name) > len(folder) and entry.name.startswith(folder)]

    def _explained(self, name: str, denied: StoreDenied) -> StoreError:
        """Return why a lookup was refused, as far as a read is told: the answer to a lookup over HTTP has no body."""
        try:
            self._read_range(name, 0, 1)
        except StoreDenied as explained:
            return explained
        except StoreError:
            pass
        return denied

    def _expect_bucket(self) -> None:
        """Raise `BucketMissing` if the bucket itself is not found: a lookup of an object does not tell."""
        try:
            self._list("", limit=1)
        except StoreMissing as error:
            raise bucket_missing(self._where) from error

    def _list(self, folder: str, limit: int | None = None, after: str = "") -> list[StoredObject]:
        """List asynchronously: the blocking call holds the interpreter's lock while it waits for the server."""

        async def collect() -> list[StoredObject]:
            found: list[StoredObject] = []
            # Only in the folder itself: in one above it, the folder's own name comes before.
            begin = after if self._skips and after.rpartition("/")[0] == folder.rstrip("/") else None
            async for entry in await self._operator.to_async_operator().list(folder, limit=limit, start_after=begin):
                found.append(_stored(entry))
                if len(found) == limit:
                    break
            return found

        with self._failing("list objects"):
            found = asyncio.run(collect())
        self._count(RequestKind.LIST, folder, max(1, -(-len(found) // _LISTED)))
        return found

    @contextmanager
    def _failing(self, deed: str) -> Generator[None, None, None]:
        """Translate opendal's errors into a `StoreError`; drop the original, whose text may contain a signed URL."""
        try:
            yield
        except _OPENDAL_ERRORS as error:
            raise failure(error, deed, self._where, self._secrets) from None


def _stored(entry: Entry) -> StoredObject:
    modified = entry.metadata.last_modified
    at = modified and round(modified.timestamp() * 1000)
    return StoredObject(entry.path, entry.metadata.content_length, at)


def _connect(location: Location, options: Mapping[str, str], retries: RetryPolicy) -> opendal.Operator:
    """Connect with time-outs and retries. The outer layer retries what the inner one has timed out."""
    try:
        operator = opendal.Operator(location.scheme, **options)
    except (opendal.exceptions.ConfigInvalid, opendal.exceptions.Unsupported) as error:
        raise SettingError(f"{location.where}: {explain(error, location.secrets)}") from None
    except _OPENDAL_ERRORS as error:
        raise failure(error, "look", location.where, location.secrets) from None
    can = operator.capability()
    if not (can.read and can.write and can.stat and can.list and can.delete):
        raise SettingError(
            f"{location.where}: {location.scheme} cannot be a bucket, it does not read, write, list and delete"
        )
    operator = operator.layer(opendal.layers.TimeoutLayer(timeout=retries.timeout, io_timeout=retries.timeout))
    pauses = opendal.layers.RetryLayer(
        max_times=retries.tries - 1, jitter=True, min_delay=retries.pause, max_delay=retries.longest_pause
    )
    return operator.layer(pauses)
