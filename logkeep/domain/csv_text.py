"""CSV for spreadsheets (RFC 4180), in which nothing is computed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

# A spreadsheet takes what begins so for a formula, and computes it.
_COMPUTED = ("=", "+", "-", "@", "\t", "\r")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def csv_line(cells: Iterable[str]) -> str:
    """Return a line, which ends with CR LF."""
    line = io.StringIO(newline="")
    csv.writer(line).writerow(map(neutralised, cells))
    return line.getvalue()


def neutralised(cell: str) -> str:
    """Return a cell in which a spreadsheet computes nothing."""
    return f"'{cell}" if cell.startswith(_COMPUTED) else cell


def csv_time(moment: int) -> str:
    """Write a moment (Unix ms) to the second; '' for one that no calendar holds."""
    try:
        return (_EPOCH + timedelta(milliseconds=moment)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return ""


def join_lines(lines: Iterator[str], at_once: int) -> Iterator[bytes]:
    """Yield lines as chunks of so many."""
    while some := list(islice(lines, at_once)):
        yield "".join(some).encode(errors="replace")
