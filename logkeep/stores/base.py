"""What Logkeep asks of an object store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeVar

from logkeep.domain.usage import RequestKind
from logkeep.errors import BucketMissing, StoreCorrupt, StoreError, StoreUnreachable

_T = TypeVar("_T")
MARKER = "logkeep-bucket"  # object at the top of a bucket that is in use; see `stores.proven`

# Bytes of what is read as a whole. A manifest tells of 4 MiB of plain logs in 200 to 400 bytes, so this is what 2 TB
# take that were kept by one job; `service.manifests` leaves what is more to the next one.
LARGEST_MANIFEST = 256 * 1024 * 1024
_PIECE = 1024 * 1024  # bytes

# Is told the kind of requests to a store, the object or the folder that they are about, and how many they are.
CountRequests = Callable[[RequestKind, str, int], None]


def count_nothing(_kind: RequestKind, _name: str, _number: int) -> None:
    """Count no requests."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store lists it."""

    name: str  # relative to the bucket, '/' between parts
    size: int  # bytes
    modified_at: int | None = None  # Unix ms; None where the store does not tell


class ObjectStore(Protocol):
    """A bucket. Every method raises a `StoreError` that says what to do, never a library's own error.

    A name is never written twice by Logkeep (each attempt has a name of its own), so stores need no
    conditional put. Nobody closes a store; it holds no open file between calls.
    """

    def check(self) -> None:
        """Write, read back and delete a small object; raises a `StoreError` if that fails."""
        ...

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        """Store the chunks as one object and return its size in bytes as the store confirms it.

        The object appears whole or not at all, and is durable on return. If `chunks` raises, the
        error passes and no object of that name is listed.
        """
        ...

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        """Store small objects, by name; return the size of each, or why it is not stored.

        Each appears whole or not at all, and those without an error are durable on return.
        """
        ...

    def get(self, name: str, most: int = LARGEST_MANIFEST, size: int | None = None) -> bytes:
        """Read the whole object; for manifests, not for segments.

        `size` is its size as listed, which saves a request. Raises `StoreMissing`, and `StoreCorrupt`, without reading,
        for more than `most` bytes.
        """
        ...

    def open(self, name: str) -> BinaryIO:
        """Open the object as a seekable stream. Raises `StoreMissing`."""
        ...

    def size(self, name: str) -> int | None:
        """Return the size in bytes, or None if there is no such object."""
        ...

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """List objects whose name starts with `prefix` (which ends with '/' or is empty), sorted by name.

        Only those behind `after` are listed; a store that can start there reads no others.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove the object; deleting what does not exist is no error.

        A bucket that keeps versions may keep its bytes behind a marker; see `remove`.
        """
        ...

    def remove(self, names: Sequence[str]) -> list[StoreError | None]:
        """Remove objects with every version of each; return why each is not gone, None where it is.

        It is gone when the store lists no version of it any more. What a lock keeps is a `StoreLocked`.
        """
        ...


def put_each(
    put: Callable[[str, list[bytes]], int], objects: Sequence[tuple[str, bytes]], at_once: int
) -> list[int | StoreError]:
    """Put objects by themselves, as `put_many` does; once the store does not answer, no other is begun."""
    away: list[StoreUnreachable] = []

    def put_one(one: tuple[str, bytes]) -> int | StoreError:
        if away:
            return away[0]
        name, data = one
        try:
            return put(name, [data])
        except StoreUnreachable as error:
            away.append(error)
            return error
        except StoreError as error:
            return error

    with ThreadPoolExecutor(min(at_once, len(objects)), thread_name_prefix="put") as pool:
        return list(pool.map(put_one, objects))


def remove_each(delete: Callable[[_T], None], objects: Sequence[_T], at_once: int) -> list[StoreError | None]:
    """Delete objects by themselves, as `remove` does; once the store does not answer, no other is begun."""
    away: list[StoreUnreachable] = []

    def remove_one(one: _T) -> StoreError | None:
        if away:
            return away[0]
        try:
            delete(one)
        except StoreUnreachable as error:
            away.append(error)
            return error
        except StoreError as error:
            return error
        return None

    with ThreadPoolExecutor(max(1, min(at_once, len(objects))), thread_name_prefix="remove") as pool:
        return list(pool.map(remove_one, objects))


def hash_object(store: ObjectStore, name: str, size: int) -> str:
    """Return the SHA-256 in hex of an object of `size` bytes as listed, read in pieces.

    Raises a `StoreError`, without reading if the object is larger than any manifest.
    """
    if size > LARGEST_MANIFEST:
        raise StoreCorrupt(f"it has {size} bytes; Logkeep writes at most {LARGEST_MANIFEST} there")
    digest = hashlib.sha256()
    with closing(store.open(name)) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def expect_bucket(store: ObjectStore) -> None:
    """Raise a `StoreError` if the bucket itself cannot be used."""
    store.size(MARKER)


def find_store(stores: Mapping[str, ObjectStore], bucket: str) -> ObjectStore:
    """Return the store of a bucket that the database names. Raises `BucketMissing` if it is not configured."""
    store = stores.get(bucket)
    if store is None:
        raise BucketMissing(
            f"bucket {bucket} is no longer configured; add [buckets.{bucket}] to logkeep.toml, or name it with "
            f"`logkeep store add {bucket} --url URL`"
        )
    return store
