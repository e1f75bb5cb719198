"""Small segments on their way into the store, many at a time: one fsync or request after the other takes too long."""

from __future__ import annotations

import time
from concurrent.futures import Executor, Future

from logkeep.backup.catalogue import Kept
from logkeep.backup.segment import expect_stored
from logkeep.errors import StoreError
from logkeep.stores.base import ObjectStore

THREADS = 2  # of an executor: one batch is stored, and frames of a large segment are compressed
SMALL = 256 * 1024  # plain bytes of a segment that is held in memory until it is stored
# Segments of one commit: a process that is killed leaves so many objects without one, twice at the most. The first
# commits take fewer, and none waits long, so that attempts that are short, or read a slow source, come forward too.
_MOST, _MOST_BYTES, _SECONDS = 128, 4 * 1024 * 1024, 1.0


class Uploads:
    """Stores segments batch by batch in another thread; the caller commits those that are stored."""

    def __init__(self, store: ObjectStore, executor: Executor) -> None:
        self._store = store
        self._executor = executor
        self._waiting: list[tuple[Kept, bytes]] = []
        self._bytes = 0  # of those
        self._most = 1
        self._until = 0.0  # monotonic clock
        self._begun: list[Kept] = []
        self._outcomes: Future[list[int | StoreError]] | None = None  # of what has begun

    @property
    def full(self) -> bool:
        """Return whether those that wait are enough for a batch."""
        return len(self._waiting) >= self._most or self._bytes >= _MOST_BYTES

    @property
    def late(self) -> bool:
        """Return whether some have waited long enough to be committed."""
        return bool(self._waiting or self._begun) and time.monotonic() > self._until

    def add(self, kept: Kept, data: bytes) -> None:
        if not self._waiting and not self._begun:
            self._until = time.monotonic() + _SECONDS
        self._waiting.append((kept, data))
        self._bytes += len(data)

    @property
    def raw(self) -> int:
        """Return the plain bytes of those that wait."""
        return sum(kept.segment.end - kept.segment.start for kept, _ in self._waiting)

    def begin(self) -> None:
        """Begin to store those that wait, once what was begun before is committed: a killed process has that then."""
        if not self._waiting:
            return
        objects = [(kept.segment.object, data) for kept, data in self._waiting]
        self._begun = [kept for kept, _ in self._waiting]
        self._outcomes = self._executor.submit(self._store.put_many, objects)
        self._waiting, self._bytes = [], 0
        self._most = min(2 * self._most, _MOST)
        self._until = time.monotonic() + _SECONDS

    def end(self) -> tuple[list[Kept], StoreError | None]:
        """Wait for the batch that was begun; return those that are stored, and the first error."""
        begun, outcomes, self._begun, self._outcomes = self._begun, self._outcomes, [], None
        stored: list[Kept] = []
        error: StoreError | None = None
        for kept, outcome in zip(begun, outcomes.result() if outcomes else (), strict=True):
            try:
                if isinstance(outcome, StoreError):
                    raise outcome
                expect_stored(kept.segment.object, outcome, kept.segment.stored)
                stored.append(kept)
            except StoreError as wrong:
                error = error or wrong
        return stored, error
