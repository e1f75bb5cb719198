"""Selection of the credentials with which a bucket is opened; an agency is a named set of them."""

from __future__ import annotations

from collections.abc import Mapping

from logkeep.database import jobs, log_settings
from logkeep.database.connection import reading
from logkeep.domain.backup_job import BackupJob
from logkeep.errors import StoreDenied
from logkeep.service.context import Context
from logkeep.stores.base import ObjectStore, find_store


def agency_stores(context: Context, agency: str) -> Mapping[str, ObjectStore]:
    """Return the buckets with the credentials of an agency. Raises `StoreDenied` if it is no longer configured."""
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
    """Return the bucket of a job, with the credentials of the agency that was set when the job started."""
    with reading(context.database) as connection:
        agency = jobs.fetch_agency(connection, job.job_id)
    return find_store(agency_stores(context, agency), job.bucket)


def cluster_stores(context: Context, cluster_id: str) -> Mapping[str, ObjectStore]:
    """Return the buckets for reading a cluster's archive, with the credentials of its current agency.

    If that agency is no longer configured, the buckets' own credentials are used, so that the archive stays readable.
    """
    with reading(context.database) as connection:
        setting = log_settings.fetch_setting(connection, cluster_id)
    return context.agencies.get(setting.agency, context.stores) if setting else context.stores
