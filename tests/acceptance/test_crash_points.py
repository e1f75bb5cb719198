"""A job is killed at every point between two of its side effects; whatever the point, what follows comes out the same."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from logkeep.clock import FixedClock
from logkeep.database import generations, manifests
from logkeep.database.connection import reading
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service import backups, clusters
from logkeep.service.backup_run import begin_run
from logkeep.service.rebuild import rebuild
from logkeep.service.rebuild_report import State
from logkeep.stores.layout import decode_manifest
from tests.integration.test_rebuild import forget
from tests.support.catalogue import all_segments
from tests.support.crash_points import NOW, go_on, run_until
from tests.support.installation import Installation, open_installation, reopen_installation
from tests.support.rotation import SimulatedNode

FAMILIES = {"es_server.json": "dated", "es_index_search_slowlog.json": "index", "gc.log": "jvm_start"}
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.crash_points"])


@dataclass
class Scene:
    """A job that was accepted and not begun: copied for each point, as no job changes the node."""

    template: Path
    node: SimulatedNode
    jobs: int  # records there are

    def copy(self, folder: Path) -> Path:
        shutil.copytree(self.template, folder)
        return folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: a killed process loses nothing of what it wrote, wherever that lies."""
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(params=["the first backup", "a backup after rotations", "a repair"])
def scene(request: pytest.FixtureRequest, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.delenv("LOGKEEP_TEST_POSTGRESQL", raising=False)  # a database that can be copied
    (tmp_path / "node").mkdir()  # on a disk, as logs are
    node = SimulatedNode(tmp_path / "node", seed=5)
    repair = request.param == "a repair"
    later = repair or request.param == "a backup after rotations"
    with open_installation(folder / "template") as installation:
        cluster = installation.add_cluster(n1=node.directory)
        for family in FAMILIES:
            node.write(family, 20)
        if later:
            assert installation.back_up(cluster).status is JobStatus.SUCCESS
            _write_and_rotate(node)
        if repair:
            for path in installation.objects()[::2]:
                path.unlink()
            installation.objects()[0].write_bytes(b"damaged")
            assert installation.findings(cluster, read_data=True)
        backups.start_backup(installation.runtime, cluster, repair=repair)
    return Scene(folder / "template", node, 2 if later else 1)


def _write_and_rotate(node: SimulatedNode) -> None:
    """One of the logs is amid its rotation: the `.gz` is half there, beside its plain twin."""
    for family, manner in FAMILIES.items():
        node.write(family, 10)
        for step in node.rotate_steps(family, manner):
            if manner == "dated" and step.startswith("grow"):
                break
        node.write(family, 10)


def _run(folder: Path, fatal: int | None, report: Path) -> int | None:
    process = _PROCESSES.Process(target=run_until, args=(folder, fatal, report))
    process.start()
    process.join(60)
    return process.exitcode


def test_job_killed_at_any_point_comes_out_as_if_it_had_not_been(scene: Scene, folder: Path) -> None:
    assert _run(scene.copy(folder / "whole"), None, folder / "points") == 0
    points = (folder / "points").read_text().split("\n")
    assert len(points) > 60 and {"before commit", "after commit", "read of the source"} <= set(points)
    wrong: list[str] = []
    seen: set[str] = set()
    for fatal, what in enumerate(points):
        killed = scene.copy(folder / "killed")
        assert _run(killed, fatal, folder / "unused") == -signal.SIGKILL
        left = _state(killed)
        if left not in seen:  # from the same state the same follows
            wrong += [f"killed at {fatal}, {what}: {problem}" for problem in _go_on_and_check(killed, scene)]
        seen.add(left)
        shutil.rmtree(killed)
    assert not wrong
    assert len(seen) > 10


def test_job_killed_in_each_attempt_comes_out_as_if_it_had_not_been(scene: Scene, folder: Path) -> None:
    """Each attempt gets one point further than the one before it."""
    killed = scene.copy(folder / "killed")
    kills = 0
    while _run(killed, kills, folder / "unused"):
        kills += 1
    assert kills > 10
    assert not _go_on_and_check(killed, scene)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scene", ["a repair"], indirect=True)
def test_database_lost_at_any_point_of_a_repair_is_made_anew_and_the_repair_goes_on(scene: Scene, folder: Path) -> None:
    assert _run(scene.copy(folder / "whole"), None, folder / "points") == 0
    seen: set[str] = set()
    # At each third point, as the test above is at all of them and this one takes as long.
    for fatal in range(0, len((folder / "points").read_text().split("\n")), 3):
        killed = scene.copy(folder / "killed")
        assert _run(killed, fatal, folder / "unused") == -signal.SIGKILL
        left = _objects(killed)
        if left not in seen:
            _rebuild_and_check(killed, scene)
        seen.add(left)
        shutil.rmtree(killed)
    assert len(seen) > 5


def _rebuild_and_check(killed: Path, scene: Scene) -> None:
    with reopen_installation(killed, FixedClock(NOW + 60_000)) as found:
        installation = forget(found)
        [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
        assert (rebuilt.state, rebuilt.problems) == (State.REBUILT, [])
        [cluster] = clusters.list_clusters(installation.runtime, installation.project.id)[0]
        installation.findings(cluster, read_data=True)  # asks for what is lost
        installation.run(backups.start_backup(installation.runtime, cluster, repair=True))
        restored = {family: data for (_, family), data in installation.restored(cluster).items()}
        assert restored == {family: scene.node.written(family) for family in FAMILIES}
        assert not installation.findings(cluster, read_data=True, chain=True)
        stored = installation.objects()
        assert installation.back_up(cluster).status is JobStatus.SUCCESS
        assert installation.objects() == stored
        installation.runtime.database.dispose()


def _objects(installation: Path) -> str:
    """What a killed process left in the bucket."""
    bucket = installation / "buckets"
    objects = {
        str(path.relative_to(bucket)): path.read_bytes()
        for path in bucket.rglob("*")
        if path.is_file() and ".tmp" not in path.parts
    }
    return sha256(repr(sorted(objects.items())).encode()).hexdigest()


def _state(installation: Path) -> str:
    """All that a killed process left: what is in the bucket, and every row of the database."""
    with closing(sqlite3.connect(installation / "logkeep.db")) as database:
        rows = list(database.iterdump())
    return sha256(repr((_objects(installation), rows)).encode()).hexdigest()


def _go_on_and_check(killed: Path, scene: Scene) -> list[str]:
    try:
        with reopen_installation(killed, FixedClock(NOW + 60_000)) as installation:
            go_on(installation)
            _check(installation, scene)
    except AssertionError as error:
        return [str(error)]
    return []


def _check(installation: Installation, scene: Scene) -> None:
    runtime = installation.runtime
    cluster = clusters.list_clusters(runtime, installation.project.id)[0][0]
    _check_settled(installation, cluster, scene.jobs)
    restored = {family: data for (_, family), data in installation.restored(cluster).items()}
    assert restored == {family: scene.node.written(family) for family in FAMILIES}
    assert not installation.findings(cluster, read_data=True, chain=True)
    _check_catalogue(installation, cluster, scene.jobs)
    stored = [segment.object for segment in all_segments(runtime.database, cluster.id)]
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert stored == [segment.object for segment in all_segments(runtime.database, cluster.id)]
    assert not installation.findings(cluster, read_data=True, chain=True)


def _check_settled(installation: Installation, cluster: Cluster, expected: int) -> None:
    """As many records as there were calls, each ended in success, and counted so."""
    jobs, total = backups.list_jobs(installation.runtime, installation.project.id, cluster.id)
    assert [job.status for job in jobs] == [JobStatus.SUCCESS] * expected
    assert total == expected
    assert not backups.list_running(installation.runtime)
    for job in jobs:
        assert begin_run(installation.runtime, job.job_id) is None


def _check_catalogue(installation: Installation, cluster: Cluster, expected: int) -> None:
    """Each byte is kept by one segment, and each segment named by one manifest of one chain."""
    runtime = installation.runtime
    named: Counter[str] = Counter()
    previous = ""
    with reading(runtime.database) as connection:
        rows = manifests.fetch_manifests(connection, cluster.id)
    for row in rows:
        manifest = decode_manifest(runtime.stores[row.bucket].get(row.object))
        assert manifest.previous == previous
        previous = row.sha256
        named.update(segment.object for segment in manifest.segments)
    assert len(rows) == expected
    ends: Counter[int] = Counter()
    for segment in all_segments(runtime.database, cluster.id):
        assert segment.start == ends[segment.generation]
        ends[segment.generation] = segment.end
        assert named.pop(segment.object) == 1
    assert not named
    assert ends == Counter(
        {c.generation: c.kept for _, c in generations.fetch_generations(runtime.database, cluster.id)}
    )
