"""Buckets of every kind that opendal offers: folders, S3 and its like, memory; and how a URL opens one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import opendal

from logkeep.errors import SettingError, StoreCorrupt, StoreMissing
from logkeep.stores.base import LARGEST_MANIFEST, ObjectStore, StoredObject
from logkeep.stores.failures import bucket_missing, explain, failure, object_missing, too_large
from logkeep.stores.folder import FolderStore, create_folder
from logkeep.stores.listing import walk
from logkeep.stores.location import Location, parse_location
from logkeep.stores.names import check_name, check_prefix
from logkeep.stores.trial import try_out

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from opendal.types import Entry  # pyright: ignore[reportMissingModuleSource]

PART = 8 * 1024 * 1024  # bytes of one part of an upload; 10,000 of them are the most that S3 takes
_PARTS_AT_ONCE = 2  # on loopback 277 MiB/s against 180 for one and 259 for four; each costs its size in memory
_PIECE = 16 * 1024 * 1024  # bytes that one request reads of an object that is read as a whole
_READ_AHEAD = 1024 * 1024  # bytes, the least that one request reads

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
# A disk that is full or broken stays so, and an fsync behind other writers may take its time.
LOCAL = RetryPolicy(timeout=300.0, tries=1)


def open_store(
    url: str, credentials: Mapping[str, str] | None = None, *, base: Path, patience: RetryPolicy = REMOTE
) -> ObjectStore:
    """Open the bucket of a URL; a `file:` URL is relative to `base`. Raises `SettingError`; contacts no server yet.

    `file:folder`, `file:///folder`, `memory:` (a new one at each call), `s3://bucket/prefix?region=…&endpoint=…`, and
    any other kind of opendal with its options as query parameters. `credentials` are the options that are secret;
    `?credentials=environment` lets the store look for them as its own tools do. `?timeout=` takes seconds.
    """
    location = parse_location(url, credentials, base)
    if location.folder:
        return _folder_store(location.folder, location)
    if location.timeout is not None:
        patience = replace(patience, timeout=location.timeout)
    return OpendalStore(_connect(location, location.options, patience), location.where, location.secrets)


def create_bucket(url: str, *, base: Path) -> None:
    """Create the folder of a `file:` URL; leave an existing one as it is. Raises `SettingError` for other kinds."""
    folder = parse_location(url, None, base).folder
    if folder is None:
        raise SettingError("only the bucket of a file: URL can be created here; use the tools of the store")
    create_folder(folder)


class OpendalStore:
    """An `ObjectStore` over an operator of opendal, which waits and tries again by itself."""

    def __init__(self, operator: opendal.Operator, where: str, secrets: Iterable[str] = ()) -> None:
        """Use an operator; `where` is the bucket as it may be printed, `secrets` are what no message may contain."""
        self._operator = operator
        self._where = where
        self._secrets = tuple(secrets)
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
        return io.BufferedReader(_ObjectBytes(self, name, size), _READ_AHEAD)

    def size(self, name: str) -> int | None:
        check_name(name)
        try:
            with self._failing(f"look up {name!r}"):
                found = self._operator.stat(name)
        except StoreMissing:
            self._expect_bucket()
            return None
        return found.content_length if found.is_file else None

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        return walk(prefix, partial(self._entries, after=after), after)

    def delete(self, name: str) -> None:
        check_name(name)
        with suppress(StoreMissing), self._failing(f"delete {name!r}"):
            self._operator.delete(name)

    def read_range(self, name: str, start: int, size: int) -> bytes:
        """Read `size` bytes from `start` on, of an object that has that many."""
        with self._failing(f"read {name!r}"):
            return self._operator.read(name, offset=start, size=size)

    def _read_whole(self, name: str, size: int) -> bytes:
        """Read in pieces, as the library holds what it reads twice."""
        if size <= _PIECE:
            return self.read_range(name, 0, size) if size else b""
        whole = io.BytesIO()
        for start in range(0, size, _PIECE):
            whole.write(self.read_range(name, start, min(_PIECE, size - start)))
        return whole.getvalue()  # which is not another copy

    def describe(self, name: str) -> str:
        """Return the object's name for a message."""
        return f"{name!r} in {self._where}"

    def _write_parts(self, name: str, chunks: Iterable[bytes]) -> int:
        """Upload in parts. An error leaves the upload unfinished: a file of opendal can be closed, but not aborted.

        So the `with` form of a file is not used: it would close, and thereby store, a truncated object.
        """
        deed = f"write {name!r}"
        sent = 0
        with self._failing(deed):
            upload = self._operator.open(name, "wb", chunk=PART, concurrent=_PARTS_AT_ONCE)
        for chunk in chunks:
            with self._failing(deed):
                upload.write(chunk)
            sent += len(chunk)
        with self._failing(deed):
            upload.close()
        return sent

    def _write_whole(self, name: str, chunks: Iterable[bytes]) -> int:
        """Upload in one request, held in memory, for the few kinds of store that take no parts."""
        whole = b"".join(chunks)
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
            return asyncio.run(collect())

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


class _ObjectBytes(io.RawIOBase):
    """The bytes of an object for a `BufferedReader`, which asks for as much as its buffer holds at least."""

    def __init__(self, store: OpendalStore, name: str, size: int) -> None:
        self.name = store.describe(name)
        self._store = store
        self._object = name
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        from_where = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        to = from_where[whence] + offset
        if to < 0:
            raise ValueError(f"cannot seek to {to}, before the start of {self.name}")
        self._at = to
        return to

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer).cast("B")
        data = self._next(len(room))
        room[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._next(PART), b""))

    def _next(self, most: int) -> bytes:
        size = min(most, self._size - self._at)
        if size <= 0:
            return b""
        data = self._store.read_range(self._object, self._at, size)
        self._at += len(data)
        return data


def _folder_store(folder: Path, location: Location) -> FolderStore:
    def connect(unfinished: Path | None) -> OpendalStore:
        options = dict(location.options)
        if unfinished:
            options["atomic_write_dir"] = str(unfinished)
        return OpendalStore(_connect(location, options, LOCAL), location.where)

    return FolderStore(folder, connect)


def _connect(location: Location, options: Mapping[str, str], patience: RetryPolicy) -> opendal.Operator:
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
    operator = operator.layer(opendal.layers.TimeoutLayer(timeout=patience.timeout, io_timeout=patience.timeout))
    if patience.tries == 1:
        return operator
    pauses = opendal.layers.RetryLayer(
        max_times=patience.tries - 1, jitter=True, min_delay=patience.pause, max_delay=patience.longest_pause
    )
    return operator.layer(pauses)
