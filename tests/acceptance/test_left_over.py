"""What a real kill leaves in the bucket: a manifest of a job that is cancelled then, half of a removal, half of a look.

The process is killed at a given point between two of its side effects, as the operating system kills it.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logkeep.clock import FixedClock
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service import backups, clusters, log_settings, sweep
from logkeep.service.rebuild import rebuild
from logkeep.service.rebuild_report import State
from tests.integration.test_put_back import copy_database, put_back
from tests.integration.test_rebuild import forget
from tests.support.crash_points import NOW, remove_until, run_until
from tests.support.installation import SETTING, Installation, open_installation, reopen_installation

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.crash_points"])
_VERIFY_CHAIN = Path(__file__).parents[2] / "docs" / "verify_chain.py"


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """The directory of an installation with one backup and more to keep, and the log of its node."""
    monkeypatch.delenv("LOGKEEP_TEST_POSTGRESQL", raising=False)  # a database that can be copied
    log = tmp_path / "n1" / "es.log"
    log.parent.mkdir()
    log.write_bytes(b"[2026-11-24T00:00:00,000] first\n")
    with open_installation(tmp_path / "installation") as installation:
        installation.back_up(installation.add_cluster(n1=log.parent))
    yield tmp_path / "installation", log


def run_to(action: Callable[[Path, int | None, Path], None], folder: Path, fatal: int | None) -> list[str]:
    """Carry the action out in a process that is killed at a point; without one, the points that were passed."""
    report = folder.with_name("points")
    process = _PROCESSES.Process(target=action, args=(folder, fatal, report))
    process.start()
    process.join(60)
    assert process.exitcode == (0 if fatal is None else -signal.SIGKILL)
    return report.read_text().split("\n") if fatal is None else []


def find_points(action: Callable[[Path, int | None, Path], None], folder: Path) -> list[str]:
    """All points that the action passes, found out on a copy."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    points = run_to(action, copy, None)
    shutil.rmtree(copy)
    return points


def the_cluster(installation: Installation) -> Cluster:
    return clusters.list_clusters(installation.runtime, installation.project.id)[0][0]


def append(log: Path, line: bytes) -> None:
    with log.open("ab") as file:
        file.write(b"[2026-11-24T00:00:09,000] %s\n" % line)


def leave_a_manifest(folder: Path, log: Path) -> None:
    """A job is killed when its manifest is stored and the database does not know it yet; then it is cancelled."""
    append(log, b"second")
    with reopen_installation(folder, FixedClock(NOW - 1000)) as installation:
        backups.start_backup(installation.runtime, the_cluster(installation))
    points = find_points(run_until, folder)
    [stored] = [number for number, what in enumerate(points) if what.startswith("after put") and what.endswith(".json")]
    run_to(run_until, folder, stored)
    with reopen_installation(folder, FixedClock(NOW)) as installation:
        [(job_id, _)] = backups.list_running(installation.runtime)
        backups.cancel_job(installation.runtime, installation.project.id, job_id)


