"""Measures what docs/scale.md tells: many clusters, millions of records, a day of automatic jobs.

python -m benchmarks.scale [NAME …]      prints a table and writes build/scale.json; it takes a while

BENCH_CLUSTERS (10,000), BENCH_DAYS (365) and BENCH_DAY_JOBS (as many as clusters) make a run shorter.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import psycopg
from prometheus_client import generate_latest
from sqlalchemy import event, insert, text, update

from benchmarks.installation import Installation, configure_bucket
from benchmarks.result import Result, judge, middle, seconds
from benchmarks.run import report
from benchmarks.site import SETTING, Site, new_database, open_site
from benchmarks.surroundings import scratch
from logkeep.api.metrics import PrometheusMeter
from logkeep.database import tables
from logkeep.database.connection import writing
from logkeep.domain.backup_job import StatusFilter
from logkeep.service import backups, clusters
from logkeep.service.backup_run import run_job
from logkeep.work.queue import Queue
from tests.real.postgres import PostgresServer
from tests.real.servers import S3Server

_CLUSTERS = int(os.environ.get("BENCH_CLUSTERS", "10000"))
_DAYS = int(os.environ.get("BENCH_DAYS", "365"))
_DAY_JOBS = int(os.environ.get("BENCH_DAY_JOBS", str(_CLUSTERS)))
_DAY_MS = 86_400_000
_FIRST_MS = 1_735_689_600_000  # 2025-01-01
_ASKED = 300  # clusters, chosen by chance, whose lists are asked for
_WORKERS = 2
_REQUEST = re.compile(r" s3_(\w+) ")
_JOB = [column.name for column in tables.jobs.c]


def records() -> list[Result]:
    """A year of records in each database: how large they are, and how long lists, filters and metrics take."""
    with scratch() as folder, open_site(folder, "", "") as site:
        rows = _measure_records("SQLite", site, _copy_into_sqlite)
    with PostgresServer() as server, scratch() as folder, open_site(folder, new_database(server, "site"), "") as site:
        rows += _measure_records("PostgreSQL", site, _copy_into_postgresql)
        return rows + _partition(site)


def _measure_records(kind: str, site: Site, copy: Callable[[Site, Iterator[tuple[Any, ...]]], None]) -> list[Result]:
    ids = _add_clusters(site)
    number = len(ids) * _DAYS
    before = _database_size(site)
    took = seconds(lambda: copy(site, _records(ids)), 1)
    size = _database_size(site) - before
    print(f"{kind}: {number:,} records in {took:.0f} s", file=sys.stderr)
    name = f"{kind}, {number:,} records: "
    return [
        judge(f"{name}database", size / number, "bytes a record", against=f"{size / 2**20:,.0f} MiB together"),
        *_list_times(name, site, ids),
        *_look_times(name, site),
    ]


def _list_times(name: str, site: Site, ids: list[str]) -> list[Result]:
    chosen = random.Random(6).sample(ids, min(_ASKED, len(ids)))
    asked = {
        "first page": {"offset": 1},
        "last page": {"offset": _DAYS - 9},
        "first page of FAIL": {"offset": 1, "status": StatusFilter.FAIL},
        "first page of NOT_FAIL": {"offset": 1, "status": StatusFilter.NOT_FAIL},
    }
    found: list[Result] = []
    for what, options in asked.items():
        times = [seconds(lambda id_=id_, o=options: _page(site, id_, **o), 1) * 1000 for id_ in chosen]  # type: ignore[misc]
        worst = sorted(times)[len(times) * 99 // 100]
        found.append(
            judge(f"{name}{what}", middle(times), "ms", against=f"p99 of {len(times)} clusters: {worst:.2f} ms")
        )
    again = seconds(lambda: _page(site, ids[len(ids) // 2], offset=_DAYS // 2), 20) * 1000
    return [*found, judge(f"{name}middle page of the middle cluster, again", again, "ms")]


def _page(site: Site, cluster_id: str, **options: Any) -> None:
    backups.list_jobs(site.runtime, site.project_id, cluster_id, **options)


def _look_times(name: str, site: Site) -> list[Result]:
    """What is asked again and again of the whole installation."""
    meter = PrometheusMeter("bench")
    meter.watch(site.runtime, 100)
    looks: dict[str, Callable[[], object]] = {
        "scrape of the metrics": lambda: generate_latest(meter.registry),
        "look for due policies, none": lambda: backups.start_due_backups(site.runtime),
        "page of 10 clusters": lambda: clusters.list_clusters(
            site.runtime, site.project_id, offset=0, limit=10, kind=""
        ),
    }
    return [judge(f"{name}{what}", seconds(look, 5) * 1000, "ms") for what, look in looks.items()]


def _add_clusters(site: Site, logs: str = "/nowhere", due_at: int = 0, number: int = _CLUSTERS) -> list[str]:
    """Clusters with log backup and a daily period, due in 12 hours or as it is said, straight into the tables."""
    due_at = due_at or site.runtime.clock.now_ms() + _DAY_MS // 2
    ids = sorted(str(uuid4()) for _ in range(number))
    past = _FIRST_MS
    with writing(site.runtime.database) as connection:
        for start in range(0, number, 1000):
            some = list(enumerate(ids[start : start + 1000], start))
            made = {"project_id": site.project_id, "kind": "opensearch", "version": "", "endpoint": ""}
            connection.execute(
                insert(tables.clusters),
                [{"id": i, "name": f"c{n:06}", "created_at": past, "updated_at": past, **made} for n, i in some],
            )
            node = {"name": "n", "source": f"file://{logs}", "role": "", "ip": ""}
            connection.execute(insert(tables.nodes), [{"cluster_id": i, "id": str(uuid4()), **node} for _, i in some])
            setting = {
                "enabled": True,
                "agency": SETTING.agency,
                "bucket": SETTING.bucket,
                "base_path": SETTING.base_path,
                "period": "00:00 GMT+08:00",
                "updated_at": past,
                "policy_since": past,
                "due_at": due_at,
            }
            connection.execute(
                insert(tables.log_settings), [{"cluster_id": i, "id": str(uuid4()), **setting} for _, i in some]
            )
    return ids


def _records(ids: list[str]) -> Iterator[tuple[Any, ...]]:
    """Day after day, as they would come, so that those of one cluster lie far apart."""
    for day in range(_DAYS):
        for number, cluster_id in enumerate(ids):
            at = _FIRST_MS + day * _DAY_MS + number * 360
            failed = (day + number) % 50 == 0
            status, message = (
                ("FAIL", "LK-SOURCE-UNREACHABLE: node n: connection refused") if failed else ("SUCCESS", None)
            )
            job_id = uuid4().hex
            record = (str(uuid4()), job_id, cluster_id, "Auto", status, "logs", "css/log", at, at + 4000, message)
            yield (*record, 1, job_id, "agency")


def _counts(ids: list[str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number, cluster_id in enumerate(ids):
        failed = sum((day + number) % 50 == 0 for day in range(_DAYS))
        last = _FIRST_MS + _DAYS * _DAY_MS
        for status, jobs in (("FAIL", failed), ("SUCCESS", _DAYS - failed)):
            rows.append({"cluster_id": cluster_id, "status": status, "jobs": jobs, "last_at": last})
    return rows


def _copy_into_sqlite(site: Site, rows: Iterator[tuple[Any, ...]]) -> None:
    statement = f"INSERT INTO jobs ({', '.join(_JOB)}) VALUES ({', '.join('?' * len(_JOB))})"
    with writing(site.runtime.database) as connection:
        connection.exec_driver_sql("PRAGMA cache_size = -4000000")  # 4 GB: each page is written once, at the end
        for some in iter(lambda: list(itertools.islice(rows, 10_000)), []):
            connection.exec_driver_sql(statement, some)
        connection.exec_driver_sql("PRAGMA cache_size = -2000")  # as it is by default
    _finish(site)


def _copy_into_postgresql(site: Site, rows: Iterator[tuple[Any, ...]]) -> None:
    statement = f"COPY jobs ({', '.join(_JOB)}) FROM STDIN"
    with _raw(site) as connection, connection.cursor().copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)
    _finish(site)
    with _raw(site) as connection:
        connection.execute("VACUUM ANALYZE")


def _finish(site: Site) -> None:
    with writing(site.runtime.database) as connection:
        ids = [row[0] for row in connection.execute(text("SELECT id FROM clusters ORDER BY id"))]
        connection.execute(insert(tables.job_counts), _counts(ids))
    if site.runtime.database.dialect.name == "sqlite":
        with site.runtime.database.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _raw(site: Site) -> Generator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of the driver, each statement by itself."""
    url = site.runtime.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def _database_size(site: Site) -> int:
    if site.runtime.database.dialect.name == "sqlite":
        return sum(path.stat().st_size for path in site.folder.glob("logkeep.db*"))
    return int(site.value("SELECT pg_database_size(current_database())"))


