"""A job that takes long lets others have their turns, and keeps everything once all the same."""

from __future__ import annotations

import gzip
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.backup.segment import Sizes
from logkeep.database.connection import writing
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.errors import TurnOver
from logkeep.service import backup_run, backups, clusters, log_settings
from logkeep.service.backup_run import run_job
from logkeep.service.turns import Turn
from logkeep.work.queue import Queue, prepare_database
from tests.support.installation import SETTING, Installation


def lines(number: int) -> bytes:
    return b"".join(b"[2026-11-24T00:00:00,000][INFO ] event %d\n" % n for n in range(number))


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_run, "SIZES", Sizes(4096, 20_000))


def test_turn_lasts_until_others_wait_and_is_over_for_good_then() -> None:
    now, waiting, looks = [0.0], [False], [0]

    def others_wait() -> bool:
        looks[0] += 1
        return waiting[0]

    turn = Turn(600, others_wait, lambda: now[0])
    waiting[0] = True
    now[0] = 599
    assert (turn.is_over(), looks[0]) == (False, 0)
    waiting[0] = False
    now[0] = 600
    assert [turn.is_over() for _ in range(100)] == [False] * 100
    assert looks[0] == 1, "the queue is not asked with each commit"
    waiting[0] = True
    now[0] = 605
    assert turn.is_over()
    waiting[0] = False
    assert turn.is_over()


