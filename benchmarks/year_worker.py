"""Worker of a simulated year: carries out jobs as they are due, and compares what they tell with what was sown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, event

from benchmarks.table_store import TableStore
from benchmarks.year_nodes import (
    DAY_MS,
    FIRST_MS,
    NODES,
    Failure,
    SimulatedLogs,
    Sowing,
    Written,
    all_lines,
    line_of,
    names_of,
)
from logkeep.bootstrap.logs import set_up_logging
from logkeep.bootstrap.runtime import open_runtime
from logkeep.clock import FixedClock
from logkeep.database import jobs
from logkeep.database.connection import reading
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import Finding
from logkeep.service import archive, coverage, identity, indexing, verification
from logkeep.service.backup_run import run_job
from logkeep.service.runtime import Runtime
from logkeep.settings import load_settings
from logkeep.sources.base import LogSource, Tenant
from logkeep.stores.base import ObjectStore

_CODES = {
    Failure.UNREACHABLE: "LK-SOURCE-UNREACHABLE",
    Failure.UNREADABLE: "LK-SOURCE-UNREADABLE",
    Failure.BUCKET: "LK-STORE-UNREACHABLE",
}


@dataclass(frozen=True)
class Options:
    folder: Path  # of the installation
    clusters: int
    days: int
    seed: int
    lines: int  # of each node and day
    processes: int  # that carry out the jobs; with 0 it is the one that hands them out
    measured: tuple[int, ...]  # days, at whose end it is measured
    keep_days: int = 90  # by a rule of each cluster

    @property
    def sowing(self) -> Sowing:
        return Sowing(self.seed, self.days)


class Task(NamedTuple):
    """A job that was started."""

    job_id: str
    cluster: str  # name
    started_at: int  # Unix ms


class Done(NamedTuple):
    """What came of it."""

    failure: Failure  # that was sown
    problem: str  # '' where it ended as it should
    wall: float  # ms
    cpu: float
    statements: int  # on the database


class _Killed(BaseException):
    """The process of a worker ends here."""


class Worker:
    """One process's view of the installation."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._clock = FixedClock(FIRST_MS)
        self._store = TableStore(options.folder / "bucket.db")
        runtime = open_runtime(load_settings(options.folder, {}))
        self.runtime = simulate(runtime, self._clock, self._store, self._open_source)
        self._project_id = identity.list_projects(runtime)[0].id
        self._statements = 0
        event.listen(runtime.database, "after_cursor_execute", self._count)

    def run(self, task: Task) -> Done:
        """Run a job under what is sown for its cluster and day, and compare its record with that."""
        self._clock.value = task.started_at
        failure = self._failure(task.cluster)
        self._store.away = failure is Failure.BUCKET
        self._store.fatal = _Killed() if failure is Failure.KILLED else None
        wall, cpu, before = time.perf_counter(), time.process_time(), self._statements
        try:
            run_job(self.runtime, task.job_id)
        except _Killed:
            self._store.fatal = None
            run_job(self.runtime, task.job_id)
        took = (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000
        statements = self._statements - before
        self._store.away = False
        return Done(failure, self._problem(task, failure), *took, statements)

    def close(self) -> None:
        self._store.close()
        self.runtime.database.dispose()

    def index(self, now: int) -> int:
        """Make the indexes that are due; return the number of segments."""
        self._clock.value, segments = now, 0
        while due := indexing.index_next(self.runtime):
            segments += sum(step.segments for step in due[1] if step.done)
        return segments

    def verify(self, now: int) -> list[str]:
        """Verify the clusters that are due; return what was found."""
        self._clock.value, found = now, list[str]()
        while due := verification.verify_most_due(self.runtime, self.runtime.verify_every_ms, 5.0):
            found += [f"{due[0].name}: {one.object}: {one.problem}" for one in due[1] if isinstance(one, Finding)]
        return found

    def compare(self, now: int, cluster: Cluster) -> list[str]:
        """Read everything back; return what is neither kept nor told as a gap."""
        self._clock.value = now
        success = coverage.get_last_success(self.runtime, cluster)
        gaps = {
            one.node: [(told.gap.after, told.gap.until) for told in one.gaps]
            for one in coverage.list_held(self.runtime, cluster)
        }
        since = success[1] if success else FIRST_MS
        return [problem for node in NODES for problem in self._compare_node(cluster, node, gaps.get(node, []), since)]

    def _compare_node(self, cluster: Cluster, node: str, gaps: list[tuple[str, str]], until: int) -> Iterator[str]:
        kept: Counter[Written] = Counter()
        for log in archive.list_kept(self.runtime, cluster, node=node):
            data = b"".join(archive.read_kept(self.runtime, cluster, log.node, log.generation))
            kept.update(line_of(line) for line in data.splitlines())
        logs = SimulatedLogs(cluster.name, node, self._options.lines, self._clock, Failure.NONE)
        oldest = self._clock.now_ms() - self._options.keep_days * DAY_MS  # a backup was made later than it was written
        for line in sorted(all_lines(range(self._options.days), self._options.lines)):
            at = logs.text_time(*line)
            told = any(after < at < end for after, end in gaps)
            if kept[line] > 1 or (oldest <= logs.time(*line) <= until and not told and not kept[line]):
                yield f"{cluster.name}/{node}: {line} is kept {kept[line]} times, and no gap tells of it"

    def _open_source(self, url: str, _tenant: Tenant) -> LogSource:
        cluster, node = names_of(url)
        return SimulatedLogs(cluster, node, self._options.lines, self._clock, self._failure(cluster))

    def _count(self, *_given: object) -> None:
        self._statements += 1

    def _failure(self, cluster: str) -> Failure:
        return self._options.sowing.find(cluster, (self._clock.value - FIRST_MS) // DAY_MS)

    def _problem(self, task: Task, failure: Failure) -> str:
        with reading(self.runtime.database) as connection:
            found = jobs.fetch_project_job(connection, self._project_id, task.job_id)
        assert found
        (job, attempts), code = found, _CODES.get(failure)
        told = job.status is JobStatus.SUCCESS if code is None else code in (job.failed_msg or "")
        if told and attempts == (2 if failure is Failure.KILLED else 1):
            return ""
        return f"{task.cluster}, {failure or 'nothing sown'}: {job.status}, {attempts} attempts, {job.failed_msg}"


def simulate(
    runtime: Runtime, clock: FixedClock, store: TableStore, open_source: Callable[[str, Tenant], LogSource]
) -> Runtime:
    """Return the runtime with a clock, a bucket and nodes that are simulated."""
    stores: Mapping[str, ObjectStore] = {"logs": store}
    return replace(
        runtime,
        clock=clock,
        stores=stores,
        open_source=open_source,
        settle_source=str,
        enqueue=_hand_out,
    )


def _hand_out(_connection: Connection, _job_id: str, _by_hand: bool) -> None:
    """Enqueue nothing: who started the job hands it to a worker."""


def resident_mib(pid: int) -> float:
    [line] = (one for one in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if one.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


# In a process of its own -------------------------------------------------------------------------------------------

_worker: list[Worker] = []  # of this process


def open_worker(options: Options) -> None:
    set_up_logging("critical")
    _worker[:] = [Worker(options)]


def close_worker() -> None:
    _worker.pop().close()


def run_tasks(tasks: list[Task]) -> list[Done]:
    return [_worker[0].run(task) for task in tasks]


def index(now: int) -> int:
    return _worker[0].index(now)


def verify(now: int) -> list[str]:
    return _worker[0].verify(now)


def compare(now: int, clusters: list[Cluster]) -> list[str]:
    return [problem for cluster in clusters for problem in _worker[0].compare(now, cluster)]
