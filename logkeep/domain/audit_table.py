"""The audit as CSV, for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from logkeep.domain.access import AuditEntry
from logkeep.domain.csv_text import csv_line, csv_time

HEADS = ("time", "operation", "status", "code", "who", "address", "cluster_id", "request_id")


def csv_lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """Yield a line of heads, and one for each entry; each ends with CR LF. Times are of UTC."""
    yield csv_line(HEADS)
    for one in entries:
        yield csv_line(
            (
                csv_time(one.at),
                one.operation,
                str(one.status),
                one.code,
                one.who,
                one.address,
                one.cluster_id,
                one.request_id,
            )
        )