def _partition(site: Site) -> list[Result]:
    """The plan of docs/scale.md: the same questions before and after, and how long removing a month takes."""
    ids = _column(site, "SELECT id FROM clusters ORDER BY id")
    some = _column(site, "SELECT job_id FROM jobs ORDER BY random() LIMIT 300")
    march = (_FIRST_MS + 59 * _DAY_MS, _FIRST_MS + 90 * _DAY_MS)
    removal = f"DELETE FROM jobs WHERE created_at >= {march[0]} AND created_at < {march[1]}"
    name = "PostgreSQL, one table: "
    rows = [_by_job_id(name, site, some)]
    with _raw(site) as connection:
        connection.execute("BEGIN")
        took = seconds(lambda: connection.execute(removal.encode()), 1)
        connection.execute("ROLLBACK")
        connection.execute("VACUUM jobs")
        rows.append(judge(f"{name}delete a month", took, "s", against="then VACUUM has to follow"))
        took = seconds(lambda: connection.execute(_sql("partition.sql")), 1)
        rows.append(judge("PostgreSQL: split the table by month", took, "s", against="while nobody else may use it"))
        connection.execute("VACUUM ANALYZE jobs")
        name = "PostgreSQL, by month: "
        rows += [*_list_times(name, site, ids), *_look_times(name, site)[:2], _by_job_id(name, site, some)]
        took = seconds(lambda: connection.execute(_sql("drop_month.sql")), 1)
        rows.append(judge(f"{name}drop a month", took, "s", against="with its counts"))
        counted, there = _column(site, "SELECT sum(jobs) FROM job_counts"), _column(site, "SELECT count(*) FROM jobs")
        assert counted == there, "the counts are wrong"
    return rows


