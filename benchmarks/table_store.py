"""A bucket in one file: an `ObjectStore` over a table of SQLite, for millions of small objects, and several processes.

A folder has to be read name by name, and takes a page for each object; this lists what lies behind a name as S3 does.
"""

from __future__ import annotations

import io
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from logkeep.errors import StoreCorrupt, StoreError, StoreMissing, StoreUnreachable
from logkeep.stores.base import LARGEST_MANIFEST, StoredObject

_PAGE = 1000  # names read at a time
Rows = list[tuple[Any, ...]]


class TableStore:
    """Bucket of a simulation. With `away` it does not answer; with `fatal` the writer is killed at its next object."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self.away = False
        self.fatal: BaseException | None = None
        self._run("CREATE TABLE IF NOT EXISTS objects (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID")

    def close(self) -> None:
        self._connection.close()

    def check(self) -> None:
        self._run("SELECT 1")

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        data = b"".join(chunks)
        if self.fatal:
            raise self.fatal
        self._run("INSERT OR REPLACE INTO objects VALUES (?, ?)", (name, data))
        return len(data)

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        return [self.put(name, [data]) for name, data in objects]

    def get(self, name: str, most: int = LARGEST_MANIFEST, size: int | None = None) -> bytes:  # noqa: ARG002
        found = self._run("SELECT data FROM objects WHERE name = ?", (name,))
        if not found:
            raise StoreMissing(name)
        if len(found[0][0]) > most:
            raise StoreCorrupt(name)
        return found[0][0]

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.get(name))

    def size(self, name: str) -> int | None:
        found = self._run("SELECT length(data) FROM objects WHERE name = ?", (name,))
        return found[0][0] if found else None

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        last = max(after, prefix)
        page = "SELECT name, length(data) FROM objects WHERE name > ? AND name < ? ORDER BY name LIMIT ?"
        while found := self._run(page, (last, f"{prefix}\U0010ffff", _PAGE)):
            yield from (StoredObject(name, size) for name, size in found)
            last = found[-1][0]

    def delete(self, name: str) -> None:
        self._run("DELETE FROM objects WHERE name = ?", (name,))

    def remove(self, names: Sequence[str]) -> list[StoreError | None]:
        for name in names:
            self.delete(name)
        return [None] * len(names)

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> Rows:
        if self.away:
            raise StoreUnreachable("the simulated bucket is away")
        with self._lock:
            return self._connection.execute(statement, values).fetchall()
