"""Workers that share a PostgreSQL: how soon another goes on with a job, and how many jobs they carry out."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg

from benchmarks import noop
from benchmarks.result import Result, judge, not_measured
from benchmarks.site import Site, new_database, open_site, start
from benchmarks.surroundings import scratch
from logkeep.service import backups
from tests.real.postgres import PostgresServer

_JOBS = int(os.environ.get("BENCH_JOBS", "600"))
_JOBS_BY_DEFAULT = 60
_WORKERS = 2
_KILLS = 3
_FILES = 60
# Quick to look, so that the work is measured and not the waiting.
_AT_ONCE, _POLL = 8, 0.1
_SLOW = "cluster_bandwidth_mib = 4\npoll_seconds = 0.1"
_SEGMENTS = "SELECT count(*) FROM segments"
_JOB_RATE = """
    SELECT percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY finished_at) FROM jobs WHERE status = 'SUCCESS'
"""
_NOOP_RATE = """
    SELECT percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY completed_at) FROM dbos.workflow_status
"""


def takeover() -> list[Result]:
    """From the kill of a worker to the next segment of its job, which another one stores; some times."""
    name, goal = "takeover of a killed worker's job", "<= 15 s"
    try:
        server = PostgresServer()
    except RuntimeError as error:
        return [not_measured(name, f"{error}".partition("\n")[0], goal)]
    with server, scratch() as folder:
        _write_slow(folder / "logs")
        with open_site(folder / "site", new_database(server, "site"), _SLOW, visible=0) as site:
            took = [_kill(site, folder / "logs", number) for number in range(_KILLS)]
    told = f"{_KILLS} kills: {', '.join(f'{one:.1f}' for one in sorted(took))} s"
    return [judge(f"{name}, the longest", max(took), "s", goal, against=told)]


def _write_slow(logs: Path) -> None:
    """A directory whose backup takes about ten seconds at the bandwidth above."""
    logs.mkdir()
    for number in range(_FILES):
        line = f"[2026-11-24T00:00:00,000][INFO ] {os.urandom(100).hex()}\n".encode()
        (logs / f"es-2026-11-24-{number + 1}.log").write_bytes(line * 3000)


def _kill(site: Site, logs: Path, number: int) -> float:
    while sum(process.poll() is None for process in site.workers.values()) < _WORKERS:
        site.start_worker()
    cluster = site.add_cluster(f"c{number}", logs)
    before = int(site.value(_SEGMENTS))
    backups.start_backup(site.runtime, cluster)
    site.wait_for(_SEGMENTS, before + 6, 60)
    busy = site.value("SELECT executor_id FROM dbos.workflow_status WHERE status = 'PENDING'")
    site.workers[busy].kill()
    killed, stored = time.monotonic(), int(site.value(_SEGMENTS))
    assert stored < before + _FILES, "the job was too quick to be killed"
    site.wait_for(_SEGMENTS, stored + 1, 60)
    took = time.monotonic() - killed
    site.wait_for_jobs(number + 1, 120)
    assert int(site.value(_SEGMENTS)) == before + _FILES, "something was stored twice"
    return took


def jobs_per_second() -> list[Result]:
    """Tiny jobs through two workers, against empty workflows through two processes of DBOS with the same bounds."""
    name = "jobs per second, 2 workers"
    try:
        server = PostgresServer()
    except RuntimeError as error:
        return [not_measured(name, f"{error}".partition("\n")[0])]
    with server, scratch() as folder:
        bounds = f"jobs_at_once = {_AT_ONCE}\npoll_seconds = {_POLL}"
        limit = _noop_rate(new_database(server, "noop"))
        quick = _job_rate(folder / "quick", new_database(server, "quick"), _JOBS, bounds)
        usual = _job_rate(folder / "usual", new_database(server, "usual"), _JOBS_BY_DEFAULT, "")
    against = f"empty workflows of DBOS: {limit:.1f}/s"
    return [
        judge(f"{name}, {_AT_ONCE} at once each", quick, "/s", against=against, ratio=quick / limit),
        judge(f"{name}, default settings", usual, "/s", against="2 at once each, a look each quarter of a second"),
    ]


def _job_rate(folder: Path, database: str, number: int, bounds: str) -> float:
    with open_site(folder, database, bounds) as site:
        for index in range(number):
            logs = folder.with_name(f"{folder.name}-nodes") / f"c{index}"
            logs.mkdir(parents=True)
            (logs / "es.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] line %d\n" % index * 10)
            backups.start_backup(site.runtime, site.add_cluster(f"c{index}", logs))
        for _ in range(_WORKERS):
            site.start_worker()
        site.wait_for_jobs(number, 600)
    return _rate(database, _JOB_RATE, number)


def _noop_rate(database: str) -> float:
    noop.enqueue(database, _JOBS)
    with ExitStack() as held, psycopg.connect(database, autocommit=True) as connection:
        for _ in range(_WORKERS):
            start(held, [sys.executable, "-m", "benchmarks.noop", database, str(_AT_ONCE), str(_POLL)])
        done = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"
        while connection.execute(done).fetchall()[0][0] < _JOBS:
            time.sleep(0.1)
    return _rate(database, _NOOP_RATE, _JOBS)


def _rate(database: str, statement: str, number: int) -> float:
    """Of the middle four fifths: while all worked."""
    with psycopg.connect(database) as connection:
        (first, last), *_ = connection.execute(statement.encode()).fetchall()[0]
    return number * 0.8 / max(0.001, (last - first) / 1000)
