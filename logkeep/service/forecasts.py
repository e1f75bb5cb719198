"""Forecasts of which logs may lose lines before the next backup, and extra runs that prevent it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from logkeep.database import forecasts, jobs, log_settings
from logkeep.database.connection import reading, writing
from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster
from logkeep.domain.forecast import HORIZON_MS, LEAST_PAUSE_MS, Forecast, plan_extra_run
from logkeep.domain.policy import Policy, PolicyState, PolicyStatus, foresee_runs, judge_policy, next_run_of
from logkeep.errors import BackupClosed
from logkeep.service.runtime import Runtime


def get_policy(runtime: Runtime, cluster: Cluster) -> Policy:
    with reading(runtime.database) as connection:
        setting = log_settings.fetch_setting(connection, cluster.id)
        planned = log_settings.fetch_planned(connection, cluster.id)
        runs = log_settings.fetch_runs(connection, [cluster.id]).get(cluster.id)
    if setting is None or not setting.enabled:
        return Policy(period=None, adaptive=False, next_run=None, state=PolicyState.OFF, runs=None)
    now = runtime.clock.now_ms()
    state = judge_policy(runs, now, runtime.policy.stale_ms)
    return Policy(
        period=setting.period,
        adaptive=setting.adaptive,
        next_run=next_run_of(planned.moments(), now),
        state=state,
        runs=runs,
        next_runs=foresee_runs(setting.period, cluster.id, planned.daily, planned.extra, now, runtime.policy.spread_ms),
    )


def list_standings(runtime: Runtime, cluster_ids: Sequence[str]) -> dict[str, PolicyStatus]:
    """Return the policy state and the last success of each of these clusters."""
    with reading(runtime.database) as connection:
        runs = log_settings.fetch_runs(connection, cluster_ids)
        successes = jobs.fetch_last_successes(connection, cluster_ids)
    now = runtime.clock.now_ms()
    return {
        one: PolicyStatus(judge_policy(runs.get(one), now, runtime.policy.stale_ms), successes.get(one))
        for one in cluster_ids
    }


def set_adaptive(runtime: Runtime, cluster: Cluster, adaptive: bool) -> Policy:
    """Turn extra runs before a node deletes lines on or off. Raises `BackupClosed`."""
    now = runtime.clock.now_ms()
    with writing(runtime.database) as connection:
        setting = log_settings.lock_setting(connection, cluster.id)
        if setting is None or not setting.enabled:
            raise BackupClosed()
        if setting.adaptive != adaptive:
            log_settings.save_setting(connection, replace(setting, adaptive=adaptive, updated_at=now))
            if adaptive:
                _plan_first(connection, cluster.id, now)
    return get_policy(runtime, cluster)


def look_ahead(connection: Connection, job: BackupJob, now: int) -> list[Forecast]:
    """Plan the next extra run at the end of a job; return forecasts of loss before the next run of any kind."""
    planned = log_settings.fetch_planned(connection, job.cluster_id)
    extra = None
    if planned.adaptive:
        soonest = forecasts.fetch_safe_until(connection, job.cluster_id, now, job.created_at)
        extra = None if soonest is None else plan_extra_run(now, soonest)
    if extra != planned.extra:
        log_settings.save_extra_due(connection, job.cluster_id, extra)
    next_run = next_run_of(planned._replace(extra=extra).moments(), now)
    return forecasts.fetch_soonest(connection, job.cluster_id, next_run or now + HORIZON_MS, next_run)


def _plan_first(connection: Connection, cluster_id: str, now: int) -> None:
    """Plan the first extra run by what the last job forecast, but not immediately after that job."""
    newest = jobs.fetch_newest_job(connection, cluster_id)
    soonest = forecasts.fetch_safe_until(connection, cluster_id, now, now)
    extra = None
    if newest and soonest is not None:
        extra = max(now, (newest.finished_at or now) + LEAST_PAUSE_MS, now + (soonest - now) // 2)
    log_settings.save_extra_due(connection, cluster_id, extra)
