"""Find out whether a bucket can be used, by using it."""

from __future__ import annotations

from uuid import uuid4

from logkeep.errors import StoreCorrupt
from logkeep.stores.base import ObjectStore
from logkeep.stores.names import TRIAL


def try_out(store: ObjectStore, where: str) -> None:
    """Write a small object, read it back and delete it. Raises a `StoreError` if that fails."""
    name = f"{TRIAL}{uuid4().hex}"
    written = name.encode()
    store.put(name, [written])
    try:
        if store.get(name) != written:
            raise StoreCorrupt(f"{where} gives back other bytes than were written. Do not keep backups there.")
    finally:
        store.delete(name)
