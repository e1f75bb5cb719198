"""Measures what docs/scale.md tells of age: a job with one changed line, after so many generations have gone.

python -m benchmarks.growth [NAME …]      prints a table and writes build/growth.json

BENCH_GONE ("0,10000,100000,300000") are the numbers of generations that are gone: of ten logs of one node that were
rotated each hour, with their segments, sightings, jobs and manifests, as they lie in the database and the bucket.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import event, insert, select

from benchmarks.result import Result, judge
from benchmarks.run import report
from benchmarks.site import Site, new_database, open_site
from benchmarks.surroundings import scratch
from logkeep.bootstrap.logs import set_up_logging
from logkeep.bootstrap.runtime import make_runtime
from logkeep.database import clusters, manifests, segments, tables
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Segment, Sighting
from logkeep.service import backups
from logkeep.service.backup_run import run_job
from logkeep.settings import load_settings
from tests.real.postgres import PostgresServer

_GONE = [int(number) for number in os.environ.get("BENCH_GONE", "0,10000,100000,300000").split(",")]
_LOGS, _ROTATED = 10, 5  # of the node; rotated files of each that it still has
_FIRST = datetime(2023, 11, 1, tzinfo=UTC)
_LINES = 40
_KINDS = {"one line": 3, "one rotation": 3}


def on_sqlite() -> list[Result]:
    rows: list[Result] = []
    for gone in _GONE:
        with scratch() as folder, open_site(folder / "site", "", "", visible=0.0) as site:
            rows += _measure("SQLite", site, gone)
    return rows


def on_postgresql() -> list[Result]:
    rows: list[Result] = []
    with PostgresServer() as server:
        for gone in _GONE:
            with (
                scratch() as folder,
                open_site(folder / "site", new_database(server, f"g{gone}"), "", visible=0.0) as site,
            ):
                rows += _measure("PostgreSQL", site, gone)
    return rows


def _measure(kind: str, site: Site, gone: int) -> list[Result]:
    logs = site.folder.parent / "node"
    logs.mkdir()
    _write_logs(logs)
    cluster = site.add_cluster("old", logs)
    _back_up(site.runtime, cluster)
    _age(site, cluster, gone)
    found = _in_a_process(site.folder, cluster.id)
    name = f"{kind}, {gone:,} gone: "
    return [judge(f"{name}{what}", value, unit) for what, (value, unit) in found.items()]


def _write_logs(logs: Path) -> None:
    for log in range(_LOGS):
        for file in range(_ROTATED + 1):
            rotated = f"-2026-11-24-{file + 1}" if file < _ROTATED else ""
            hour = datetime(2026, 11, 24, file, tzinfo=UTC)
            (logs / f"c{log}_index{rotated}.log").write_text(_lines(hour, log), encoding="utf-8")


def _lines(hour: datetime, log: int) -> str:
    times = (hour + timedelta(minutes=minute) for minute in range(_LINES))
    return "".join(
        f"[{time:%Y-%m-%dT%H:%M:%S},000][INFO ] an event of log {log} that is long enough\n" for time in times
    )


def _back_up(runtime: Any, cluster: Cluster) -> None:
    def enqueue(connection: Any, job_id: str, by_hand: bool) -> None:
        """It is carried out here."""

    runtime = replace(runtime, enqueue=enqueue)
    job = backups.start_backup(runtime, cluster)
    run_job(runtime, job.job_id)
    with reading(runtime.database) as connection:
        statement = select(tables.jobs.c.status, tables.jobs.c.failed_msg).where(tables.jobs.c.job_id == job.job_id)
        assert connection.execute(statement).one() == ("SUCCESS", None)


# What is gone ----------------------------------------------------------------------------------------------------


def _age(site: Site, cluster: Cluster, gone: int) -> None:
    """Straight into the tables and the bucket, as hourly jobs would have left it."""
    with reading(site.runtime.database) as connection:
        c = tables.generations.c
        rows = connection.execute(select(tables.generations).where(c.cluster_id == cluster.id)).all()
        like = {row.family: dict(row._mapping) for row in rows}  # pyright: ignore[reportPrivateUsage]
        segment = next(iter(segments.fetch_listed_segments(connection, cluster.id, _last(connection, cluster))))
        job = dict(connection.execute(select(tables.jobs)).first()._mapping)  # type: ignore[union-attr]
        manifest = dict(connection.execute(select(tables.manifests)).first()._mapping)  # type: ignore[union-attr]
    folder = site.folder / "buckets" / "logs" / Path(manifest["object"]).parent
    families = sorted(like)
    made = _hours(families, like, segment, job, manifest, -(-gone // len(families)))
    with writing(site.runtime.database) as connection:
        connection.execute(tables.manifests.update().values(number=10**6))
    while some := list(islice(made, 500)):
        with writing(site.runtime.database) as connection:
            for table in (tables.jobs, tables.job_nodes, tables.generations, tables.segments, tables.findings):
                if found := [row for one in some for row in one.get(table.name, ())]:
                    connection.execute(insert(table), found)
            connection.execute(insert(tables.manifests), [row for one in some for row in one["manifests"]])
        for one in some:
            for row in one["manifests"]:
                (folder / Path(row["object"]).name).write_bytes(b"{}")
                (folder / f"{Path(row['object']).name}.sig").write_bytes(b"." * 64)
    with writing(site.runtime.database) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ANALYZE")
    if site.runtime.database.dialect.name != "sqlite":
        with site.runtime.database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _last(connection: Any, cluster: Cluster) -> str:
    row = manifests.fetch_last_manifest(connection, cluster.id)
    assert row
    return row.job_id


def _hours(
    families: list[str],
    like: dict[str, dict[str, Any]],
    segment: Segment,
    job: dict[str, Any],
    manifest: dict[str, Any],
    hours: int,
) -> Iterator[dict[str, list[dict[str, Any]]]]:
    retired = "retired" in tables.generations.c
    for hour in range(hours):
        begun = _FIRST + timedelta(hours=hour)
        at, job_id = int(begun.timestamp() * 1000), uuid4().hex
        name = f"{begun:%Y%m%dT%H%M%S}000Z-{job_id}.1.json"
        place = f"{manifest['object'].rpartition('/')[0]}/{name}"
        rows: dict[str, list[dict[str, Any]]] = {
            "jobs": [job | {"id": str(uuid4()), "job_id": job_id, "created_at": at, "finished_at": at + 4000}],
            "job_nodes": [{"job_id": job_id, "node": segment.node, "started_at": at, "planned": 0, "done": 0}],
            "manifests": [
                manifest | {"job_id": job_id, "number": hour + 1, "object": place, "sha256": uuid4().hex * 2}
            ],
            "generations": [],
            "segments": [],
            "findings": [],
        }
        rows["jobs"][0]["manifest_job_id"] = job_id
        for index, family in enumerate(families):
            number = 1000 + hour * len(families) + index
            time = f"{begun:%Y-%m-%dT%H:%M:%S},000"
            known = like[family]
            stem = family.removesuffix(".log")
            plain = f"{stem}-{begun:%Y-%m-%d}-{begun.hour + 1}.log"
            head = sha256(f"{number}".encode()).hexdigest()
            gone = known | {"generation": number, "position": float(hour - hours), "name": plain, "present": False}
            gone |= {"first_time": time, "last_time": time, "lead": sha256(head.encode()).hexdigest()}
            gone |= {"head_sha256": head, "tail_sha256": head, "inode": f"1:{number}", "mtime_ns": at * 10**6}
            # But for the last ones of each log, which the rules look at: as a job leaves them.
            rows["generations"].append(gone | ({"retired": hours - hour > 16} if retired else {}))
            one = replace(segment, generation=number, family=family, object=f"{segment.object}.{number}")
            rows["segments"].append(
                {
                    "cluster_id": known["cluster_id"], "node": known["node"], "generation": number, "start": 0,
                    "job_id": job_id, "manifest_job_id": job_id, "bucket": one.bucket, "object": one.object,
                    "stored": one.stored, "raw": one.end, "lines": _LINES, "body": msgspec.msgpack.encode(one),
                    "read_at": at,
                }
            )  # fmt: skip
            for present in (True, False):
                sighting = Sighting(one.node, family, number, float(hour - hours), plain, present)
                body = msgspec.msgpack.encode(sighting)
                rows["findings"].append(
                    {
                        "job_id": job_id,
                        "node": one.node,
                        "kind": "sighting",
                        "body": body,
                        "cluster_id": known["cluster_id"],
                    }
                )
        yield rows


# In a process of its own, so that its memory is that of the job alone ---------------------------------------------


def _in_a_process(folder: Path, cluster_id: str) -> dict[str, tuple[float, str]]:
    command = [sys.executable, "-m", "benchmarks.growth", "--job", str(folder), cluster_id]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _job(folder: Path, cluster_id: str) -> None:
    """Prints what jobs of some kinds take: the least time, the statements of one, and the peak of memory."""
    runtime = make_runtime(load_settings(folder, {}))
    with reading(runtime.database) as connection:
        cluster = clusters.fetch_cluster(connection, cluster_id)
    assert cluster
    logs = folder.parent / "node"
    found: dict[str, tuple[float, str]] = {}
    statements: list[str] = []
    event.listen(runtime.database, "before_cursor_execute", lambda *given: statements.append(given[2]))
    for kind, times in _KINDS.items():
        took: list[float] = []
        for turn in range(times):
            _change(kind, logs, turn)
            statements.clear()
            start = time.perf_counter()
            _back_up(runtime, cluster)
            took.append(time.perf_counter() - start)
        found[f"{kind}, time"] = (min(took) * 1000, "ms")
        found[f"{kind}, statements"] = (len(statements), "")
        found[f"{kind}, peak"] = (_peak(), "MiB")
        with reading(runtime.database) as connection:
            last = manifests.fetch_last_manifest(connection, cluster_id)
        assert last
        found[f"{kind}, manifest"] = ((folder / "buckets" / "logs" / last.object).stat().st_size, "bytes")
    print(json.dumps(found))


def _peak() -> float:
    """Of this program alone: `ru_maxrss` counts what the process was before it began it."""
    [line] = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _change(kind: str, logs: Path, turn: int) -> None:
    active = logs / "c0_index.log"
    if kind == "one rotation":
        active.rename(logs / f"c0_index-2026-11-24-{_ROTATED + 1 + turn}.log")
        (logs / f"c0_index-2026-11-24-{turn + 1}.log").unlink()
        active.write_text(_lines(datetime(2026, 11, 25, turn, tzinfo=UTC), 0), encoding="utf-8")
    with active.open("a", encoding="utf-8") as file:
        file.write(f"[2026-11-25T{10 + turn}:00:00,000][INFO ] one line more\n")


def main(names: list[str]) -> None:
    all_of_them = {"sqlite": on_sqlite, "postgresql": on_postgresql}
    report({name: all_of_them[name] for name in names or all_of_them}, Path("build/growth.json"))


if __name__ == "__main__":
    with ExitStack():
        if sys.argv[1:2] == ["--job"]:
            set_up_logging("warning")  # to stderr: stdout is read
            _job(Path(sys.argv[2]), sys.argv[3])
        else:
            main(sys.argv[1:])
