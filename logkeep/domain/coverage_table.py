"""Coverage as CSV, for spreadsheets: a line for each log of each node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from logkeep.domain.coverage import LogCoverage
from logkeep.domain.csv_text import csv_line, csv_time

HEADS = (
    "node",
    "log",
    "first_time",
    "last_time",
    "generations",
    "lines",
    "raw_bytes",
    "stored_bytes",
    "safe_until",
    "gaps",
    "removed",
    "warnings",
)


def csv_lines(logs: Iterable[LogCoverage]) -> Iterator[str]:
    """Yield a line of heads, and one for each log; each ends with CR LF."""
    yield csv_line(HEADS)
    for log in logs:
        numbers = log.generations, log.lines, log.raw, log.stored
        safe = "" if log.safe_until is None else csv_time(log.safe_until)
        told = str(len(log.gaps)), str(sum(one.objects for one in log.removed)), str(len(log.warnings))
        yield csv_line((log.node, log.family, log.first_time, log.last_time, *map(str, numbers), safe, *told))
