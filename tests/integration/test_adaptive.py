"""Warning before a node deletes what is not kept, and runs that come before it where they were asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.cluster import Cluster
from logkeep.domain.forecast import LEAST_PAUSE_MS, Forecast
from logkeep.errors import BackupClosed
from logkeep.service import backups, coverage, forecasts, job_details, log_settings
from tests.support.growing_node import SLOW, GrowingNode
from tests.support.installation import SETTING, Installation

MINUTE = 60_000
DAY = 24 * 60 * MINUTE


@dataclass
class World:
    """A node that rotates every three hours, so that a line is gone after twelve, and the service that keeps it."""

    installation: Installation
    cluster: Cluster
    node: GrowingNode
    jobs: list[BackupJob] = field(default_factory=list[BackupJob])
    lost_at: int | None = None  # when the first byte was lost that no backup kept

    def first_backup(self) -> None:
        self.node.grow(100)  # it has rotated already when it is first seen
        self.from_byte = min(start for start, _ in self.node.holds(SLOW).values())
        self._run_call(backups.start_backup(self.installation.runtime, self.cluster))

    def live(self, minutes: int) -> None:
        for _ in range(minutes // 10):
            self.node.grow()
            self.installation.clock.advance(10 * MINUTE)
            if self.lost_at is None and self.node.lost_since(self.kept):
                self.lost_at = self.now
            for job in backups.start_due_backups(self.installation.runtime):
                self._run_call(job)

    @property
    def now(self) -> int:
        return self.installation.clock.now_ms()

    def _run_call(self, job: BackupJob) -> None:
        self.kept = len(self.node.written(SLOW))
        self.jobs.append(self.installation.run(job))

    def forecasts(self, job: BackupJob) -> list[Forecast]:
        detail = job_details.get_detail(self.installation.runtime, self.installation.project.id, job.job_id)
        return list(detail.forecasts)

    def restored(self) -> bytes:
        return self.installation.restored(self.cluster)["n1", SLOW]


@pytest.fixture
def world(installation: Installation, tmp_path: Path) -> World:
    (tmp_path / "n1").mkdir()
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    node = GrowingNode(
        tmp_path / "n1", SLOW, lines=18, seconds=600, now_ms=installation.clock.now_ms() - 1000 * 600_000
    )
    return World(installation, cluster, node)


def test_a_daily_backup_alone_loses_lines_and_warned_before(world: World) -> None:
    log_settings.start_policy(world.installation.runtime, world.cluster, "00:00 GMT+00:00")
    world.first_backup()
    [soonest] = world.forecasts(world.jobs[0])
    assert (soonest.node, soonest.family) == ("n1", SLOW)
    assert soonest.safe_until == world.now + 12 * 60 * MINUTE
    world.live(3 * 24 * 60)
    assert world.lost_at is not None
    told = [one.safe_until for job in world.jobs if job.created_at < world.lost_at for one in world.forecasts(job)]
    assert told
    assert min(told) <= world.lost_at
    [log] = coverage.list_held(world.installation.runtime, world.cluster)
    assert log.gaps


@pytest.mark.parametrize("period", [None, "00:00 GMT+00:00"])
def test_with_added_runs_nothing_is_lost(world: World, period: str | None) -> None:
    runtime = world.installation.runtime
    if period:
        log_settings.start_policy(runtime, world.cluster, period)
    assert forecasts.set_adaptive(runtime, world.cluster, adaptive=True).adaptive
    world.first_backup()
    world.live(3 * 24 * 60)
    assert world.lost_at is None
    assert world.restored() == world.node.written(SLOW)[world.from_byte : world.kept]
    assert [world.forecasts(job) for job in world.jobs] == [[] for _ in world.jobs]
    assert {job.type for job in world.jobs[1:]} == {JobType.AUTO}
    assert 12 <= len(world.jobs) <= 18  # one each six hours, and the daily ones


def test_runs_are_added_at_most_every_five_minutes(world: World) -> None:
    runtime, clock = world.installation.runtime, world.installation.clock
    forecasts.set_adaptive(runtime, world.cluster, adaptive=True)
    storm = GrowingNode(world.node.directory, SLOW, lines=1, seconds=0.01, now_ms=clock.now_ms())
    world.node = storm
    world.first_backup()
    for _ in range(20):
        storm.grow(5)
        clock.advance(MINUTE)
        for job in backups.start_due_backups(runtime):
            world._run_call(job)
    assert 3 <= len(world.jobs) <= 5
    assert world.forecasts(world.jobs[-1])  # five minutes are too long here, and that is told


def test_a_node_that_cannot_be_read_is_not_tried_for_ever(world: World, tmp_path: Path) -> None:
    forecasts.set_adaptive(world.installation.runtime, world.cluster, adaptive=True)
    world.first_backup()
    world.node.directory.rename(tmp_path / "away")
    for _ in range(3 * 24 * 6):
        world.installation.clock.advance(10 * MINUTE)
        for job in backups.start_due_backups(world.installation.runtime):
            world._run_call(job)
    assert {job.status for job in world.jobs[1:]} == {JobStatus.FAIL}
    assert len(world.jobs) <= 12


def test_turning_it_on_uses_what_the_last_backup_knew(world: World) -> None:
    runtime, clock = world.installation.runtime, world.installation.clock
    world.first_backup()
    policy = forecasts.set_adaptive(runtime, world.cluster, adaptive=True)
    assert policy.next_run == clock.now_ms() + 6 * 60 * MINUTE
    clock.advance(13 * 60 * MINUTE)
    forecasts.set_adaptive(runtime, world.cluster, adaptive=False)
    policy = forecasts.get_policy(runtime, world.cluster)
    assert (policy.period, policy.adaptive, policy.next_run) == (None, False, None)


def test_turning_it_on_late_runs_at_once_but_not_just_after_a_job(world: World) -> None:
    runtime, clock = world.installation.runtime, world.installation.clock
    world.first_backup()
    clock.advance(12 * 60 * MINUTE - 2 * MINUTE)
    assert forecasts.set_adaptive(runtime, world.cluster, adaptive=True).next_run == clock.now_ms() + MINUTE
    forecasts.set_adaptive(runtime, world.cluster, adaptive=False)
    world._run_call(backups.start_backup(runtime, world.cluster))
    policy = forecasts.set_adaptive(runtime, world.cluster, adaptive=True)
    assert policy.next_run is not None
    assert policy.next_run >= clock.now_ms() + LEAST_PAUSE_MS


def test_it_needs_an_open_log_backup_and_ends_with_it(world: World) -> None:
    runtime = world.installation.runtime
    forecasts.set_adaptive(runtime, world.cluster, adaptive=True)
    log_settings.open_backup(runtime, world.cluster, SETTING)
    assert forecasts.get_policy(runtime, world.cluster).adaptive
    world.first_backup()
    log_settings.close_backup(runtime, world.cluster)
    with pytest.raises(BackupClosed):
        forecasts.set_adaptive(runtime, world.cluster, adaptive=True)
    world.installation.clock.advance(DAY)
    assert backups.start_due_backups(runtime) == []
    log_settings.open_backup(runtime, world.cluster, SETTING)
    assert not forecasts.get_policy(runtime, world.cluster).adaptive


def test_coverage_tells_until_when_a_log_is_safe(world: World) -> None:
    world.first_backup()
    [log] = coverage.list_held(world.installation.runtime, world.cluster)
    assert log.safe_until == world.now + 12 * 60 * MINUTE
    world.installation.back_up(world.cluster)  # nothing has changed, and that is known a second later
    [log] = coverage.list_held(world.installation.runtime, world.cluster)
    assert log.safe_until == world.now + 12 * 60 * MINUTE