class Slots:
    """A queue without DBOS: the oldest goes first, and who has had a turn goes behind all others."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.waiting: deque[str] = deque()
        self.begun: list[str] = []  # job ids, one for each turn
        self.runtime = replace(
            installation.runtime,
            limits=replace(installation.runtime.limits, turn_seconds=0),
            others_wait=lambda: bool(self.waiting),
        )
        self._lock = threading.Lock()

    def add(self, cluster: Cluster) -> str:
        job = backups.start_backup(self.installation.runtime, cluster)
        self.waiting.append(job.job_id)
        return job.job_id

    def work(self, slots: int) -> None:
        threads = [threading.Thread(target=self._work) for _ in range(slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self.waiting:
                    return
                job_id = self.waiting.popleft()
                self.begun.append(job_id)
            try:
                run_job(self.runtime, job_id)
            except TurnOver:
                with self._lock:
                    self.waiting.append(job_id)


def make_cluster(installation: Installation, folder: Path, name: str, files: dict[str, bytes]) -> Cluster:
    (folder / name).mkdir()
    for file, data in files.items():
        (folder / name / file).write_bytes(data)
    node = clusters.NewNode("n1", f"file://{folder / name}")
    cluster = clusters.add_cluster(installation.runtime, installation.project.id, name, [node])
    log_settings.open_backup(installation.runtime, cluster, SETTING)
    return cluster


@pytest.mark.parametrize("slots", [1, 2])
def test_small_jobs_have_their_turns_while_two_giants_run_and_all_is_kept_once(
    installation: Installation, tmp_path: Path, slots: int
) -> None:
    whole = lines(8000)
    giants = [
        make_cluster(installation, tmp_path, "plain", {"es.log": whole}),
        make_cluster(installation, tmp_path, "packed", {"es-2026-11-24-1.log.gz": gzip.compress(whole)}),
    ]
    small = [make_cluster(installation, tmp_path, f"small-{n}", {"es.log": lines(3)}) for n in range(3)]
    queue = Slots(installation)
    jobs = [queue.add(cluster) for cluster in (*giants, *small)]
    queue.work(slots)
    assert queue.begun[:5] == jobs, "each small job began after at most one turn of each job before it"
    # A turn of no seconds ends after one commit, so each small one needs a second turn to end.
    assert [queue.begun.count(job) for job in jobs[2:]] == [2, 2, 2]
    assert slots > 1 or queue.begun[5:10] == jobs
    assert all(queue.begun.count(job) > 5 // slots for job in jobs[:2])
    for cluster, data in [*((giant, whole) for giant in giants), *((one, lines(3)) for one in small)]:
        [job] = installation.jobs(cluster)
        assert (job.status, job.failed_msg) == (JobStatus.SUCCESS, None)
        assert installation.restored(cluster) == {("n1", "es.log"): data}
        assert installation.findings(cluster, chain=True) == []


def test_job_goes_on_without_a_break_where_nobody_waits(installation: Installation, tmp_path: Path) -> None:
    cluster = make_cluster(installation, tmp_path, "alone", {"es.log": lines(8000)})
    queue = Slots(installation)
    queue.add(cluster)
    queue.work(2)
    assert len(queue.begun) == 1


def test_job_that_waits_for_its_next_turn_stays_running_and_can_be_cancelled(
    installation: Installation, tmp_path: Path
) -> None:
    cluster = make_cluster(installation, tmp_path, "plain", {"es.log": lines(8000)})
    job = backups.start_backup(installation.runtime, cluster)
    runtime = replace(
        installation.runtime, limits=replace(installation.runtime.limits, turn_seconds=0), others_wait=lambda: True
    )
    with pytest.raises(TurnOver):
        run_job(runtime, job.job_id)
    assert installation.jobs(cluster)[0].status is JobStatus.RUNNING
    backups.cancel_job(installation.runtime, installation.project.id, job.job_id)
    run_job(runtime, job.job_id)
    assert installation.jobs(cluster)[0].status is JobStatus.FAIL
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.restored(cluster) == {("n1", "es.log"): lines(8000)}


def test_job_that_has_only_to_be_seen_gives_its_slot_to_those_that_wait(
    installation: Installation, tmp_path: Path
) -> None:
    cluster = make_cluster(installation, tmp_path, "seen", {"es.log": lines(3)})
    waiting = iter([False, True])
    runtime = replace(installation.runtime, others_wait=lambda: next(waiting))
    job = backups.start_backup(runtime, cluster)
    with pytest.raises(TurnOver) as over:
        run_job(runtime, job.job_id, visible_ms=5000)
    assert 0 < over.value.idle_seconds <= 5
    assert installation.job(job.job_id).status is JobStatus.RUNNING
    stored = installation.objects()
    installation.clock.advance(5000)
    run_job(runtime, job.job_id, visible_ms=5000)
    assert installation.job(job.job_id).status is JobStatus.SUCCESS
    assert stored == installation.objects()
    assert installation.restored(cluster) == {("n1", "es.log"): lines(3)}
    assert installation.findings(cluster, chain=True) == []


def test_job_that_failed_is_not_begun_anew_to_be_seen(installation: Installation, tmp_path: Path) -> None:
    cluster = make_cluster(installation, tmp_path, "failed", {"es.log": lines(3)})
    installation.bucket.rename(tmp_path / "away")
    job = backups.start_backup(installation.runtime, cluster)
    run_job(replace(installation.runtime, others_wait=lambda: True), job.job_id, visible_ms=700)
    assert installation.job(job.job_id).status is JobStatus.FAIL


def test_job_whose_turn_is_over_waits_behind_all_that_wait_in_the_queue(installation: Installation) -> None:
    prepare_database(str(installation.runtime.database.url.render_as_string(hide_password=False)))
    queue = Queue(installation.runtime.database)
    try:
        assert not queue.others_wait()
        giant, policy, by_hand = ("a" * 32, "b" * 32, "c" * 32)
        with writing(installation.runtime.database) as connection:
            queue.enqueue(connection, policy, False)
            queue.enqueue(connection, by_hand, True)
        assert queue.others_wait()
        for _ in range(3):
            queue.enqueue_behind(giant)
        waiting = queue._list(["ENQUEUED"])
        order = sorted(waiting, key=lambda one: (one.priority or 0, one.created_at or 0))
        assert [one.workflow_id for one in order] == [by_hand, policy, *(f"{giant}-{n}" for n in (1, 2, 3))]
        queue.enqueue_behind(seen := "d" * 32, 5)
        [delayed] = queue._list(["DELAYED"])
        assert delayed.workflow_id == f"{seen}-1"
        assert (delayed.priority or 0) < (order[1].priority or 0), "not behind a night of policies"
    finally:
        queue.close()
