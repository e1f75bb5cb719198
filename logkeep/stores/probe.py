"""Probe of a bucket: whether it can be used, found out by using it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from uuid import uuid4

from logkeep.errors import StoreCorrupt, StoreError, StoreUnreachable
from logkeep.stores.base import ObjectStore
from logkeep.stores.names import TRIAL

# It is listed, unlike a trial object: '!' sorts before other printable characters but the space, so on the first page.
_LISTED = "!logkeep-check-"
_MAX_BEFORE = 100
_LARGE = 8 * 1024 * 1024 + 1  # bytes, more than one part of a multipart upload


@dataclass(frozen=True, slots=True)
class Step:
    """Kind of request that succeeded, and its time."""

    operation: str
    seconds: float


def try_out(store: ObjectStore, where: str) -> None:
    """Write a small object, read it back and delete it. Raises a `StoreError` if that fails."""
    name = f"{TRIAL}{uuid4().hex}"
    store.put(name, [name.encode()])
    try:
        _expect(store.get(name) == name.encode(), where)
    finally:
        store.delete(name)


def probe_store(store: ObjectStore) -> Iterator[Step]:
    """Make every kind of request that backups, searches and sweeps make, and yield each when it has succeeded.

    Raises a `StoreError` at the first that fails. Nothing is left, unless the bucket stops answering or cannot delete.
    """
    small, large = f"{_LISTED}{uuid4().hex}", f"{_LISTED}{uuid4().hex}"
    data = os.urandom(_LARGE)
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("write", lambda: store.put(small, [small.encode()])),
        ("read", lambda: _expect(store.get(small) == small.encode())),
        ("read a range", lambda: _expect(_read_range(store, small) == small.encode()[5:])),
        ("list", lambda: _expect_listed(store, small)),
        ("delete", lambda: _delete(store, small)),
        ("write in parts", lambda: store.put(large, [data])),
        ("read it", lambda: _expect(_read_all(store, large) == data)),
        ("delete it", lambda: _delete(store, large)),
    )
    try:
        for operation, run in steps:
            began = time.monotonic()
            run()
            yield Step(operation, time.monotonic() - began)
    except StoreUnreachable:  # deleting would fail too
        raise
    except StoreError:
        for name in (small, large):
            with suppress(StoreError):  # the first error is raised
                store.delete(name)
        raise


def _read_range(store: ObjectStore, name: str) -> bytes:
    with store.open(name) as stream:
        stream.seek(5)
        return stream.read()


def _read_all(store: ObjectStore, name: str) -> bytes:
    with store.open(name) as stream:
        return stream.read()


def _expect(same: bool, where: str = "it") -> None:
    if not same:
        raise StoreCorrupt(f"{where} gives back other bytes than were written. Do not keep backups there.")


def _expect_listed(store: ObjectStore, name: str) -> None:
    if all(found.name != name for found in islice(store.list(""), _MAX_BEFORE)):
        raise StoreUnreachable("its listing lacks an object that was just written. Do not keep backups there.")


def _delete(store: ObjectStore, name: str) -> None:
    store.delete(name)
    if store.size(name) is not None:
        raise StoreUnreachable(f"it confirms that {name!r} was deleted, and still has it. Check its retention rules.")
