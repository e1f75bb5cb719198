"""What deciding over many objects takes, and removing them.

python -m benchmarks.retention FOLDER WHAT      a process of its own that previews, or runs, and prints what it took

BENCH_OBJECTS (1,000,000) makes it shorter.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import structs

from benchmarks.installation import forget_peak, memory_of
from benchmarks.result import Result, judge
from benchmarks.surroundings import scratch
from logkeep.bootstrap.logs import set_up_logging
from logkeep.bootstrap.runtime import make_runtime
from logkeep.database import tables
from logkeep.database.bodies import encode_body
from logkeep.database.connection import writing
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Fingerprint, Segment
from logkeep.domain.retention import RetentionRule
from logkeep.service import protection, retention
from logkeep.service.clusters import find_clusters
from logkeep.service.runtime import Runtime
from logkeep.settings import load_settings
from tests.support.catalogue import all_segments
from tests.support.installation import Installation, open_installation

_OBJECTS = int(os.environ.get("BENCH_OBJECTS", "1000000"))
_NODES, _LOGS, _EACH = 3, 10, 10  # nodes, logs of each, objects of a generation
_HOUR_MS = 3_600_000
_BATCH = 10_000
_REMOVED = 0.1  # of all
_Row = dict[str, Any]


def retain() -> list[Result]:
    """Deciding by days and by bytes beside protections of spans, and removing a tenth of all."""
    with scratch() as folder:
        _fill(folder)
        decided, removed = _measure(folder, "preview"), _measure(folder, "run")
    name = f"retention, {_OBJECTS:,} objects: "
    told = f"{decided['objects']:,} would go; idle: {decided['idle']:.0f} MiB"
    rate = removed["objects"] / removed["seconds"]
    return [
        judge(f"{name}deciding", decided["seconds"], "s", "<= 30 s", against=told),
        judge(f"{name}memory of deciding", decided["peak"], "MiB", "<= 150 MiB", against=told),
        judge(f"{name}removing", rate, "objects/s", against=f"{removed['objects']:,} in {removed['seconds']:.0f} s"),
        judge(f"{name}memory of removing", removed["peak"], "MiB"),
    ]


def _measure(folder: Path, what: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.retention", str(folder / "installation"), what]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _fill(folder: Path) -> None:
    """Insert objects as if each node had rotated its logs each hour for years; all but some of them are gone there."""
    logs = folder / "n0"
    logs.mkdir()
    lines = (f"[2026-01-01T06:40:{number % 60:02},123][INFO ][x] line {number}\n" for number in range(40_000))
    (logs / "log0.log").write_text("".join(lines))
    with open_installation(folder / "installation") as installation:
        cluster = installation.add_cluster(n0=logs)
        installation.back_up(cluster)
        [segment] = all_segments(installation.runtime.database, cluster.id)
        rows = _rows(installation, cluster, segment)
        while some := list(islice(rows, _BATCH)):
            with writing(installation.runtime.database) as connection:
                connection.execute(tables.segments.insert(), [row for row, _ in some])
                if generations := [one for _, one in some if one]:
                    connection.execute(tables.generations.insert(), generations)


def _rows(installation: Installation, cluster: Cluster, segment: Segment) -> Iterator[tuple[_Row, _Row | None]]:
    job = installation.jobs(cluster)[0]
    now, ages = time.time_ns() // 1_000_000, _OBJECTS // (_NODES * _LOGS)
    blank = {"head_length": 0, "head_sha256": "", "tail_length": 0, "tail_sha256": "", "inode": ""}
    blank |= {"size": 0, "mtime_ns": 0, "ctime_ns": 0, "present": False, "retired": True}
    for number in range(_OBJECTS):
        age, of = divmod(number, _NODES * _LOGS)
        node, family = f"n{of % _NODES}", f"log{of // _NODES}.log"
        generation = 2 + (age // _EACH) * _LOGS + of // _NODES
        created = now - (ages - age) * _HOUR_MS
        start, raw = age % _EACH * 1_000_000, 1_000_000
        name = f"css/log/prod/{node}/{family}/{generation:08d}-{start:015d}-{job.job_id}.1-1.zst"
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        mine = structs.replace(
            segment,
            node=node,
            family=family,
            generation=generation,
            start=start,
            end=start + raw,
            object=name,
            sha256=sha256,
            head=Fingerprint(256, sha256),
        )
        key = {"cluster_id": cluster.id, "node": node, "generation": generation}
        row = key | {
            "start": start,
            "job_id": job.job_id,
            "manifest_job_id": job.job_id,
            "bucket": "logs",
            "object": name,
            "stored": segment.stored,
            "body": encode_body(mine),
            "raw": raw,
            "lines": segment.lines,
            "created_at": created,
            "first_time": "2026-01-01T06:40:00,123",
            "last_time": "2026-01-01T06:40:59,123",
        }
        begins = {"family": family, "position": float(age // _EACH), "name": family, "kept": _EACH * raw}
        yield row, key | begins | blank | {"last_time": ""} if start == 0 else None


def main(folder: str, what: str) -> None:
    set_up_logging("warning")  # to stderr: stdout is read
    runtime = make_runtime(load_settings(Path(folder), {}))
    [cluster] = find_clusters(runtime)
    hours = _OBJECTS // (_NODES * _LOGS)
    rules = [RetentionRule(keep_days=int(hours * (1 - _REMOVED)) // 24, keep_bytes=_OBJECTS)]
    if what == "preview":
        protection.protect(runtime, cluster, why="x", who="x", span_from="2020-01-01", span_until="2021-01-01")
    retention.set_rules(runtime, cluster, rules, "bench")
    idle = memory_of("VmRSS")
    forget_peak()
    began = time.perf_counter()
    objects = _preview(runtime, cluster) if what == "preview" else _run(runtime, cluster)
    took = time.perf_counter() - began
    print(json.dumps({"idle": idle, "peak": memory_of("VmHWM"), "seconds": took, "objects": objects}))


def _preview(runtime: Runtime, cluster: Cluster) -> int:
    return retention.preview(runtime, cluster).goes.objects


def _run(runtime: Runtime, cluster: Cluster) -> int:
    steps = retention.run(runtime, cluster, confirm=True, who="bench")
    return [step.objects for step in steps][-1]


if __name__ == "__main__":
    main(*sys.argv[1:])
