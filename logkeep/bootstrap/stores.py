"""The buckets of the settings as stores, each with its credentials and checked to be the right one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Engine

from logkeep.bootstrap.database import open_database
from logkeep.database.buckets import BucketMemory
from logkeep.errors import SettingError
from logkeep.settings import Settings
from logkeep.stores.base import CountRequests, ObjectStore, count_nothing
from logkeep.stores.location import parse_location
from logkeep.stores.opendal import open_store
from logkeep.stores.proven import ProvenStore

CounterOf = Callable[[str], CountRequests]  # by the name of a bucket

_PROOF_SECONDS = 60  # how long the proof that a bucket is the right one stays valid


def counted_nowhere(_bucket: str) -> CountRequests:
    """Return what counts the requests to a bucket where nobody asks for their number."""
    return count_nothing


def bucket_url(settings: Settings, name: str) -> str:
    """Return the URL of a configured bucket; without one it is a folder of the data directory."""
    return settings.buckets[name].url or f"file:buckets/{name}"


def open_buckets(settings: Settings, counter_of: CounterOf = counted_nowhere) -> Mapping[str, ObjectStore]:
    """Open the stores of all buckets, by name, each with its bucket's credentials. Raises `SettingError`."""
    return {
        name: _open_store(settings, name, bucket.credentials, f"buckets.{name}", counter_of(name))
        for name, bucket in settings.buckets.items()
    }


def bucket_folders(settings: Settings) -> dict[str, Path]:
    """Return where the buckets lie that are folders of this machine, by name."""
    places = {
        name: parse_location(bucket_url(settings, name), None, settings.directory)
        for name in settings.buckets
        if bucket_url(settings, name).lower().startswith("file:")
    }
    return {name: place.folder for name, place in places.items() if place.folder}


def bucket_locations(settings: Settings) -> Mapping[str, str]:
    """Return the location of each bucket, which shows whether two are the same or nested."""
    found = {
        name: parse_location(bucket_url(settings, name), bucket.credentials, settings.directory)
        for name, bucket in settings.buckets.items()
    }
    return {name: f"memory:{name}" if one.scheme == "memory" else one.place for name, one in found.items()}


def prove_buckets(settings: Settings, database: Engine, stores: Mapping[str, ObjectStore]) -> Mapping[str, ObjectStore]:
    """Wrap stores so that each is checked against what is remembered of its bucket.

    Buckets in memory are not, as they are new at each start.
    """
    return {name: prove_bucket(name, bucket_url(settings, name), database, store) for name, store in stores.items()}


def prove_bucket(name: str, url: str, database: Engine, store: ObjectStore) -> ObjectStore:
    """Do so with one bucket, which lies at this URL."""
    if isinstance(store, ProvenStore) or url.startswith("memory:"):
        return store
    seconds = 0 if url.startswith("file:") else _PROOF_SECONDS  # a disk may be unmounted; a check is cheap
    return ProvenStore(store=store, name=name, memory=BucketMemory(database, name), seconds=seconds)


def accept_bucket(settings: Settings, name: str, named: ObjectStore | None = None) -> None:
    """Accept the present contents of a bucket as the expected ones; `named` is one that the settings lack.

    Raises a `StoreError` if it cannot be marked.
    """
    database = open_database(settings)
    try:
        memory = BucketMemory(database, name)
        store = ProvenStore(store=named or open_buckets(settings)[name], name=name, memory=memory, seconds=0)
        memory.change(store.accept())
    finally:
        database.dispose()


def open_agencies(
    settings: Settings, stores: Mapping[str, ObjectStore], counter_of: CounterOf = counted_nowhere
) -> Mapping[str, Mapping[str, ObjectStore]]:
    """Open the stores of each agency, with its own credentials for a bucket if it has some."""
    return {
        name: {
            **stores,
            **{
                bucket: _open_store(
                    settings, bucket, credentials, f"agencies.{name}.credentials.{bucket}", counter_of(bucket)
                )
                for bucket, credentials in agency.credentials.items()
            },
        }
        for name, agency in settings.agencies.items()
    }


def _open_store(
    settings: Settings, bucket: str, credentials: Mapping[str, str], key: str, count: CountRequests
) -> ObjectStore:
    """Open the store of a bucket; `key` is the setting that has the credentials."""
    if bucket not in settings.buckets:
        raise SettingError(
            f"{key}: there is no bucket {bucket}; configured are {', '.join(settings.buckets) or 'none'}"
        )
    try:
        url = bucket_url(settings, bucket)
        return open_store(url, credentials, base=settings.directory, called=bucket, count=count)
    except SettingError as error:
        raise SettingError(f"{key}: {error.message}") from error
