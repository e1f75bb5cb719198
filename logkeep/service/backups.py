"""Starting backups and listing their records."""

from __future__ import annotations

from logkeep.domain.backup_job import BackupJob, JobType, StatusFilter
from logkeep.domain.cluster import Cluster
from logkeep.service.context import Context


def start_backup(context: Context, cluster: Cluster, job_type: JobType = JobType.MANUAL) -> BackupJob:
    """Insert the record and enqueue the work in one transaction. Raises `BackupClosed`, `BackupRunning`."""
    raise NotImplementedError


def list_jobs(
    context: Context, cluster: Cluster, *, offset: int = 1, limit: int = 10, status: StatusFilter = StatusFilter.ALL
) -> tuple[list[BackupJob], int]:
    """One page, newest first and ties by id, and the number of all that pass the filter; `offset` counts from 1."""
    raise NotImplementedError


def get_job(context: Context, cluster: Cluster, job_id: str) -> BackupJob:
    """Raises `InvalidField` where the cluster has no such job."""
    raise NotImplementedError
