"""Buckets that were named at run time: every process finds them in the database, without a restart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from logkeep.bootstrap.stores import CounterOf, counted_nowhere, prove_bucket
from logkeep.database import named_buckets
from logkeep.database.connection import reading, writing
from logkeep.domain.keys import Seal
from logkeep.errors import NameTaken, RequestError, SettingError
from logkeep.settings import check_bucket_name
from logkeep.stores.base import CountRequests, ObjectStore, count_nothing
from logkeep.stores.location import Location, parse_location
from logkeep.stores.opendal import open_store

T = TypeVar("T")

_FRESH_SECONDS = 1.0  # how long a list of names is taken for what the database has
_MOST_TOLD = 5


class Named(NamedTuple):
    """URL and credentials of a bucket."""

    url: str
    credentials: Mapping[str, str]

    @property
    def location(self) -> Location:
        return parse_location(self.url, self.credentials, Path("/"))

    def open(self, name: str, count: CountRequests = count_nothing) -> ObjectStore:
        """Open the bucket, whose messages call it by its name. Raises `SettingError`; contacts no server yet."""
        return open_store(self.url, self.credentials, base=Path("/"), called=name, count=count)


class NamedBuckets:
    """Those of one database."""

    def __init__(self, database: Engine, seal: Seal, counter_of: CounterOf = counted_nowhere) -> None:
        self._database, self._seal, self._counter_of = database, seal, counter_of
        self._sealed: Mapping[str, bytes] = {}
        self._read_at = float("-inf")
        self._stores: dict[str, tuple[bytes, ObjectStore]] = {}  # with what each was opened from

    def names(self) -> Mapping[str, bytes]:
        """Return what is sealed of each, by name, at most a second old."""
        if time.monotonic() > self._read_at + _FRESH_SECONDS:
            self._read()
        return self._sealed

    def find(self, name: str) -> Named | None:
        """Return a bucket, also one that another process has just named."""
        sealed = self._find(name)
        return self._unseal(sealed) if sealed else None

    def store(self, name: str) -> ObjectStore | None:
        sealed = self._find(name)
        if sealed is None:
            self._stores.pop(name, None)
            return None
        known = self._stores.get(name)
        if known is None or known[0] != sealed:
            named = self._unseal(sealed)
            known = sealed, prove_bucket(name, named.url, self._database, named.open(name, self._counter_of(name)))
            self._stores[name] = known
        return known[1]

    def check(self, name: str, named: Named) -> None:
        """Raise `SettingError` for a bucket that cannot be named."""
        check_bucket_name(name, "NAME")
        place = named.location
        if place.scheme == "memory" or (place.folder and not named.url.startswith("file:/")):
            raise SettingError("a bucket that is named at run time lies at the same place for every process: file:///…")

    def add(self, name: str, named: Named, now_ms: int) -> None:
        """Name a bucket that was checked. Raises `NameTaken`."""
        text = json.dumps({"url": named.url, "credentials": dict(named.credentials)})
        try:
            with writing(self._database) as connection:
                named_buckets.insert_bucket(connection, name, self._seal.encrypt(text), now_ms)
        except IntegrityError as error:
            raise NameTaken(f"there is a bucket {name}; choose another name, or remove that one") from error
        self._read()

    def remove(self, name: str) -> bool:
        """Forget a bucket; its objects stay. Raises `RequestError` while a cluster has or had objects there."""
        with writing(self._database) as connection:
            users = named_buckets.fetch_users(connection, name, _MOST_TOLD + 1)
            if users:
                more = ", …" if len(users) > _MOST_TOLD else ""
                raise RequestError(
                    f"bucket {name} holds logs of {', '.join(users[:_MOST_TOLD])}{more}, which could not be read any "
                    "more; remove the clusters first"
                )
            removed = named_buckets.delete_bucket(connection, name)
        self._read()
        return removed

    def _find(self, name: str) -> bytes | None:
        if name not in self.names():
            self._read()
        return self._sealed.get(name)

    def _read(self) -> None:
        with reading(self._database) as connection:
            self._sealed = named_buckets.fetch_buckets(connection)
        self._read_at = time.monotonic()

    def _unseal(self, sealed: bytes) -> Named:
        document = json.loads(self._seal.decrypt(sealed))
        return Named(document["url"], document["credentials"])


class WithNamed(Mapping[str, T], Generic[T]):
    """What the settings say of their buckets, and `find` of those that were named at run time: the settings first."""

    def __init__(self, settled: Mapping[str, T], named: NamedBuckets, find: Callable[[str], T | None]) -> None:
        self._settled, self._named, self._find = settled, named, find

    def __getitem__(self, name: str) -> T:
        if name in self._settled:
            return self._settled[name]
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        yield from self._settled
        yield from (name for name in self._named.names() if name not in self._settled)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def place_of(named: NamedBuckets, name: str) -> str | None:
    """Return the location of a bucket, which shows whether it is the same as another or nested; None if unknown."""
    found = named.find(name)
    return found.location.place if found else None
