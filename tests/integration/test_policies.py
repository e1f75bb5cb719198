"""Daily policies of many clusters: their starts are spread, what was missed is made up once, and states tell of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from logkeep.database import tables
from logkeep.database.connection import reading, writing
from logkeep.domain.backup_job import JobStatus, JobType
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.policy import LATE_MS, PolicyRules, PolicyState, next_start
from logkeep.service import backups, forecasts, log_settings
from tests.support.installation import SETTING, Installation, open_installation

HOUR = 3_600_000
DAY = 24 * HOUR
PERIOD = "00:00 GMT+00:00"


@pytest.fixture
def spread(tmp_path: Path) -> Iterator[Installation]:
    """An installation, an hour before midnight, whose clusters start within an hour of their period."""
    with open_installation(tmp_path / "installation") as installation:
        installation.clock.value = installation.clock.value // DAY * DAY + 23 * HOUR
        installation.runtime = replace(installation.runtime, policy=PolicyRules(spread_ms=HOUR))
        yield installation


def add_policies(installation: Installation, number: int, due_at: int) -> list[str]:
    """Clusters with a policy, put straight into the tables."""
    now = installation.clock.now_ms()
    ids = [f"00000000-0000-4000-8000-{n:012x}" for n in range(number)]
    common = {"project_id": installation.project.id, "kind": "opensearch", "version": "", "endpoint": ""}
    with writing(installation.runtime.database) as connection:
        times = {"created_at": now, "updated_at": now}
        connection.execute(insert(tables.clusters), [{"id": one, "name": one, **common, **times} for one in ids])
        setting = {"enabled": True, "agency": "a", "bucket": "logs", "base_path": "p", "period": PERIOD}
        planned = {"updated_at": now, "policy_since": now}
        spread_ms = installation.runtime.policy.spread_ms
        rows = [
            {"cluster_id": one, "id": one, "due_at": due_at or next_start(PERIOD, one, now, spread_ms)} for one in ids
        ]
        connection.execute(insert(tables.log_settings), [row | setting | planned for row in rows])
    return ids


def state_of(installation: Installation, cluster: Cluster) -> PolicyState:
    return forecasts.list_standings(installation.runtime, [cluster.id])[cluster.id].policy_state


def test_clusters_with_one_period_start_one_after_another(spread: Installation) -> None:
    add_policies(spread, 300, 0)
    midnight = spread.clock.value + HOUR
    starts: list[int] = []
    while spread.clock.value <= midnight + HOUR:
        starts += [job.created_at for job in backups.start_due_backups(spread.runtime)]
        spread.clock.advance(60_000)
    assert len(starts) == 300
    assert min(starts) >= midnight
    minutes = Counter((start - midnight) // 60_000 for start in starts)
    assert len(minutes) > 50
    assert max(minutes.values()) < 20


def test_after_a_down_time_all_are_made_up_once_and_not_at_one_look(spread: Installation) -> None:
    add_policies(spread, 250, 0)
    spread.clock.advance(3 * DAY)
    started = [len(backups.start_due_backups(spread.runtime)) for _ in range(5)]
    assert started == [100, 100, 50, 0, 0]
    assert len(backups.list_running(spread.runtime)) == 250


def test_a_run_made_up_late_is_missed_until_the_next_is_on_time(spread: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    cluster, clock = spread.add_cluster(n1=tmp_path / "n1"), spread.clock
    assert state_of(spread, cluster) is PolicyState.OFF
    log_settings.start_policy(spread.runtime, cluster, PERIOD)
    assert state_of(spread, cluster) is PolicyState.NEVER_RAN
    planned = forecasts.get_policy(spread.runtime, cluster).next_run
    assert planned is not None
    clock.value = planned
    [job] = backups.start_due_backups(spread.runtime)
    spread.run(job)
    assert state_of(spread, cluster) is PolicyState.OK
    clock.value = planned + DAY + LATE_MS + 1
    assert state_of(spread, cluster) is PolicyState.MISSED, "nothing has started it"
    [job] = backups.start_due_backups(spread.runtime)
    spread.run(job)
    policy = forecasts.get_policy(spread.runtime, cluster)
    assert policy.state is PolicyState.MISSED
    assert policy.runs
    assert (policy.runs.missed_at, policy.runs.last_success) == (planned + DAY, clock.value)
    assert policy.next_run == planned + 2 * DAY
    clock.value = planned + 2 * DAY
    [job] = backups.start_due_backups(spread.runtime)
    spread.run(job)
    assert state_of(spread, cluster) is PolicyState.OK


def test_a_run_that_waits_too_long_for_another_is_missed(spread: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    cluster, clock = spread.add_cluster(n1=tmp_path / "n1"), spread.clock
    log_settings.start_policy(spread.runtime, cluster, PERIOD)
    manual = backups.start_backup(spread.runtime, cluster)
    clock.advance(3 * HOUR)
    assert backups.start_due_backups(spread.runtime) == []
    assert state_of(spread, cluster) is PolicyState.MISSED
    spread.run(manual)
    [job] = backups.start_due_backups(spread.runtime)
    assert job.type is JobType.AUTO
    assert state_of(spread, cluster) is PolicyState.MISSED


def test_a_policy_is_stale_when_runs_only_fail(spread: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    cluster, clock = spread.add_cluster(n1=logs), spread.clock
    log_settings.start_policy(spread.runtime, cluster, PERIOD)
    logs.rmdir()
    for _ in range(2):
        clock.value = forecasts.get_policy(spread.runtime, cluster).next_run
        [job] = backups.start_due_backups(spread.runtime)
        assert spread.run(job).status is JobStatus.FAIL
        assert state_of(spread, cluster) is PolicyState.OK
    clock.advance(3 * HOUR)
    assert state_of(spread, cluster) is PolicyState.STALE
    logs.mkdir()
    spread.back_up(cluster)
    assert state_of(spread, cluster) is not PolicyState.STALE


def test_a_change_of_other_settings_leaves_the_next_start(spread: Installation, tmp_path: Path) -> None:
    """Also between the daily moment and the start."""
    (tmp_path / "n1").mkdir()
    cluster, clock = spread.add_cluster(n1=tmp_path / "n1"), spread.clock
    log_settings.start_policy(spread.runtime, cluster, PERIOD)
    planned = forecasts.get_policy(spread.runtime, cluster).next_run
    assert planned is not None
    clock.value = planned - 1
    log_settings.update_setting(spread.runtime, cluster, LogSettingChange("a", "logs", "elsewhere"))
    log_settings.start_policy(spread.runtime, cluster, PERIOD)
    forecasts.set_adaptive(spread.runtime, cluster, adaptive=True)
    assert forecasts.get_policy(spread.runtime, cluster).next_run == planned
    log_settings.start_policy(spread.runtime, cluster, "00:01 GMT+00:00")
    later = forecasts.get_policy(spread.runtime, cluster).next_run
    assert later in {planned + 60_000, planned + DAY + 60_000}  # today where that minute has not passed yet
    log_settings.close_backup(spread.runtime, cluster)
    log_settings.open_backup(spread.runtime, cluster, SETTING)
    assert forecasts.get_policy(spread.runtime, cluster).next_run is None


def test_what_is_not_due_costs_nothing(installation: Installation) -> None:
    """A look at 20,000 policies reads none of them."""
    add_policies(installation, 20_000, installation.clock.now_ms() + DAY)
    backups.start_due_backups(installation.runtime)
    began = time.perf_counter()
    for _ in range(20):
        assert backups.start_due_backups(installation.runtime) == []
    assert (time.perf_counter() - began) / 20 < 0.05
    if installation.runtime.database.dialect.name == "sqlite":
        with reading(installation.runtime.database) as connection:
            for column in ("due_at", "extra_due"):
                plan = connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN SELECT * FROM log_settings WHERE {column} <= 1 ORDER BY {column} LIMIT 9"
                ).all()
                assert "USING INDEX" in str(plan)
            plan = connection.exec_driver_sql(
                "EXPLAIN QUERY PLAN SELECT job_id, cluster_id FROM jobs WHERE status = 'RUNNING'"
            ).all()
            assert "ix_jobs_running" in str(plan)
