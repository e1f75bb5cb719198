"""Small segments on their way into the store, many at a time: one fsync or request after the other takes too long."""

from __future__ import annotations

import time
from concurrent.futures import Executor, Future
from typing import NamedTuple

from logkeep.backup.catalogue import Kept
from logkeep.backup.segment import expect_stored
from logkeep.stores.base import ObjectStore

THREADS = 8  # of an executor that segments are stored in
SMALL = 256 * 1024  # plain bytes of a segment that is held in memory until it is stored
# Segments of one commit: a process that is killed leaves so many objects without one at the most. The first commits
# take fewer, and none waits long, so that attempts that are short, or read a slow source, come forward all the same.
_MOST, _SECONDS = 32, 1.0


class _Upload(NamedTuple):
    kept: Kept
    confirmed: Future[None]


class Uploads:
    """Stores segments in the threads of an executor; the caller commits those that are stored."""

    def __init__(self, store: ObjectStore, executor: Executor) -> None:
        self._store = store
        self._executor = executor
        self._waiting: list[_Upload] = []
        self._batch = 1
        self._until = 0.0  # monotonic clock

    @property
    def due(self) -> bool:
        """Return whether those that wait are to be committed now; asked when one was added."""
        return len(self._waiting) >= self._batch or time.monotonic() > self._until

    def add(self, kept: Kept, data: bytes) -> None:
        """Begin to store a segment."""
        if not self._waiting:
            self._until = time.monotonic() + _SECONDS
        confirmed = self._executor.submit(_put, self._store, kept.segment.object, data)
        self._waiting.append(_Upload(kept, confirmed))

    def take(self) -> tuple[list[Kept], BaseException | None]:
        """Wait for all; return those that are stored, and the first error."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._batch = min(2 * self._batch, _MOST)
        errors = [upload.confirmed.exception() for upload in waiting]
        stored = [upload.kept for upload, error in zip(waiting, errors, strict=True) if error is None]
        return stored, next((error for error in errors if error is not None), None)


def _put(store: ObjectStore, name: str, data: bytes) -> None:
    expect_stored(name, store.put(name, [data]), len(data))
