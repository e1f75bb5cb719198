"""Details of one job, while it runs and after."""

from __future__ import annotations

from sqlalchemy import Connection

from logkeep.database import clusters, job_nodes, jobs, retention, told_findings
from logkeep.database.connection import reading
from logkeep.database.warnings import fetch_warnings
from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.job_detail import JobDetail, JobNode, JobRemoved
from logkeep.errors import InvalidField
from logkeep.service.runtime import Runtime

MOST_TOLD = 1000  # findings of each kind; the job's manifest has all of them
_DAY_MS = 86_400_000


def get_detail(
    runtime: Runtime, project_id: str, job_id: str, *, cluster_id: str = "", offset: int = 0, limit: int = 1000
) -> JobDetail:
    """Return a job with its nodes and findings, and one page of its files; `offset` counts from 0.

    Raises `InvalidField` if the project, or the cluster if one is given, has no such job.
    """
    with reading(runtime.database) as connection:
        found = jobs.fetch_project_job(connection, project_id, job_id)
        if found is None or cluster_id not in {"", found[0].cluster_id}:
            owner = "cluster" if cluster_id else "project"
            raise InvalidField("job_id", f"the {owner} has no such job")
        job, attempts = found
        return JobDetail(
            job=job,
            attempts=attempts,
            nodes=_nodes(connection, job),
            files=list(job_nodes.fetch_files(connection, job_id, offset=offset, limit=limit)),
            gaps=job_nodes.fetch_gaps(connection, job_id, MOST_TOLD),
            failures=job_nodes.fetch_failures(connection, job_id, MOST_TOLD),
            warnings=fetch_warnings(connection, job_id, MOST_TOLD),
            forecasts=job_nodes.fetch_forecasts(connection, job_id, MOST_TOLD),
            removed=retention.fetch_removed_of_jobs(connection, [job_id]).get(job_id, JobRemoved()),
        )


def remove_told_findings(runtime: Runtime, forecast_days: int, after: int) -> int:
    """Delete sightings that a manifest tells of, and forecasts of jobs that ended so many days ago.

    Some rows are looked at, those after an id. Return the id to go on after.
    """
    before = runtime.clock.now_ms() - forecast_days * _DAY_MS
    return told_findings.delete_told(runtime.database, before, after)


def _nodes(connection: Connection, job: BackupJob) -> list[JobNode]:
    """Return the nodes that were begun and, while the job runs, those still to come."""
    begun = job_nodes.fetch_nodes(connection, job.job_id)
    if job.status is not JobStatus.RUNNING:
        return begun
    cluster = clusters.fetch_cluster(connection, job.cluster_id)
    named = {node.node for node in begun}
    to_come = [node.name for node in (cluster.nodes if cluster else ()) if node.name not in named]
    return [
        *begun,
        *(
            JobNode(
                node=name, started_at=None, finished_at=None, planned=None, done=None, files=0, lines=0, raw=0, stored=0
            )
            for name in to_come
        ),
    ]
