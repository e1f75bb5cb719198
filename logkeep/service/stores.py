"""Selection of the credentials with which a bucket is opened; an agency is a named set of them."""

from __future__ import annotations

from collections.abc import Mapping

from logkeep.database import jobs, log_settings
from logkeep.database.connection import reading
from logkeep.domain.backup_job import BackupJob
from logkeep.errors import StoreDenied
from logkeep.service.runtime import Runtime
from logkeep.stores.base import ObjectStore, find_store


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


def job_store(runtime: Runtime, job: BackupJob) -> ObjectStore:
    """Return the bucket of a job, with the credentials of the agency that was set when the job started."""
    with reading(runtime.database) as connection:
        agency = jobs.fetch_agency(connection, job.job_id)
    return find_store(agency_stores(runtime, agency), job.bucket)


def cluster_stores(runtime: Runtime, cluster_id: str) -> Mapping[str, ObjectStore]:
    """Return the buckets for reading a cluster's archive, with the credentials of its current agency.

    If that agency is no longer configured, the buckets' own credentials are used, so that the archive stays readable.
    """
    with reading(runtime.database) as connection:
        setting = log_settings.fetch_setting(connection, cluster_id)
    return runtime.agencies.get(setting.agency, runtime.stores) if setting else runtime.stores