def expect_whole(installation: Installation, log: Path) -> None:
    cluster = the_cluster(installation)
    assert installation.findings(cluster, chain=True) == []
    assert installation.restored(cluster) == {("n1", "es.log"): log.read_bytes()}
    checked = subprocess.run(
        [sys.executable, _VERIFY_CHAIN, installation.folder / "sign.pub", installation.bucket],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert checked.stdout.endswith("0 findings\n"), checked.stdout


@pytest.mark.parametrize("cleared", [False, True])
def test_manifest_of_a_job_that_was_killed_and_cancelled_forks_no_chain(
    scene: tuple[Path, Path], *, cleared: bool
) -> None:
    folder, log = scene
    leave_a_manifest(folder, log)
    with reopen_installation(folder, FixedClock(NOW + 2000)) as installation:
        cluster = the_cluster(installation)
        append(log, b"third")
        assert installation.back_up(cluster).status is JobStatus.SUCCESS
        if cleared:
            log_settings.close_backup(installation.runtime, cluster)
            log_settings.open_backup(installation.runtime, cluster, SETTING)
            assert [job.status for job in installation.jobs(cluster)] == [JobStatus.SUCCESS] * 2
        append(log, b"fourth")
        assert installation.back_up(cluster).status is JobStatus.SUCCESS
        expect_whole(installation, log)
        list(sweep.sweep(installation.runtime, cluster, grace_ms=0, remove=False))
        lost = forget(installation)
        outcome = rebuild(lost.runtime, ["logs"])
        assert outcome.problems == []
        assert [(one.state, one.problems) for one in outcome.clusters] == [(State.REBUILT, [])]
        expect_whole(lost, log)
        append(log, b"fifth")
        assert lost.back_up(cluster).status is JobStatus.SUCCESS
        expect_whole(lost, log)


@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_database_put_back_from_before_such_a_job_takes_up_what_counts(
    scene: tuple[Path, Path], tmp_path: Path, jobs: int
) -> None:
    folder, log = scene
    shutil.copy(folder / "logkeep.db", tmp_path / "before.db")
    leave_a_manifest(folder, log)
    with reopen_installation(folder, FixedClock(NOW + 2000)) as installation:
        cluster = the_cluster(installation)
        for number in range(jobs):
            append(log, b"more %d" % number)
            assert installation.back_up(cluster).status is JobStatus.SUCCESS
        known = installation.jobs(cluster)
        again = put_back(installation, tmp_path / "before.db")
        append(log, b"last")
        assert again.back_up(cluster).status is JobStatus.SUCCESS
        if jobs:
            assert again.jobs(cluster)[1:] == known
        expect_whole(again, log)


def test_look_for_newer_manifests_that_is_killed_at_any_point_is_made_again(
    scene: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, log = scene
    with reopen_installation(folder, FixedClock(NOW - 9000)) as installation:
        went_on = copy_database(installation, tmp_path / "before.db")
        cluster = the_cluster(went_on)
        for number in range(3):
            append(log, b"more %d" % number)
            went_on.back_up(cluster)
        again = put_back(went_on, tmp_path / "before.db")
        append(log, b"last")
        backups.start_backup(again.runtime, cluster)
        again.runtime.database.dispose()
    points = find_points(run_until, folder)
    last = points.index("read of the source")  # then all is taken up
    assert 4 < last < 40
    for fatal in range(last + 1):
        killed = folder.with_name("killed")
        shutil.copytree(folder, killed)
        run_to(run_until, killed, fatal)
        run_to(run_until, killed, None)
        with reopen_installation(killed, FixedClock(NOW + 9000)) as installation:
            assert [job.status for job in installation.jobs(cluster)] == [JobStatus.SUCCESS] * 5, points[fatal]
            expect_whole(installation, log)
        shutil.rmtree(killed)


def test_removal_that_is_killed_at_any_point_leaves_a_cluster_or_none(scene: tuple[Path, Path]) -> None:
    folder, log = scene
    points = find_points(remove_until, folder)
    assert [what.partition(" ")[0] for what in points if " put " in what].count("after") == 2
    for fatal in range(len(points)):
        killed = folder.with_name("killed")
        shutil.copytree(folder, killed)
        run_to(remove_until, killed, fatal)
        expect_either(killed, log, points[fatal])
        shutil.rmtree(killed)


def expect_either(folder: Path, log: Path, point: str) -> None:
    """It is there, whole, and goes on; or it is gone and a rebuild leaves it out."""
    with reopen_installation(folder, FixedClock(NOW)) as installation:
        found = clusters.find_clusters(installation.runtime)
        if not found:
            outcome = rebuild(forget(installation).runtime, ["logs"])
            assert [one.state for one in outcome.clusters] == [State.REMOVED], point
            return
        [cluster] = found
        assert installation.findings(cluster, chain=True) == [], point
        assert installation.back_up(cluster).status is JobStatus.SUCCESS, point
        lost = forget(installation)
        assert [one.state for one in rebuild(lost.runtime, ["logs"]).clusters] == [State.REBUILT], point
        assert lost.restored(cluster) == {("n1", "es.log"): log.read_bytes()}
        assert clusters.remove_cluster(lost.runtime, cluster) is None


@pytest.mark.parametrize("name", ["as it was", "of the other"])
def test_removal_that_is_copied_to_another_place_removes_nothing_there(scene: tuple[Path, Path], name: str) -> None:
    folder, log = scene
    with reopen_installation(folder, FixedClock(NOW)) as installation:
        first = the_cluster(installation)
        other = clusters.add_cluster(
            installation.runtime, installation.project.id, "other", [clusters.NewNode("n1", f"file://{log.parent}")]
        )
        log_settings.open_backup(installation.runtime, other, SETTING)
        installation.back_up(other)
        clusters.remove_cluster(installation.runtime, first)
        [entry] = installation.bucket.rglob("_removed/*.json")
        place = installation.bucket / "css/log/other/_removed"
        place.mkdir()
        named = entry.name if name == "as it was" else entry.name.replace(first.id, other.id)
        shutil.copy(entry, place / named)
        shutil.copy(f"{entry}.sig", place / f"{named}.sig")
        assert installation.findings(other) != []  # what lies there is foreign
        lost = forget(installation)
        states = {one.cluster_id: one.state for one in rebuild(lost.runtime, ["logs"]).clusters}
        assert states == {first.id: State.REMOVED, other.id: State.REBUILT}
        shutil.rmtree(entry.parent)  # the true one is gone: the copy does not stand for it
        lost = forget(lost)
        outcome = rebuild(lost.runtime, ["logs"])
        assert {one.cluster_id: one.state for one in outcome.clusters}[first.id] is State.REBUILT
        assert any(named in problem and "counts for nothing" in problem for problem in outcome.problems)
