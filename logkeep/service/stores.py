"""Selection of the credentials with which a bucket is opened; an agency is a named set of them."""

from __future__ import annotations

from collections.abc import Mapping

from logkeep.database import log_settings
from logkeep.database.connection import reading
from logkeep.domain.log_setting import LogSetting
from logkeep.errors import StoreDenied
from logkeep.service.runtime import Runtime
from logkeep.stores.base import ObjectStore


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
