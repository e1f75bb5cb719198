"""A simulated year: many clusters of three nodes, a job a day of each, on a clock that is moved on.

python -m benchmarks.year [--clusters 1000] [--days 365] [--seed 1] [--lines 8] [--processes 2] [--measure 30,91,365]
    [--keep-days 90]

It goes through the service's own code: policies, jobs with take-up and manifests, indexes, verification, retention,
notices, pruning. What is simulated are the nodes (`year_nodes`), the bucket (`table_store`), who receives notices,
the time, and who hands out the jobs: DBOS has a clock of its own. At the end each failure that was sown must have
been told, and each line that is young enough be kept, or told as a gap. It prints what was measured on the days of
`--measure`; the first is the start.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from benchmarks import year_worker
from benchmarks.result import middle
from benchmarks.table_store import TableStore
from benchmarks.year_nodes import DAY_MS, FIRST_MS, NODES, Failure, SimulatedLogs, names_of, source_url
from benchmarks.year_worker import Done, Options, Task, resident_mib, simulate
from logkeep.bootstrap.logs import set_up_logging
from logkeep.bootstrap.runtime import make_runtime
from logkeep.clock import FixedClock
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.keep_times import KeepTimes
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.notice import Notice
from logkeep.domain.notice_target import Answer, ConfiguredTarget, Destination, Subscription, TargetKind
from logkeep.domain.retention import RetentionRule
from logkeep.domain.task import TaskFilter
from logkeep.keyfiles.creation import create_keys
from logkeep.service import (
    backups,
    clusters,
    identity,
    log_settings,
    notice_delivery,
    notices,
    retention,
    status,
    tasks,
)
from logkeep.service.runtime import NoticeOptions
from logkeep.settings import load_settings
from logkeep.sources.base import LogSource, Tenant
from logkeep.work.pruning import Pruning

_HOUR_MS, _MINUTE_MS = 3_600_000, 60_000
_SETTINGS = f"[policy]\nspread_minutes = 60\n[verify]\nevery_hours = {30 * 24}\n[buckets.logs]\n"
_KEEP = KeepTimes(audit_days=400, missed_days=400, usage_days=800, forecast_days=90, session_minutes=60)
_TARGET = ConfiguredTarget(
    subscription=Subscription(key="/year"),
    destination=Destination(kind=TargetKind.WEBHOOK, url="https://receiver.invalid/"),
)
_STEP = 5  # minutes between two looks for what is due; a service looks each second
_PRUNED = 5  # times a day; a service does it each minute
_INDEXED = 7  # days between two looks for what is to be indexed; a service looks all the time
_CHUNK = 10  # jobs that are handed to a process at a time
_ASKED = 300  # clusters, chosen by chance, whose records are asked for
_STATUS = 20  # times that all clusters are judged
_WINDOW = 3  # days up to a measurement, whose jobs count
_MOST_TOLD = 20  # problems that are named
_SIZES = """SELECT coalesce(m.tbl_name, s.name), sum(s.pgsize)
FROM dbstat s LEFT JOIN sqlite_master m ON m.name = s.name GROUP BY 1"""

Figures = dict[str, float]
_T = TypeVar("_T")


class Year:
    """The installation, the clock, and who hands out the jobs."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._clock = FixedClock(FIRST_MS)
        options.folder.mkdir(parents=True, exist_ok=True)
        (options.folder / "logkeep.toml").write_text(_SETTINGS, encoding="utf-8")
        create_keys(options.folder)
        made = make_runtime(load_settings(options.folder, {}))
        self._store = TableStore(options.folder / "bucket.db")
        self._runtime = replace(
            simulate(made, self._clock, self._store, _open_nothing),
            notices=NoticeOptions(targets=(_TARGET,), send=self._receive),
        )
        self._project = identity.add_project(made, "year")
        self._pruning = Pruning(self._runtime, _KEEP, lambda: None)
        self._clusters: dict[str, Cluster] = {}  # by id
        self._pool: ProcessPoolExecutor | None = None
        self._recent: list[list[Done]] = []  # of the last days
        self.problems: list[str] = []
        self.sown: Counter[str] = Counter()
        self.told: Counter[str] = Counter()  # clusters, by the event of a notice
        self.jobs = self.removed = 0

    def run(self, tell: Callable[[str], None]) -> dict[int, Figures]:
        """Run all days; return what was measured, by day."""
        figures: dict[int, Figures] = {}
        with self._workers():
            self._add_clusters()
            begun = time.monotonic()
            for day in range(self._options.days):
                self._clock.value = FIRST_MS + day * DAY_MS
                if self._options.sowing.is_away(day):
                    self.sown["missed"] += len(self._clusters)
                else:
                    self._recent = [*self._recent[1 - _WINDOW :], self._back_up()]
                    self._look_after(day)
                if day + 1 in self._options.measured:
                    figures[day + 1] = self._measure()
                    tell(json.dumps({day + 1: figures[day + 1]}))
                tell(self._progress(day, time.monotonic() - begun))
            self._compare()
        return figures

    def close(self) -> None:
        self._store.close()
        self._runtime.database.dispose()

    def told_missed(self) -> int:
        """Return how many daily runs are told as missed."""
        return int(self._value("SELECT count(*) FROM missed_runs"))

    def told_gaps(self) -> int:
        """Return how many gaps are told."""
        return int(self._value("SELECT count(*) FROM findings WHERE kind = 'gap'"))

    def _add_clusters(self) -> None:
        setting = LogSettingChange("agency", "logs", "css/log")
        for number in range(self._options.clusters):
            name = f"c{number:04}"
            nodes = [clusters.NewNode(node, source_url(name, node)) for node in NODES]
            cluster = clusters.add_cluster(self._runtime, self._project.id, name, nodes)
            log_settings.open_backup(self._runtime, cluster, setting)
            log_settings.start_policy(self._runtime, cluster, "00:00 GMT+00:00")
            retention.set_rules(self._runtime, cluster, [RetentionRule(keep_days=self._options.keep_days)], "year")
            for _ in retention.run(self._runtime, cluster, confirm=True, who="year"):
                pass
            self._clusters[cluster.id] = cluster

    # A day --------------------------------------------------------------------------------------------------------

    def _back_up(self) -> list[Done]:
        """Start what is due in the hour after midnight, and wait for the end of all of it."""
        running: list[Future[list[Done]]] = []
        for minute in range(0, 65, _STEP):
            self._clock.value = self._clock.value // DAY_MS * DAY_MS + minute * _MINUTE_MS
            while started := backups.start_due_backups(self._runtime):
                now = self._clock.now_ms()
                found = [Task(job.job_id, self._clusters[job.cluster_id].name, now) for job in started]
                running += [self._call(year_worker.run_tasks, some) for some in _parts(found, _CHUNK)]
        done = [one for each in running for one in each.result()]
        self.sown.update(one.failure.value for one in done if one.failure is not Failure.NONE)
        self._tell(one.problem for one in done if one.problem)
        self.jobs += len(done)
        return done

    def _look_after(self, day: int) -> None:
        """Do what a service does besides."""
        self._clock.advance(_HOUR_MS)
        self._notify()
        self._retain()
        self._tell(self._call(year_worker.verify, self._clock.now_ms()).result())
        if day % _INDEXED == 0:
            self._call(year_worker.index, self._clock.now_ms()).result()
        for _ in range(_PRUNED):
            self._pruning.prune()

    def _retain(self) -> None:
        """Carry out the rules of all clusters, and count the objects that went."""
        while due := retention.retain_most_due(self._runtime, DAY_MS // 2):
            for step in due[1]:
                self.removed += step.objects if step.done else 0

    def _notify(self) -> None:
        """Look for what changed, and deliver it once it is not gathered any more."""
        notices.look(self._runtime)
        self._clock.advance(_HOUR_MS)
        while notice_delivery.deliver_next(self._runtime):
            pass

    def _receive(self, _destination: Destination, notice: Notice | None) -> Answer:
        if notice:
            self.told[notice.event.value] += notice.number
        return Answer(status=200)

    def _compare(self) -> None:
        """Read all clusters back, of many a hundred, and compare them with what was written."""
        found = list(self._clusters.values())
        chosen = random.Random(self._options.seed).sample(found, min(100, len(found)))
        running = [self._call(year_worker.compare, self._clock.now_ms(), some) for some in _parts(chosen, _CHUNK)]
        for one in running:
            self._tell(one.result())

    def _tell(self, problems: Iterable[str]) -> None:
        self.problems += problems

    # What is measured ---------------------------------------------------------------------------------------------

    def _measure(self) -> Figures:
        wall = sorted(one.wall for day in self._recent for one in day)
        cpu = sorted(one.cpu for day in self._recent for one in day)
        sizes = self._sizes()
        return {
            "a job, median, ms": middle(wall),
            "a job, p99, ms": _p99(wall),
            "a job on the processor, median, ms": middle(cpu),
            "a job on the processor, p99, ms": _p99(cpu),
            "a job, statements, median": middle(one.statements for day in self._recent for one in day),
            "a fixed piece of work, ms of the processor": _yardstick(),
            **self._measure_lists(),
            "memory of a worker, MiB": max(map(resident_mib, self._pids())),
            "memory of the clock, MiB": resident_mib(os.getpid()),
            "database, MiB": sum(sizes.values()) / 2**20,
            **{f"table {name}, MiB": size / 2**20 for name, size in sorted(sizes.items())},
            "records": self._value("SELECT count(*) FROM jobs"),
            "objects kept": self._value("SELECT count(*) FROM segments"),
            "objects removed": self.removed,
        }

    def _measure_lists(self) -> Figures:
        ids = sorted(self._clusters)
        chosen = random.Random(6).sample(ids, min(_ASKED, len(ids)))
        records = int(self._value("SELECT min(jobs) FROM (SELECT count(*) AS jobs FROM jobs GROUP BY cluster_id)"))
        asked: dict[str, tuple[int, Callable[[str], object]]] = {
            "first page of records": (_ASKED, lambda one: self._list(one, 0)),
            "page in the middle": (_ASKED, lambda one: self._list(one, records // 2)),
            "tasks of all, first page": (_STATUS, lambda _: self._list_tasks()),
            "status of all": (_STATUS, lambda _: self._judge_all()),
        }
        found: Figures = {}
        for what, (times, ask) in asked.items():
            took = sorted(_ms(lambda one=one, ask=ask: ask(one)) for one in (chosen * times)[:times])
            found |= {f"{what}, median, ms": middle(took), f"{what}, p99, ms": _p99(took)}
        return found

    def _list(self, cluster_id: str, offset: int) -> object:
        return backups.list_jobs(self._runtime, self._project.id, cluster_id, offset=offset, limit=10)

    def _list_tasks(self) -> object:
        return tasks.list_tasks(self._runtime, self._project.id, TaskFilter(), limit=50)

    def _judge_all(self) -> object:
        return status.list_status(self._runtime, self._project.id, limit=1000)

    def _sizes(self) -> dict[str, float]:
        with reading(self._runtime.database) as connection:
            return {name: float(size) for name, size in connection.execute(text(_SIZES))}

    def _value(self, statement: str) -> float:
        with reading(self._runtime.database) as connection:
            return float(connection.execute(text(statement)).scalar_one())

    def _progress(self, day: int, passed: float) -> str:
        cpu = sum(one.cpu for one in self._recent[-1]) / max(1, len(self._recent[-1]))
        left = passed / (day + 1) * (self._options.days - day - 1)
        memory = ", ".join(f"{resident_mib(pid):.0f}" for pid in self._pids())
        return (
            f"day {day + 1}: {self.jobs} jobs, {cpu:.1f} ms of the processor each, {memory} MiB, "
            f"{len(self.problems)} problems; {passed:.0f} s passed, {left:.0f} s to go"
        )

    # Processes ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _workers(self) -> Generator[None]:
        """Open the worker of this process, or those in others."""
        number = self._options.processes
        if not number:
            year_worker.open_worker(self._options)
            yield
            year_worker.close_worker()
            return
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(number, spawn, year_worker.open_worker, (self._options,)) as self._pool:
            yield

    def _call(self, function: Callable[..., Any], *given: Any) -> Future[Any]:
        if self._pool:
            return self._pool.submit(function, *given)
        done: Future[Any] = Future()
        done.set_result(function(*given))
        return done

    def _pids(self) -> list[int]:
        return [child.pid for child in multiprocessing.active_children() if child.pid] or [os.getpid()]


def _open_nothing(url: str, _tenant: Tenant) -> LogSource:
    """Stand for a source that is registered here and read by workers."""
    return SimulatedLogs(*names_of(url), 0, FixedClock(FIRST_MS), Failure.NONE)


def _parts(values: list[_T], most: int) -> Iterator[list[_T]]:
    return (values[at : at + most] for at in range(0, len(values), most))


def _ms(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def _yardstick() -> float:
    """Return how long the same work takes now: other processes slow the processor down for all."""
    took: list[float] = []
    for _ in range(20):
        start = time.process_time()
        sum(hash(str(number)) & 1 for number in range(100_000))
        took.append((time.process_time() - start) * 1000)
    return middle(took)


def _p99(values: list[float]) -> float:
    return values[len(values) * 99 // 100]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in {"clusters": 1000, "days": 365, "seed": 1, "lines": 8, "processes": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--keep-days", type=int, default=90)
    parser.add_argument("--measure", default="30,91,365")
    parser.add_argument("--parent", type=Path, default=Path("/dev/shm"), help="where the installation is made")
    chosen = parser.parse_args(arguments)
    set_up_logging("critical")  # what fails was sown, and is told by its record
    with tempfile.TemporaryDirectory(dir=chosen.parent) as folder:
        measured = tuple(int(day) for day in chosen.measure.split(","))
        year = Year(
            Options(
                Path(folder) / "year",
                chosen.clusters,
                chosen.days,
                chosen.seed,
                chosen.lines,
                chosen.processes,
                measured,
                chosen.keep_days,
            )
        )
        figures = year.run(lambda line: print(line, file=sys.stderr, flush=True))
        _report(figures, year)
        year.close()
    return 1 if year.problems else 0


def _report(figures: dict[int, Figures], year: Year) -> None:
    table = Table("what", *(f"day {day}" for day in figures), "last to first")
    for what, first in next(iter(figures.values()), {}).items():
        values = [day.get(what, 0.0) for day in figures.values()]
        table.add_row(what, *(f"{value:,.2f}" for value in values), f"{values[-1] / first:.2f}" if first else "")
    Console(width=160).print(table)
    print(f"{year.jobs} jobs; sown: {dict(year.sown)}; told: {year.told_missed()} missed, {year.told_gaps()} gaps")
    print(f"noticed: {dict(year.told)}")
    print(f"{len(year.problems)} problems")
    print(*year.problems[:_MOST_TOLD], sep="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
