"""Check of a bucket by every kind of request that backups, searches and sweeps make."""

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

# '!' sorts before other printable characters but the space, so the first page of a listing contains it.
_NAME = "!logkeep-check-"
_MOST_BEFORE = 100
_LARGE = 8 * 1024 * 1024 + 1  # bytes, more than one part of a multipart upload


@dataclass(frozen=True, slots=True)
class Step:
    """Kind of request that succeeded, and its time."""

    deed: str
    seconds: float


def check_store(store: ObjectStore) -> Iterator[Step]:
    """Yield each step when it has succeeded. Raises a `StoreError` at the first that fails.

    Nothing is left in the bucket, unless it stops answering or cannot delete.
    """
    small, large = f"{_NAME}{uuid4().hex}", f"{_NAME}{uuid4().hex}"
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
        for deed, carry_out in steps:
            began = time.monotonic()
            carry_out()
            yield Step(deed, time.monotonic() - began)
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


def _expect(same: bool) -> None:
    if not same:
        raise StoreCorrupt("it gives back other bytes than were written. Do not keep backups there.")


def _expect_listed(store: ObjectStore, name: str) -> None:
    if all(found.name != name for found in islice(store.list(""), _MOST_BEFORE)):
        raise StoreUnreachable("its listing lacks an object that was just written. Do not keep backups there.")


def _delete(store: ObjectStore, name: str) -> None:
    store.delete(name)
    if store.size(name) is not None:
        raise StoreUnreachable(f"it confirms that {name!r} was deleted, and still has it. Check its retention rules.")
