"""Finding out whether a bucket can be used, by using it in every way in which backups, searches and sweeps do."""

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

# The first of all printable signs, so that a listing begins with it and needs no second page.
_NAME = "!logkeep-check-"
_MOST_BEFORE = 100
_LARGE = 8 * 1024 * 1024 + 1  # bytes, more than one part of an upload has


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the bucket can do."""

    deed: str
    seconds: float


def check_store(store: ObjectStore) -> Iterator[Step]:
    """Each step as it is done; raises a `StoreError` at the first that fails.

    Nothing is left in the bucket, unless it does not answer any more, or deleting is what fails.
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
    except StoreUnreachable:  # nor would it delete
        raise
    except StoreError:
        for name in (small, large):
            with suppress(StoreError):  # what is wrong is told already
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
