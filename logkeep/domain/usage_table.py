"""Usage as CSV, for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from logkeep.domain.csv_text import csv_line
from logkeep.domain.usage import RequestKind, UsageRow

HEADS = (
    "cluster",
    "cluster_id",
    "node",
    "log",
    "month",
    "raw_bytes",
    "stored_bytes",
    "objects",
    "index_bytes",
    "index_objects",
    *(f"{kind}_requests" for kind in RequestKind),
    "growth_bytes_per_day",
    "added_bytes",
)


def csv_lines(rows: Iterable[UsageRow]) -> Iterator[str]:
    """Yield a line of heads, and one for each row; each ends with CR LF. What is not known is empty."""
    yield csv_line(HEADS)
    for row in rows:
        yield csv_line(_cells(row))


def _cells(row: UsageRow) -> tuple[str, ...]:
    sums, index, requests = row.sums, row.index, row.requests
    return (
        row.cluster,
        row.cluster_id,
        row.node,
        row.log,
        row.month,
        *map(str, (sums.raw, sums.stored, sums.objects)),
        *map(str, (index.stored, index.objects) if index else ("", "")),
        *("" if requests is None else str(requests.get(kind, 0)) for kind in RequestKind),
        str(round(row.growth.per_day)) if row.growth else "",
        "" if row.added is None else str(row.added),
    )
