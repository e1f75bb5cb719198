"""`make bench`: prints each figure as a ratio to a limit measured in the same run, and writes build/bench.json.

python -m benchmarks.run [NAME …]      only the benchmarks whose name begins so

Variables make a run shorter: BENCH_BYTES, BENCH_HUGE_BYTES and BENCH_UPLOAD_BYTES, sizes of the logs for a first
backup, for the measurement of memory and for an upload; BENCH_FILES and BENCH_SMALL_FILES, their numbers;
BENCH_RECORDS, records of the longest list; BENCH_JOBS, jobs; BENCH_READERS and BENCH_READ_SECONDS, how many read pages
of the console, and for how long.
What is not measured, as a program or room on the disk is missing, has a row that says so.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import archive, console, object_store, reading, remote, retention, search, service, workers
from benchmarks.result import Result

BENCHMARKS = {
    "first-backup": archive.first_backup,
    "nothing-new": archive.nothing_new,
    "many-files": archive.many_files,
    "small-files": archive.small_files,
    "memory": archive.memory,
    "read-back": reading.read_back,
    "search": search.search,
    "retention": retention.retain,
    "records": service.list_records,
    "signature": service.signature,
    "start": service.start,
    "beside-a-backup": service.list_beside_a_backup,
    "upload": object_store.upload,
    "remote-files": remote.remote_files,
    "remote-bucket": remote.remote_bucket,
    "takeover": workers.takeover,
    "jobs": workers.jobs_per_second,
    "console-pages": console.pages,
    "console-unused": console.unused,
    "console-readers": console.readers,
}
OUTPUT = Path("build/bench.json")


def main(names: list[str]) -> None:
    chosen = [name for name in BENCHMARKS if not names or any(name.startswith(wanted) for wanted in names)]
    report({name: BENCHMARKS[name] for name in chosen}, OUTPUT)


def report(benchmarks: Mapping[str, Callable[[], list[Result]]], output: Path) -> None:
    """Carry them out one after the other; what is measured is written at once."""
    results: list[Result] = []
    for name, measure in benchmarks.items():
        print(f"{name} … (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
        results += measure()
        output.parent.mkdir(exist_ok=True)
        output.write_text(json.dumps([result.as_row() for result in results], indent=1) + "\n", encoding="utf-8")
    Console(width=160).print(_table(results))


def _table(results: list[Result]) -> Table:
    table = Table("name", "value", "against", "ratio", "goal", "met")
    for result in results:
        table.add_row(
            result.name,
            f"{result.value:,.4g} {result.unit}" if result.value is not None else "",
            result.against,
            f"{result.ratio:.2f}" if result.ratio is not None else "",
            result.goal,
            "" if result.met is None else "yes" if result.met else "no",
        )
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
