"""Each event, from what happened on a node to the request that a receiver gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from logkeep.database import tables
from logkeep.database.connection import writing
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster, NewNode
from logkeep.domain.notice import Event
from logkeep.errors import StoreError
from logkeep.service import backups, clusters, log_settings
from tests.support.installation import SETTING, Installation
from tests.support.notices import HOUR, MINUTE, SECRET, is_signed, look, tell, telling, told
from tests.support.receivers import Receiver, receiving

LINE = b"[2026-11-24T00:00:00,000][INFO ] a line that nobody may be told of\n"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def installation(tmp_path: Path, receiver: Receiver) -> Iterator[Installation]:
    target = f'name = "ops"\nurl = "{receiver.url}"\nsecret = "{SECRET}"'
    with telling(tmp_path / "installation", target, toml='console.url = "https://logs.example.com"') as installation:
        yield installation


@pytest.fixture
def cluster(installation: Installation, tmp_path: Path) -> Cluster:
    """With a daily backup, of which one has succeeded."""
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / "prod.log").write_bytes(LINE)
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+00:00")
    installation.back_up(cluster)
    look(installation)
    assert not told(installation)
    return cluster


def test_failure_is_told_once_and_the_first_success_behind_it(
    installation: Installation, cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    logs = tmp_path / "n1"
    logs.rename(tmp_path / "away")
    failed = installation.back_up(cluster)
    tell(installation)
    for _ in range(3):
        installation.back_up(cluster)
        tell(installation)
    (got,) = receiver.received
    assert got.json["type"] == "backup_failed"
    assert is_signed(got)
    data = got.json["data"]
    assert data["id"] == got.headers["webhook-id"]
    assert data["code"] == "LK-SOURCE-UNREACHABLE"
    assert data["cause"].startswith("cluster prod: the backup, 0 min ago, failed: LK-SOURCE-UNREACHABLE: ")
    assert data["remedy"] == "see `logkeep records prod --status FAIL`"
    assert data["url"] == f"https://logs.example.com/console/clusters/{cluster.id}"
    assert data["since"] == failed.finished_at
    assert "nobody may be told" not in got.body.decode()
    (tmp_path / "away").rename(logs)
    installation.back_up(cluster)
    tell(installation)
    assert receiver.events == ["backup_failed", "backup_recovered"]
    tell(installation)
    assert len(receiver.received) == 2


def test_missed_and_stale_are_told_and_end(installation: Installation, cluster: Cluster, receiver: Receiver) -> None:
    installation.clock.advance(24 * HOUR + 16 * MINUTE)
    tell(installation)
    assert receiver.events == ["backup_missed"]
    installation.clock.advance(3 * HOUR)
    tell(installation)
    assert receiver.events == ["backup_missed", "backup_stale"]
    for job in backups.start_due_backups(installation.runtime):
        installation.clock.advance(1000)
        installation.run(job)
    for _ in range(3):
        tell(installation)
    assert receiver.events == ["backup_missed", "backup_stale", "backup_recovered", "recovered"]
    assert receiver.received[-1].json["data"]["state"] == "overdue"
    tell(installation)
    assert len(receiver.received) == 4


def test_each_backup_that_loses_lines_is_told(
    installation: Installation, cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    for hour in ("05", "06"):
        (tmp_path / "n1" / "prod.log").write_bytes(LINE.replace(b"T00", f"T{hour}".encode()))
        installation.back_up(cluster)
        tell(installation)
        tell(installation)
    assert receiver.events == ["lines_lost", "lines_lost"]
    assert "the last backup met 1 gap" in receiver.received[0].json["data"]["cause"]
    (tmp_path / "n1" / "prod.log").write_bytes(LINE.replace(b"T00", b"T06") * 2)
    installation.back_up(cluster)
    for _ in range(3):
        tell(installation)
    assert receiver.events[2:] == ["recovered"]


def warn(installation: Installation, cluster: Cluster, code: str, *nodes: str) -> None:
    """A backup warns of these nodes by this code."""
    job = installation.back_up(cluster)
    row = {"cluster_id": cluster.id, "job_id": job.job_id, "family": "", "file": "", "code": code}
    with writing(installation.runtime.database) as connection:
        for node in nodes:
            values = {**row, "node": node, "key": node, "message": "see that it is mounted"}
            connection.execute(insert(tables.job_warnings).values(**values))


def test_a_node_that_is_left_out_is_told_once_and_another_one_again(
    installation: Installation, cluster: Cluster, receiver: Receiver
) -> None:
    for nodes in (("n1",), ("n1",), ("n1", "n2"), ("n2",)):
        warn(installation, cluster, "LK-NODE-EMPTY", *nodes)
        tell(installation)
    assert receiver.events == ["node_left_out", "node_left_out"]
    assert "(1 more)" in receiver.received[1].json["data"]["cause"]
    warn(installation, cluster, "LK-NODE-EMPTY")
    for _ in range(3):
        tell(installation)
    assert receiver.events[2:] == ["recovered"]


def test_a_new_node_and_logs_that_are_left_out(
    installation: Installation, cluster: Cluster, receiver: Receiver
) -> None:
    warn(installation, cluster, "LK-NODE-NEW", "n2")
    tell(installation)
    warn(installation, cluster, "LK-LOG-LARGE", "n1")
    for _ in range(3):
        tell(installation)
    assert receiver.events == ["node_new", "logs_left_out"]
    assert [one.json["data"]["code"] for one in receiver.received] == ["LK-NODE-NEW", "LK-LOG-LARGE"]


def test_damage_is_told_and_its_end(installation: Installation, cluster: Cluster, receiver: Receiver) -> None:
    (stored,) = installation.objects()
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1])
    installation.verify(cluster)
    tell(installation)
    assert receiver.events == ["archive_damaged"]
    assert receiver.received[0].json["data"]["remedy"] == "`logkeep verify prod` tells all"
    stored.write_bytes(whole)
    installation.verify(cluster)
    for _ in range(3):
        tell(installation)
    assert receiver.events == ["archive_damaged", "recovered"]


def test_a_bucket_that_is_away_is_told_of_the_bucket_alone(
    installation: Installation, cluster: Cluster, receiver: Receiver
) -> None:
    bucket = installation.bucket
    bucket.rename(bucket.with_name("away"))
    assert installation.back_up(cluster).status is JobStatus.FAIL
    for _ in range(3):
        installation.back_up(cluster)
        tell(installation)
    with suppress(StoreError):
        installation.verify(cluster)
    tell(installation)
    (got,) = receiver.received
    data = got.json["data"]
    assert (data["event"], data["code"], data["cluster"]) == ("bucket_away", "LK-STORE-MISSING", None)
    assert data["remedy"].startswith("`logkeep store check logs` tries it; ")
    bucket.with_name("away").rename(bucket)
    installation.back_up(cluster)
    installation.verify(cluster)
    for _ in range(3):
        tell(installation)
    assert receiver.events == ["bucket_away", "bucket_back"]


def test_a_job_that_waits_and_a_verification_that_does_not_come(
    installation: Installation, cluster: Cluster, receiver: Receiver
) -> None:
    installation.runtime = replace(installation.runtime, verify_every_ms=HOUR)
    installation.verify(cluster)
    look(installation)
    job = backups.start_backup(installation.runtime, cluster)
    installation.clock.advance(16 * MINUTE)
    tell(installation)
    assert receiver.events == ["job_stuck"]
    installation.run(job)
    installation.clock.advance(4 * HOUR)
    for _ in range(3):
        tell(installation)
    assert receiver.events == ["job_stuck", "archive_unverified", "recovered"]
    installation.verify(cluster)
    for _ in range(3):
        tell(installation)
    assert receiver.events[3:] == ["recovered"]


def test_what_is_never_set_up_is_told_after_a_while(
    installation: Installation, cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "n2").mkdir()
    new = [NewNode("n1", f"file://{tmp_path / 'n2'}")]
    closed = clusters.add_cluster(installation.runtime, installation.project.id, "new", new)
    tell(installation)
    assert receiver.events == []
    installation.clock.advance(16 * MINUTE)
    tell(installation)
    assert receiver.events == ["backup_unopened"]
    log_settings.open_backup(installation.runtime, closed, SETTING)
    for _ in range(3):
        tell(installation)
    assert receiver.events == ["backup_unopened", "backup_unplanned", "recovered"]
    clusters.remove_cluster(installation.runtime, closed)
    tell(installation)
    assert len(receiver.events) == 3
    assert [one.event for one in told(installation)] == [Event(name) for name in receiver.events]


def test_what_comes_and_goes_is_no_news(installation: Installation, cluster: Cluster, receiver: Receiver) -> None:
    for _ in range(5):
        warn(installation, cluster, "LK-LOG-LARGE", "n1")
        tell(installation)
        warn(installation, cluster, "LK-LOG-LARGE")
        tell(installation)
    assert receiver.events == ["logs_left_out"]


def test_log_backup_that_is_closed_ends_what_was_told(
    installation: Installation, cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "n1").rename(tmp_path / "away")
    installation.back_up(cluster)
    tell(installation)
    log_settings.close_backup(installation.runtime, cluster)
    for _ in range(3):
        tell(installation)
    assert receiver.events == ["backup_failed", "recovered"]
    assert "log backup was closed; it was failed before" in receiver.received[1].json["data"]["cause"]
