"""A log setting that is checked before it is saved, and the buckets that it may name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.database import tables
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.policy import PolicyRules
from logkeep.errors import LogkeepError
from logkeep.service import clusters, forecasts, log_settings
from logkeep.service.log_settings import check_setting, open_backup
from logkeep.service.stores import check_bucket, list_buckets
from tests.support.installation import SETTING, Installation

HOUR, DAY = 3_600_000, 86_400_000
LINE = b"[2026-11-24T00:00:00,000][INFO ] a line\n"


@pytest.fixture
def new(installation: Installation, logs: Path) -> Cluster:
    """A cluster whose log backup was never open."""
    nodes = [clusters.NewNode("n1", f"file://{logs}")]
    return clusters.add_cluster(installation.runtime, installation.project.id, "new", nodes)


def rows(installation: Installation) -> list[object]:
    with reading(installation.runtime.database) as connection:
        return [connection.execute(one.select()).all() for one in (tables.log_settings, tables.places, tables.jobs)]


def test_a_check_tells_what_opening_then_does(installation: Installation, new: Cluster) -> None:
    before = rows(installation)
    asked = replace(SETTING, auto_enable=True, period="00:00 GMT+08:00")
    found = check_setting(installation.runtime, new, asked)
    assert rows(installation) == before
    assert (found.bucket, found.folder, found.archive) == ("logs", "css/log/new", "")
    assert found.location == f"fs:{installation.bucket.resolve()}"
    open_backup(installation.runtime, new, asked)
    assert forecasts.get_policy(installation.runtime, new).next_runs == found.next_runs
    assert len(found.next_runs) == 5


def test_a_check_of_what_is_open_keeps_its_plan(installation: Installation, cluster: Cluster, logs: Path) -> None:
    runtime = replace(installation.runtime, policy=PolicyRules(spread_ms=HOUR))
    log_settings.start_policy(runtime, cluster, "00:00 GMT+00:00")
    (logs / "prod.log").write_bytes(LINE)
    installation.back_up(cluster)
    installation.clock.advance(10 * DAY)
    found = check_setting(runtime, cluster, SETTING)
    assert found.archive == cluster.id
    assert found.next_runs == forecasts.get_policy(runtime, cluster).next_runs
    assert found.next_runs[0] == installation.clock.now_ms(), "the run that is overdue"
    assert check_setting(runtime, cluster, replace(SETTING, auto_enable=False)).next_runs == ()


@pytest.mark.parametrize(
    "change",
    [
        replace(SETTING, agency="no agency"),
        replace(SETTING, bucket=""),
        replace(SETTING, bucket="other"),
        replace(SETTING, base_path="../up"),
        replace(SETTING, base_path="css/log/prod"),
        replace(SETTING, auto_enable=True),
        replace(SETTING, auto_enable=True, period="25:00 GMT+08:00"),
        replace(SETTING, auto_enable=True, period="05:00 GMT+99:00"),
    ],
)
def test_what_opening_refuses_the_check_refuses_alike(
    installation: Installation, cluster: Cluster, new: Cluster, change: LogSettingChange
) -> None:
    said: list[tuple[type[LogkeepError], str]] = []
    for act in (check_setting, open_backup):
        with pytest.raises(LogkeepError) as refused:
            act(installation.runtime, new, change)
        said.append((refused.type, refused.value.message))
    assert said[0] == said[1]


def test_the_archive_of_another_cluster_is_refused(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "prod.log").write_bytes(LINE)
    installation.back_up(cluster)
    clusters.remove_cluster(installation.runtime, cluster)
    again = clusters.add_cluster(installation.runtime, installation.project.id, "prod", cluster.nodes)
    with pytest.raises(LogkeepError, match=f"holds the archive of another cluster, {cluster.id}"):
        check_setting(installation.runtime, again, SETTING)


def test_buckets_are_listed_with_the_clusters_that_use_them(installation: Installation, cluster: Cluster) -> None:
    [logs] = list_buckets(installation.runtime)
    assert (logs.name, logs.location, logs.named) == ("logs", f"fs:{installation.bucket.resolve()}", False)
    assert logs.clusters == 1
    assert check_bucket(installation.runtime, "logs") == ""
    assert check_bucket(installation.runtime, "other").startswith("there is no bucket 'other'")
    shutil.rmtree(installation.bucket)
    installation.bucket.write_text("no folder")
    assert "logs" in check_bucket(installation.runtime, "logs")
