"""Random histories of a node and its backups, after which the database is lost: the bucket gives back the very same."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.backup import node_backup
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import RetentionRule
from logkeep.service import log_settings, retention
from logkeep.service.rebuild import rebuild
from logkeep.service.retention_run import RetentionRun
from tests.integration.test_rebuild import everything, forget
from tests.properties.test_tampered_buckets import run_script
from tests.support.installation import SETTING, Installation, open_installation
from tests.support.model import Node

MANNERS = {
    "es_server.json": "dated",
    "es_index_search_slowlog.json": "indexed",
    "app.log": "logrotate",
    "copied.log": "copytruncate",
}
families = st.sampled_from(sorted(MANNERS))
actions = st.one_of(
    st.tuples(st.just("write"), families, st.integers(0, 4)),
    st.tuples(st.just("rotate"), families),
    st.tuples(st.just("step"), st.integers(1, 9)),
    st.tuples(st.just("truncate"), families),
    st.tuples(st.just("delete"), families),
    st.tuples(st.just("backup")),
    st.tuples(st.just("backup without bucket")),
    st.tuples(st.just("close")),
    st.tuples(st.just("retain"), st.integers(1, 3), st.booleans()),
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(node_backup, "_MAX_WAITS", 2)


def act(installation: Installation, cluster: Cluster, node: Node, action: tuple) -> None:
    match action:
        case ("write", family, count):
            node.write(family, count)
        case ("rotate", family):
            node.rotate(family, MANNERS[family])
        case ("step", count):
            for _ in range(count):
                node.step()
        case ("truncate", family):
            node.truncate(family)
        case ("delete", family):
            node.drop(family)
        case ("backup",):
            installation.back_up(cluster)
        case ("backup without bucket",):
            away = installation.folder / "away"
            installation.bucket.rename(away)
            installation.back_up(cluster)
            away.rename(installation.bucket)
        case ("close",):
            installation.clock.advance(1)
            log_settings.close_backup(installation.runtime, cluster)
            installation.clock.advance(1)
            log_settings.open_backup(installation.runtime, cluster, SETTING)
        case ("retain", jobs, finished):
            retain(installation, cluster, jobs, finished=finished)


def retain(installation: Installation, cluster: Cluster, jobs: int, *, finished: bool) -> None:
    """Remove what no rule keeps; unless it is finished, the objects lie in the bucket yet."""
    retention.set_rules(installation.runtime, cluster, [RetentionRule(keep_jobs=jobs)], "alice")
    steps = retention.run(installation.runtime, cluster, confirm=True, who="alice")
    with pytest.MonkeyPatch.context() as patched:
        if not finished:
            patched.setattr(RetentionRun, "_remove_objects", lambda _: iter(()))
        list(steps)


def told(installation: Installation, cluster: Cluster) -> dict[str, Any]:
    """All that can be asked of a cluster, with what was removed of it."""
    removals = retention.list_removals(installation.runtime, cluster)
    waiting = retention.get_state(installation.runtime, cluster).waiting
    return everything(installation, cluster) | {"removals": sorted(map(repr, removals)), "waiting": waiting.objects}


@settings(
    max_examples=int(os.environ.get("LOGKEEP_TEST_REBUILDS", "20")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(actions, min_size=4, max_size=20))
def test_rebuilt_catalogue_is_the_one_that_was_lost(history: list[tuple]) -> None:
    directory = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    logs = Path(tempfile.mkdtemp())  # on a disk, as logs are
    try:
        with open_installation(directory / "installation") as installation:
            node = Node(logs)
            cluster = installation.add_cluster(n1=logs)
            for action in history:
                act(installation, cluster, node, action)
            node.finish()
            installation.back_up(cluster)
            before = told(installation, cluster)
            assert not run_script(installation)
            stored = installation.objects()
            anew = forget(installation)
            assert [one.problems for one in rebuild(anew.runtime, ["logs"]).clusters] == [[]]
            assert told(anew, cluster) == before
            anew.back_up(cluster)
            assert anew.objects() == stored
            assert not before["findings"]
            anew.runtime.database.dispose()
    finally:
        shutil.rmtree(directory)
        shutil.rmtree(logs)
