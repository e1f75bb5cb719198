"""With whose credentials a bucket is opened: an agency is the name of a set of them."""

from __future__ import annotations

from collections.abc import Mapping

from logkeep.database import jobs, log_settings
from logkeep.database.connection import reading
from logkeep.domain.backup_job import BackupJob
from logkeep.errors import StoreDenied
from logkeep.service.context import Context
from logkeep.stores.base import ObjectStore, find_store


def agency_stores(context: Context, agency: str) -> Mapping[str, ObjectStore]:
    """The buckets as an agency opens them. Raises `StoreDenied` where others are configured and it is not."""
    if not agency or not context.agencies:
        return context.stores
    stores = context.agencies.get(agency)
    if stores is None:
        raise StoreDenied(
            f"agency {agency} is no longer configured; add [agencies.{agency}] to logkeep.toml, or name another one "
            "with `logkeep logs settings CLUSTER --agency NAME`"
        )
    return stores


def job_store(context: Context, job: BackupJob) -> ObjectStore:
    """The bucket that a job writes to, as the agency opens it that was set when the job was started."""
    with reading(context.database) as connection:
        agency = jobs.fetch_agency(connection, job.job_id)
    return find_store(agency_stores(context, agency), job.bucket)


def cluster_stores(context: Context, cluster_id: str) -> Mapping[str, ObjectStore]:
    """The buckets as what is kept of a cluster is read: as its agency of now opens them.

    Where that is no longer configured, with their own credentials: what is kept must not become unreadable by it.
    """
    with reading(context.database) as connection:
        setting = log_settings.fetch_setting(connection, cluster_id)
    return context.agencies.get(setting.agency, context.stores) if setting else context.stores
