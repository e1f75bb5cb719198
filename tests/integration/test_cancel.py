"""A job that is cancelled ends at once, wherever it waits, runs or hangs; what it kept stays."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.cluster import Cluster
from logkeep.errors import InvalidField, JobHandedOver, JobSuperseded
from logkeep.service import backups, clusters, log_settings
from logkeep.service.backup_run import begin_run, run_job
from logkeep.sources.base import Listing, LogSource, OpenLog
from tests.support.installation import Installation

CANCELLED = "LK-JOB-CANCELLED: The job was cancelled; what was kept until then stays, and the next backup goes on"


def cancel(installation: Installation, job: BackupJob) -> None:
    backups.cancel_job(installation.runtime, installation.project.id, job.job_id)


def start(installation: Installation, cluster: Cluster) -> BackupJob:
    installation.clock.advance(1000)
    return backups.start_backup(installation.runtime, cluster)


class Carried:
    """A job that a thread carries out."""

    def __init__(self, installation: Installation, job: BackupJob) -> None:
        self.ended: str = ""

        def run() -> None:
            try:
                run_job(installation.runtime, job.job_id)
                self.ended = "ended"
            except JobSuperseded:
                self.ended = "superseded"

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def seconds_to_end(self) -> float:
        began = time.monotonic()
        self._thread.join(20)
        assert not self._thread.is_alive()
        return time.monotonic() - began


class Hanging(LogSource):
    """A dead mount: its listing never comes back."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.back = threading.Event()

    def list(self) -> Listing:
        self.asked.set()
        self.back.wait()
        return Listing()

    def open(self, name: str) -> OpenLog:
        raise NotImplementedError


@pytest.fixture
def hanging(installation: Installation) -> Iterator[Hanging]:
    source = Hanging()
    yield source
    source.back.set()


def with_source(installation: Installation, source: LogSource) -> Installation:
    return replace(installation, runtime=replace(installation.runtime, open_source=lambda *_: source))


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_job_that_waits_is_ended_and_never_begins(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "es.log").write_bytes(b"line\n")
    job = start(installation, cluster)
    cancel(installation, job)
    ended = installation.run(job)
    assert ended.status is JobStatus.FAIL
    assert (ended.failed_msg or "").startswith(CANCELLED)
    assert installation.restored(cluster) == {}
    assert installation.back_up(cluster).status is JobStatus.SUCCESS


@pytest.mark.parametrize("kind", ["sparse", "gzip"])
def test_a_job_stops_in_the_middle_of_a_file_and_what_it_kept_stays(
    installation: Installation, cluster: Cluster, logs: Path, kind: str
) -> None:
    (logs / "a.log").write_bytes(b"line\n")
    if kind == "sparse":
        with (logs / "endless.log").open("wb") as file:
            file.seek(1 << 40)
            file.write(b"line\n")
        os.utime(logs / "endless.log", (1, 1))  # it stands still, so that the hole is content
    else:
        (logs / "endless.log.gz").write_bytes(gzip.compress(b"line\n" * ((32 << 20) // 5)) * 300)
    job = start(installation, cluster)
    carried = Carried(installation, job)
    begun = "a.log" if kind == "sparse" else "endless.log"  # of a hole nothing is kept before its end was seen
    until(lambda: ("n1", begun) in installation.restored_sizes(cluster))
    cancel(installation, job)
    assert installation.job(job.job_id).status is JobStatus.FAIL
    assert carried.seconds_to_end() < 5
    assert carried.ended == "superseded"
    assert installation.restored_sizes(cluster)["n1", "a.log"] == 5
    for path in logs.glob("endless*"):
        path.unlink()
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert not installation.findings(cluster, chain=True)


def test_a_job_that_hangs_in_a_dead_source_is_ended_and_gives_its_worker_back(
    installation: Installation, cluster: Cluster, hanging: Hanging
) -> None:
    stuck = with_source(installation, hanging)
    job = start(stuck, cluster)
    carried = Carried(stuck, job)
    hanging.asked.wait(10)
    cancel(stuck, job)
    assert carried.seconds_to_end() < 5
    log_settings.close_backup(installation.runtime, cluster)
    clusters.remove_cluster(installation.runtime, cluster)


def test_a_process_that_ends_hands_over_a_job_that_hangs(
    installation: Installation, cluster: Cluster, hanging: Hanging
) -> None:
    stuck = with_source(installation, hanging)
    job = start(stuck, cluster)
    outcome: list[str] = []

    def run() -> None:
        try:
            run_job(stuck.runtime, job.job_id)
        except JobHandedOver:
            outcome.append("handed over")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    hanging.asked.wait(10)
    stuck.runtime.stopping.set()
    thread.join(15)
    stuck.runtime.stopping.clear()
    assert outcome == ["handed over"]
    assert installation.job(job.job_id).status is JobStatus.RUNNING
    cancel(installation, job)


def test_only_what_was_started_by_hand_is_kept_running_for_clients_to_see(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    (logs / "es.log").write_bytes(b"line\n")
    runtime = installation.runtime
    planned = backups.start_backup(runtime, cluster, JobType.AUTO)
    run_job(runtime, planned.job_id, visible_ms=3_600_000)
    assert installation.job(planned.job_id).status is JobStatus.SUCCESS
    asked = begin_run(runtime, backups.start_backup(runtime, cluster).job_id)
    assert asked
    runtime.stopping.set()  # it waits no longer where the process ends
    with pytest.raises(JobHandedOver):
        asked.stay_visible(3_600_000)
    runtime.stopping.clear()
    assert installation.job(asked.job.job_id).status is JobStatus.RUNNING


def test_what_a_cancelled_job_kept_is_named_by_the_next_manifest(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    (logs / "es.log").write_bytes(b"line\n")
    job = start(installation, cluster)
    run = begin_run(installation.runtime, job.job_id)
    assert run
    run.back_up()
    cancel(installation, job)
    with pytest.raises(JobSuperseded):  # it came to its end just now
        run.finish()
    assert not list(installation.bucket.rglob("*.json*"))  # no manifest tells of a success
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.restored(cluster) == {("n1", "es.log"): b"line\n"}
    assert not installation.findings(cluster, chain=True)


def test_a_job_that_has_ended_stays_as_it_is(installation: Installation, cluster: Cluster) -> None:
    job = installation.back_up(cluster)
    cancel(installation, job)
    assert installation.job(job.job_id) == job


def test_a_job_of_another_project_cannot_be_cancelled(installation: Installation, cluster: Cluster) -> None:
    job = start(installation, cluster)
    with pytest.raises(InvalidField, match="the project has no such job"):
        backups.cancel_job(installation.runtime, "f" * 32, job.job_id)
    assert installation.job(job.job_id).status is JobStatus.RUNNING
