"""A bucket that proves to be the one that is meant.

An empty mount point, another disk and a wrong prefix look like a bucket from which everything was removed. So a bucket
holds a marker from its first use on, and the installation remembers what it says.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Protocol
from uuid import uuid4

from logkeep.errors import BucketMissing, StoreCorrupt, StoreError, StoreMissing
from logkeep.stores.base import LARGEST_MANIFEST, MARKER, ObjectStore, StoredObject

_CHECK = 16  # hex digits of the SHA-256 of the id, which stand behind it
_LENGTH = 32 + 1 + _CHECK + 1  # bytes of a marker


class Memory(Protocol):
    """What the installation remembers of one bucket."""

    def recall(self) -> str | None:
        """Return the id, None before the first use."""
        ...

    def remember(self, bucket_id: str) -> str:
        """Keep the id unless there is one; return the one that is kept."""
        ...


class ProvenStore:
    """An `ObjectStore` over another one: whatever is missing is missing only if the bucket is the right one."""

    def __init__(self, store: ObjectStore, name: str, memory: Memory, seconds: float) -> None:
        """Wrap the store of the bucket `name`. A proof is valid for `seconds` of writing."""
        self._store = store
        self._name = name
        self._memory = memory
        self._seconds = seconds
        self._known: str | None = None
        self._proven_at = float("-inf")

    def __repr__(self) -> str:
        return f"ProvenStore({self._store!r})"

    def check(self) -> None:
        self._prove()  # nothing is written to another bucket
        self._store.check()
        self._expect_proven(used=True)

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        self._expect_proven(used=True)
        return self._store.put(name, chunks)

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        self._expect_proven(used=True)
        return self._store.put_many(objects)

    def get(self, name: str, most: int = LARGEST_MANIFEST, size: int | None = None) -> bytes:
        try:
            return self._store.get(name, most, size)
        except StoreMissing:
            self._prove()
            raise

    def open(self, name: str) -> BinaryIO:
        try:
            return self._store.open(name)
        except StoreMissing:
            self._prove()
            raise

    def size(self, name: str) -> int | None:
        size = self._store.size(name)
        if size is None:
            self._prove()
        return size

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        if not prefix:  # what lies there may be of somebody else
            self._prove()
        empty = True
        for found in self._store.list(prefix, after):
            empty = False
            yield found
        if empty:
            self._prove()

    def delete(self, name: str) -> None:
        self._expect_proven()
        self._store.delete(name)

    def remove(self, names: Sequence[str]) -> list[StoreError | None]:
        self._expect_proven()
        return self._store.remove(names)

    def _expect_proven(self, *, used: bool = False) -> None:
        if time.monotonic() >= self._proven_at + self._seconds:
            self._prove(used=used)

    def _prove(self, *, used: bool = False) -> None:
        """Raise `BucketMissing` if this is another bucket; mark it if it is `used` for the first time."""
        found = self._read_marker()
        if not found or found != self._known:
            self._known = self._memory.recall() or (self._begin(found) if used else None)
            if self._known and found != self._known and self._read_marker() != self._known:
                raise BucketMissing(_problem(self._name, found, self._known))
        if self._known:
            self._proven_at = time.monotonic()

    def accept(self) -> str:
        """Mark what is there as the right bucket, unless it is marked; return its id."""
        try:
            found = self._read_marker()
        except StoreCorrupt:
            found = None
        found = found or self._memory.recall() or uuid4().hex
        self._write_marker(found)
        return found

    def _begin(self, found: str | None) -> str:
        """Write the marker, then remember it: if a crash comes between, the next start finds the marker."""
        bucket_id = found or uuid4().hex
        if not found:
            self._write_marker(bucket_id)
        known = self._memory.remember(bucket_id)
        if known != bucket_id:  # another process was first
            self._write_marker(known)
        return known

    def _read_marker(self) -> str | None:
        """Return the id, None where there is no marker. Raises `StoreCorrupt` for other bytes than were written.

        The marker is read without a lookup before it, whose refusal would not say why.
        """
        try:
            marker = self._store.get(MARKER, _LENGTH, _LENGTH)
        except StoreMissing:
            return None
        bucket_id = marker[:32].decode("ascii", "replace")
        if marker != render_marker(bucket_id):
            raise StoreCorrupt(
                f"bucket {self._name} gives back other bytes than were written, as its object {MARKER} shows."
                " Do not keep backups there."
            )
        return bucket_id

    def _write_marker(self, bucket_id: str) -> None:
        self._store.put(MARKER, [render_marker(bucket_id)])


def render_marker(bucket_id: str) -> bytes:
    return f"{bucket_id} {hashlib.sha256(bucket_id.encode()).hexdigest()[:_CHECK]}\n".encode()


def _problem(name: str, found: str | None, known: str) -> str:
    what = f"its object {MARKER} says {found!r} instead of {known!r}" if found else f"it has no object {MARKER}"
    return (
        f"{name} is not the bucket that was used before: {what}. Mount the disk that it lies on, or correct "
        f"its URL; if it is the right one all the same, `logkeep store accept {name}` takes it."
    )
