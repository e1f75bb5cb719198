"""Any interleaving of workers on the jobs of clusters: a record moves forward once, and only the newest attempt changes anything."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from msgspec import structs
from sqlalchemy import Table, select

from logkeep.backup.catalogue import Kept
from logkeep.database import jobs as statements
from logkeep.database import tables
from logkeep.database.connection import reading, writing
from logkeep.domain.backup_job import JobStatus, StatusFilter
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import EMPTY, Checkpoint, Fingerprint, Segment
from logkeep.errors import BackupRunning, JobSuperseded
from logkeep.service import backups, clusters, log_settings
from logkeep.service.backup_run import BackupRun, begin_run
from logkeep.service.catalogue import JobCatalogue
from tests.support.catalogue import all_segments
from tests.support.installation import SETTING, open_installation

_WATCHED = (tables.jobs, tables.job_counts, tables.generations, tables.segments, tables.findings, tables.manifests)
_MARK = Fingerprint(3, "0" * 64)


@dataclass
class Worker:
    """One attempt, which may pause for any time between two of its steps."""

    run: BackupRun
    catalogue: JobCatalogue
    kept: int  # how far it believes its log to be kept
    uploads: int = 0


@dataclass
class Model:
    """What must be true of one cluster."""

    cluster: Cluster
    jobs: list[str] = field(default_factory=list)  # job ids, in the order of their start
    running: str = ""
    attempts: dict[str, int] = field(default_factory=dict)  # the newest of each job
    ended: dict[str, JobStatus] = field(default_factory=dict)
    kept: int = 0


class Workers(RuleBasedStateMachine):
    """Two clusters, any number of workers."""

    workers = Bundle("workers")

    @initialize()
    def install(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.held = ExitStack()
        self.installation = self.held.enter_context(open_installation(self.folder / "installation"))
        self.runtime = self.installation.runtime
        for name in ("one", "two"):
            (self.folder / name).mkdir()
        self.models = [self._cluster(name) for name in ("one", "two")]

    def _cluster(self, name: str) -> Model:
        new = [clusters.NewNode("n1", f"file://{self.folder / name}")]
        cluster = clusters.add_cluster(self.runtime, self.installation.project.id, name, new)
        log_settings.open_backup(self.runtime, cluster, SETTING)
        return Model(cluster)

    def teardown(self) -> None:
        try:
            self._go_on()
        finally:
            self.held.close()
            shutil.rmtree(self.folder)

    def _go_on(self) -> None:
        """Whatever the workers left, as in a crash, a new attempt settles every job."""
        for job_id, _ in backups.list_running(self.runtime):
            run = begin_run(self.runtime, job_id)
            assert run
            run.finish()
        assert not backups.list_running(self.runtime)

    def _model(self, worker: Worker) -> Model:
        return next(model for model in self.models if model.cluster.id == worker.run.job.cluster_id)

    def _is_newest(self, worker: Worker) -> bool:
        """Of a job that still runs."""
        model = self._model(worker)
        return model.running == worker.run.job.job_id and model.attempts[worker.run.job.job_id] == worker.run.attempt

    def _rows(self) -> list[Any]:
        with reading(self.runtime.database) as connection:
            return [_all(connection, table) for table in _WATCHED]

    @rule(number=st.integers(0, 1))
    def start(self, number: int) -> None:
        self._start(self.models[number])

    def _start(self, model: Model) -> None:
        self.installation.clock.advance(1000)
        try:
            job = backups.start_backup(self.runtime, model.cluster)
        except BackupRunning:
            assert model.running
            return
        assert not model.running
        model.jobs.append(job.job_id)
        model.running = job.job_id
        model.attempts[job.job_id] = 0

    @rule(target=workers, number=st.integers(0, 1), which=st.integers(0, 20))
    def take_up(self, number: int, which: int) -> Any:
        """As the queue does, or a start after a crash, or the sweep; also jobs that have ended long ago."""
        model = self.models[number]
        if not model.running and which < 10:
            self._start(model)
        if not model.jobs:
            return multiple()
        job_id = model.running if model.running and which < 15 else model.jobs[which % len(model.jobs)]
        run = begin_run(self.runtime, job_id)
        if job_id != model.running:
            assert run is None
            return multiple()
        assert run
        model.attempts[job_id] += 1
        assert run.attempt == model.attempts[job_id]
        catalogue = JobCatalogue(self.runtime.database, model.cluster.id, job_id, run.attempt)
        return Worker(run, catalogue, model.kept)

    @rule(worker=workers, size=st.integers(1, 9))
    def commit(self, worker: Worker, size: int) -> None:
        worker.uploads += 1
        end = worker.kept + size
        checkpoint = Checkpoint(1, "es.log", 1.0, "es.log", end, _MARK, _MARK)
        segment = Segment(
            "n1", "es.log", 1, 1.0, "es.log", worker.kept, end, "logs",
            f"{worker.run.job.job_id}.{worker.run.attempt}-{worker.uploads}", 10, "0" * 64, _MARK, _MARK,
        )  # fmt: skip
        if self._changes(worker, lambda: worker.catalogue.commit([Kept(segment, checkpoint)])):
            worker.kept = self._model(worker).kept = end

    @rule(worker=workers)
    def commit_what_another_attempt_has_kept(self, worker: Worker) -> None:
        """Right attempt, wrong place: refused as well."""
        if worker.kept:
            before = self._rows()
            segment = Segment("n1", "es.log", 1, 1.0, "es.log", 0, 1, "logs", "twice", 1, "0" * 64, _MARK, _MARK)
            with pytest.raises(JobSuperseded):
                worker.catalogue.commit([Kept(segment, Checkpoint(1, "es.log", 1.0, "es.log", 1, _MARK, _MARK))])
            assert self._rows() == before

    @rule(worker=workers)
    def record(self, worker: Worker) -> None:
        """What a listing told waits for the node's next write."""
        before = self._rows()
        worker.catalogue.record_node("n1", [Checkpoint(2, "gc.log", 1.0, "gc.log", 0, EMPTY, EMPTY)], digest="d")
        assert self._rows() == before
        self._changes(worker, lambda: worker.catalogue.flush("n1"))

    @rule(worker=consumes(workers), failure=st.sampled_from(["", "LK-STORE-UNREACHABLE: the bucket"]))
    def finish(self, worker: Worker, failure: str) -> None:
        self.installation.clock.advance(10)
        if self._changes(worker, lambda: worker.run.finish(failure)):
            model = self._model(worker)
            model.ended[model.running] = JobStatus.FAIL if failure else JobStatus.SUCCESS
            model.running = ""

    @rule(worker=workers, status=st.sampled_from([JobStatus.SUCCESS, JobStatus.FAIL]))
    def finish_again(self, worker: Worker, status: JobStatus) -> None:
        """The statement itself changes no job that has ended."""
        if worker.run.job.job_id in self._model(worker).ended:
            before = self._rows()
            with writing(self.runtime.database) as connection:
                assert not statements.finish_job(
                    connection, structs.replace(worker.run.job, status=status, finished_at=1)
                )
                assert statements.begin_attempt(connection, worker.run.job.job_id) is None
            assert self._rows() == before

    def _changes(self, worker: Worker, deed: Any) -> bool:
        """Carry out what only the newest attempt of a running job may; from any other it is refused and changes nothing."""
        if self._is_newest(worker):
            deed()
            return True
        before = self._rows()
        with pytest.raises(JobSuperseded):
            deed()
        assert self._rows() == before
        return False

    @invariant()
    def records_are_as_they_were_told(self) -> None:
        if not hasattr(self, "models"):
            return
        for model in self.models:
            page = backups.list_jobs(self.runtime, self.installation.project.id, model.cluster.id, limit=100)
            statuses = {job.job_id: job.status for job in page[0]}
            running = {model.running: JobStatus.RUNNING} if model.running else {}
            assert statuses == model.ended | running
            assert page[1] == len(model.jobs)
            self._counts_agree(model)

    def _counts_agree(self, model: Model) -> None:
        for status in (StatusFilter.FAIL, StatusFilter.NOT_FAIL):
            page, total = backups.list_jobs(
                self.runtime, self.installation.project.id, model.cluster.id, limit=100, status=status
            )
            assert len(page) == total

    @invariant()
    def bytes_are_kept_once(self) -> None:
        if not hasattr(self, "models"):
            return
        for model in self.models:
            end = 0
            for segment in all_segments(self.runtime.database, model.cluster.id):
                assert segment.start == end
                end = segment.end
            assert end == model.kept


def _all(connection: Any, table: Table) -> list[tuple[Any, ...]]:
    return sorted(map(repr, connection.execute(select(table))))  # type: ignore[return-value]


Workers.TestCase.settings = settings(
    max_examples=16, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorkers = Workers.TestCase
