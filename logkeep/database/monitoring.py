"""Statements on the installation as a whole, by sums and indexes: they are asked again and again."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from logkeep.database.jobs import RUNNING
from logkeep.database.log_settings import RUNS, policy_runs
from logkeep.database.short_reads import asking
from logkeep.database.tables import clusters, job_counts, jobs, projects, verifications
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.policy import PolicyHistory


@dataclass(frozen=True, slots=True)
class Verified:
    """What the last verifications of all clusters came to."""

    clusters: int  # of which one was carried out
    failed: int  # clusters whose last one could not be carried out
    findings: int
    oldest: int | None  # end of the oldest of them, Unix ms


def fetch_all_runs(engine: Engine) -> list[PolicyHistory]:
    """Return what is known of the runs of every daily policy."""
    with asking(engine) as ask:
        return [policy_runs(row) for row in ask(RUNS, {})]


def count_records(connection: Connection) -> dict[JobStatus, int]:
    statement = select(job_counts.c.status, func.sum(job_counts.c.jobs)).group_by(job_counts.c.status)
    found = {row[0]: int(row[1]) for row in connection.execute(statement)}
    return {status: found.get(str(status), 0) for status in JobStatus}


def count_queued(connection: Connection) -> int:
    """Count the jobs that are RUNNING for a client but that no worker has begun."""
    return connection.execute(select(func.count()).where(RUNNING, jobs.c.attempt == 0)).scalar_one()


def fetch_successes(connection: Connection, most: int) -> list[tuple[str, str, int]]:
    """Return names of project and cluster, and the end of its newest success, of at most `most` clusters."""
    succeeded = job_counts.c.status == str(JobStatus.SUCCESS)
    statement = select(projects.c.name, clusters.c.name, job_counts.c.last_at).join_from(clusters, projects)
    statement = statement.join(job_counts, job_counts.c.cluster_id == clusters.c.id)
    rows = connection.execute(statement.where(succeeded, job_counts.c.last_at.is_not(None)).limit(most))
    return [(row[0], row[1], row[2]) for row in rows]


def sum_verifications(connection: Connection) -> Verified:
    v = verifications.c
    findings = func.coalesce(func.sum(v.findings), 0)
    statement = select(func.count(v.finished_at), func.count(v.failed_at), findings, func.min(v.finished_at))
    row = connection.execute(statement).one()
    return Verified(row[0], row[1], int(row[2]), row[3])
