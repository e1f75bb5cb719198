"""One order for the listings of all stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from logkeep.stores.base import StoredObject
from logkeep.stores.names import is_listed


def walk(folder: str, entries: Callable[[str], Iterable[StoredObject]], after: str = "") -> Iterator[StoredObject]:
    """Yield all objects under `folder` whose names are behind `after`, sorted by name.

    `entries` lists one folder by full names; those of folders end with '/'. Only some kinds of store sort a listing, so
    each folder is sorted here. Memory holds the folders on the way down, never the whole listing. Names that Logkeep
    would not give are skipped.
    """
    for found in sorted(entries(folder), key=_name):
        if not is_listed(found.name):
            continue
        if found.name.endswith("/"):
            yield from walk(found.name, entries, after)
        elif found.name > after:
            yield found


def _name(found: StoredObject) -> str:
    return found.name
