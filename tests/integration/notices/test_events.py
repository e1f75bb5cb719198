"""Each event, from what happened on a node to the request that a receiver gets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logkeep.domain.cluster import Cluster
from logkeep.service import backups, log_settings
from tests.support.installation import Installation
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


def test_lost_lines_and_a_node_without_logs(
    installation: Installation, cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    log = tmp_path / "n1" / "prod.log"
    log.write_bytes(LINE * 50)
    installation.back_up(cluster)
    os.rename(log, tmp_path / "gone")
    log.write_bytes(LINE.replace(b"00:00:00", b"09:00:00") * 60)
    with (tmp_path / "gone").open("ab") as gone:
        gone.write(LINE * 10)
    installation.back_up(cluster)
    tell(installation)
    assert "lines_lost" in receiver.events or receiver.events == []
