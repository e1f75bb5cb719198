"""The buckets of an installation, and the credentials with which each is opened; an agency is a named set of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from logkeep.database import log_settings, named_buckets, places
from logkeep.database.connection import reading
from logkeep.domain.log_setting import LogSetting
from logkeep.errors import SettingError, StoreDenied, StoreError
from logkeep.service.runtime import Runtime
from logkeep.stores.base import ObjectStore


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """A bucket that clusters may keep their logs in."""

    name: str
    location: str  # 'fs:/folder', 's3:endpoint/bucket/prefix'; '' where it is not known
    named: bool  # at run time, by `store add`; else by the settings
    clusters: int  # that have or had logs there


def list_buckets(runtime: Runtime, project_id: str = "") -> list[BucketInfo]:
    """List the buckets: those of the settings, then those named at run time. None of them is asked for anything.

    Clusters are counted of all projects, or of one.
    """
    with reading(runtime.database) as connection:
        named = named_buckets.fetch_buckets(connection)
        users = places.count_clusters(connection, project_id)
    return [
        BucketInfo(
            name, _location(runtime, name), name in named.keys() - runtime.configured_buckets, users.get(name, 0)
        )
        for name in runtime.stores
    ]


def check_bucket(runtime: Runtime, name: str) -> str:
    """Return why a bucket cannot be used now, and what to do; '' if it can."""
    try:
        store = runtime.stores.get(name)
        if store is None:
            return f"there is no bucket {name[:200]!r}; `logkeep store list` shows those that there are"
        store.check()
    except (StoreError, SettingError) as error:
        return error.message
    return ""


def _location(runtime: Runtime, name: str) -> str:
    try:
        return runtime.bucket_locations.get(name, "")
    except SettingError:  # one that was named by a newer version
        return ""


def agency_stores(runtime: Runtime, agency: str) -> Mapping[str, ObjectStore]:
    """Return the buckets with the credentials of an agency. Raises `StoreDenied` if it is no longer configured."""
    if not agency or not runtime.agencies:
        return runtime.stores
    stores = runtime.agencies.get(agency)
    if stores is None:
        raise StoreDenied(
            f"agency {agency} is no longer configured; add [agencies.{agency}] to logkeep.toml, or name another one "
            "with `logkeep logs settings CLUSTER --agency NAME`"
        )
    return stores


def cluster_stores(runtime: Runtime, cluster_id: str) -> Mapping[str, ObjectStore]:
    """Return the buckets for reading a cluster's archive, with the credentials of its current agency."""
    with reading(runtime.database) as connection:
        return setting_stores(runtime, log_settings.fetch_setting(connection, cluster_id))


def setting_stores(runtime: Runtime, setting: LogSetting | None) -> Mapping[str, ObjectStore]:
    """Return the buckets for reading, with the credentials of the agency of a cluster's setting.

    If that agency is no longer configured, the buckets' own credentials are used, so that the archive stays readable.
    """
    return runtime.agencies.get(setting.agency, runtime.stores) if setting else runtime.stores