def _sql(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


def _by_job_id(name: str, site: Site, job_ids: list[str]) -> Result:
    times = [seconds(lambda one=one: _touch(site, one), 1) * 1000 for one in job_ids]  # type: ignore[misc]
    return judge(f"{name}update a record by its job id", middle(times), "ms")


def _touch(site: Site, job_id: str) -> None:
    with writing(site.runtime.database) as connection:
        connection.execute(update(tables.jobs).where(tables.jobs.c.job_id == job_id).values(attempt=2))


def _column(site: Site, statement: str) -> list[str]:
    with _raw(site) as connection:
        return [row[0] for row in connection.execute(statement.encode())]


def day() -> list[Result]:
    """All clusters become due at one moment: what the start costs, what the looks cost meanwhile, and the jobs."""
    with PostgresServer() as server, scratch() as folder:
        logs = folder / "logs"
        logs.mkdir()
        (logs / "es.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ][o.e.n.Node] [n] a line\n" * 20)
        with open_site(folder / "site", new_database(server, "site"), "jobs_at_once = 8\npoll_seconds = 0.1") as site:
            _add_clusters(site, str(logs), due_at=1)
            return [*_start_all(site), *_queue_looks(site), *_statements(site), *_carry_out(site, server)]


def _start_all(site: Site) -> list[Result]:
    looks: list[float] = []
    started = 0
    while started < _CLUSTERS:
        began = time.perf_counter()
        started += len(backups.start_due_backups(site.runtime))
        looks.append(time.perf_counter() - began)
    name = f"{_CLUSTERS:,} clusters due at once: "
    return [
        judge(f"{name}a look that starts 100", middle(looks) * 1000, "ms", against=f"{len(looks)} looks, one a second"),
        judge(f"{name}start one", sum(looks) / started * 1000, "ms", against=f"{sum(looks):.1f} s together"),
    ]


def _queue_looks(site: Site) -> list[Result]:
    """What each process does every two and six seconds, here with all jobs waiting."""
    running = [job_id for job_id, _ in backups.list_running(site.runtime)]
    queue: Queue = site.queue
    looks: dict[str, Callable[[], object]] = {
        "look for stranded jobs, each 6 s": lambda: queue.enqueue_stranded(running, {"2"}),
        "list of running jobs, each 6 s": lambda: backups.list_running(site.runtime),
        "look for dead workers and lost jobs, each 2 s": lambda: queue.take_over("nobody", set(), {"nobody"}),
        "look for due policies, each second": lambda: backups.start_due_backups(site.runtime),
    }
    name = f"{len(running):,} jobs wait: "
    return [judge(f"{name}{what}", seconds(look, 3) * 1000, "ms") for what, look in looks.items()]


def _statements(site: Site) -> list[Result]:
    """What a job asks of the database, without the queue's own part: some are carried out here."""
    asked: Counter[str] = Counter()
    event.listen(site.runtime.database, "before_cursor_execute", lambda *_: asked.update(["statements"]))
    event.listen(site.runtime.database, "commit", lambda *_: asked.update(["commits"]))
    some = backups.list_running(site.runtime)[:20]
    busy = time.process_time()
    for job_id, _ in some:
        run_job(site.runtime, job_id)
    busy = time.process_time() - busy
    told = f"{asked['commits'] / len(some):.0f} transactions that write"
    return [
        judge("statements of a tiny job", asked["statements"] / len(some), "", against=told),
        judge("processor time of a tiny job, without the queue", busy / len(some) * 1000, "ms"),
    ]


def _carry_out(site: Site, server: PostgresServer) -> list[Result]:
    before, bucket = _database_size(site), site.folder / "buckets" / "logs"
    done_before = int(site.value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS'"))
    objects_before = sum(1 for path in bucket.rglob("*") if path.is_file())
    for _ in range(_WORKERS):
        site.start_worker()
    assert server.process
    busy_before, database_before = _busy(site), _group_seconds(server.process.pid)
    began = time.monotonic()
    site.wait_for_jobs(_DAY_JOBS, 3600)
    took = time.monotonic() - began
    done = int(site.value("SELECT count(*) FROM jobs WHERE status = 'SUCCESS'")) - done_before
    workers = _busy(site) - busy_before
    database = _group_seconds(server.process.pid) - database_before
    name = f"{done:,} tiny jobs, {_WORKERS} workers: "
    size = _database_size(site) - before
    objects = sum(1 for path in bucket.rglob("*") if path.is_file()) - objects_before
    return [
        judge(f"{name}rate", done / took, "/s", against=f"{took:.0f} s"),
        judge(f"{name}workers' time on the processor", workers / done * 1000, "ms a job"),
        judge(f"{name}the database's", database / done * 1000, "ms a job"),
        judge(f"{name}database", size / done, "bytes a job", against=_largest(site)),
        judge(f"{name}objects", objects / done, "a job"),
    ]


def _largest(site: Site) -> str:
    statement = """
        SELECT string_agg(told, ', ') FROM (
          SELECT relname || ' ' || pg_size_pretty(pg_total_relation_size(oid)) AS told FROM pg_class
          WHERE relkind = 'r' AND relnamespace <> 'pg_catalog'::regnamespace
          ORDER BY pg_total_relation_size(oid) DESC LIMIT 5
        ) AS largest
    """
    return str(site.value(statement))


def _busy(site: Site) -> float:
    return sum(_process_seconds(process.pid) for process in site.workers.values())


def _group_seconds(pid: int) -> float:
    """Of the processes that a server has, those that have ended included."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return _process_seconds(pid) + sum(_process_seconds(int(child)) for child in children)


def _process_seconds(pid: int) -> float:
    """Seconds on the processor, of the process and its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(int(fields[index]) for index in range(11, 15)) / os.sysconf("SC_CLK_TCK")


def requests() -> list[Result]:
    """What a job asks of an S3-like store, by the store's own log: one of two new files, and one without news."""
    with scratch() as folder, ExitStack() as held:
        log = folder / "access.log"
        held.enter_context(patch.dict(os.environ, {"VGW_ACCESS_LOG": str(log)}))
        server = held.enter_context(S3Server())
        server.client().create_bucket(Bucket="bench")
        logs = folder / "logs"
        logs.mkdir()
        for name in ("es.log", "gc.log"):
            (logs / name).write_bytes(b"[2026-11-24T00:00:00,000][INFO ] line\n" * 100)
        url = f"s3://bench?endpoint={server.endpoint}&region=us-east-1"
        configuration = configure_bucket(url, server.credentials())
        installation = Installation(folder / "installation", {"node": logs}, configuration=configuration)
        first, again = (_asked(log, installation.back_up) for _ in range(2))
    return [
        judge("requests of a job, two new files", len(first), "", against=_counted(first)),
        judge("requests of a job without news", len(again), "", against=_counted(again)),
    ]


def _counted(names: list[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in Counter(names).most_common())


def _asked(log: Path, action: Callable[[], object]) -> list[str]:
    before = len(log.read_text("utf-8").splitlines())
    action()
    time.sleep(0.5)  # the log is written behind the answers
    lines = log.read_text("utf-8").splitlines()[before:]
    return [found[1] for line in lines if (found := _REQUEST.search(line))]


MEASUREMENTS = {"requests": requests, "day": day, "records": records}


def main(names: list[str]) -> None:
    report(
        {name: measure for name, measure in MEASUREMENTS.items() if not names or name in names},
        Path("build/scale.json"),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
