"""Statistics of an installation, for monitoring."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from logkeep.database import clusters, monitoring, notices, workers
from logkeep.database.connection import reading
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.policy import PolicyState, judge_policy
from logkeep.service.runtime import Runtime

_MOST_WORKERS = 200


@dataclass(frozen=True, slots=True)
class InstallationStats:
    """Statistics at one moment; times are Unix ms."""

    clusters: int
    policies: dict[PolicyState, int]  # number of clusters in each state
    records: dict[JobStatus, int]
    queued: int  # RUNNING records that no worker has begun
    oldest_success: int | None  # oldest among the last successes of all clusters with a policy
    successes: list[tuple[str, str, int]]  # project, cluster, last success; empty for too many clusters
    verified: monitoring.Verified
    notices_waiting: int  # for their delivery to a target
    workers: int  # alive, that carry out backups
    silences: dict[str, int]  # by worker: ms since its last heartbeat


def collect_stats(runtime: Runtime, most_named: int) -> InstallationStats:
    """Collect the statistics; clusters are named if there are at most `most_named`. Raises `CatalogueError`."""
    now = runtime.clock.now_ms()
    runs = monitoring.fetch_all_runs(runtime.database)
    found = Counter(judge_policy(one, now, runtime.policy.stale_ms) for one in runs)
    with reading(runtime.database) as connection:
        known = workers.fetch_workers(connection)
        number = clusters.count_clusters(connection)
        found[PolicyState.OFF] = max(0, number - len(runs))
        return InstallationStats(
            clusters=number,
            policies={state: found[state] for state in PolicyState},
            records=monitoring.count_records(connection),
            queued=monitoring.count_queued(connection),
            oldest_success=min((one.last_success for one in runs if one.last_success is not None), default=None),
            successes=monitoring.fetch_successes(connection, most_named) if number <= most_named else [],
            verified=monitoring.sum_verifications(connection),
            notices_waiting=sum(notices.count_waiting(connection).values()),
            workers=sum(one.alive and one.jobs_at_once > 0 for one in known),
            silences={one.id: one.silent_ms for one in known[-_MOST_WORKERS:]},
        )
