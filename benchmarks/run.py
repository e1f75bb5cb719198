"""`make bench`: prints each figure as a ratio to a limit measured in the same run, and writes build/bench.json.

python -m benchmarks.run [NAME …]      only the benchmarks whose name begins so
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import archive, service
from benchmarks.result import Result

BENCHMARKS = {
    "first-backup": archive.first_backup,
    "nothing-new": archive.nothing_new,
    "memory": archive.memory,
    "records": service.list_records,
    "signature": service.signature,
    "start": service.start,
}
OUTPUT = Path("build/bench.json")


def main(names: list[str]) -> None:
    chosen = [name for name in BENCHMARKS if not names or any(name.startswith(wanted) for wanted in names)]
    results: list[Result] = []
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        results += BENCHMARKS[name]()
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([result.as_row() for result in results], indent=1) + "\n", encoding="utf-8")
    Console(width=150).print(_table(results))


def _table(results: list[Result]) -> Table:
    table = Table("name", "value", "against", "ratio", "goal", "met")
    for result in results:
        row = result.as_row()
        table.add_row(
            result.name,
            f"{result.value:,.4g} {result.unit}",
            result.against,
            f"{result.ratio:.2f}" if result.ratio is not None else "",
            result.goal,
            "yes" if row["met"] else "no",
        )
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
