"""Times and levels in the heads of log lines."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

# Time and level of every layout in use (log4j2's patterns, ESJsonLayout, ECS, unified JVM logging) stand well before
# this many bytes; the rest of a line is message.
HEAD_BYTES = 256

_TIME = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[,.](\d{3})(Z|[+-]\d\d(?::?\d\d)?)?"
# `[2026-11-23T10:49:05,123][INFO ]` and gc.log's `[2026-11-23T10:49:05.123+0000][pid]`
TEXT = re.compile(rb"\[" + _TIME + rb"\](?:\[ *([A-Z]+) *\])?")
# A quote inside a message is escaped, so these keys are keys.
JSON_TIME = re.compile(rb'"@?timestamp" *: *"' + _TIME + rb'"')
JSON_LEVEL = re.compile(rb'"(?:log\.)?level" *:( *"([A-Z]+)")')


class LineHead(NamedTuple):
    """Head of the first line of a record."""

    time: str  # yyyy-MM-ddTHH:mm:ss,SSS and the zone as written, if any
    level: str | None  # None where it cannot be seen: gc.log, audit


def read_head(line: bytes) -> LineHead | None:
    """Parse the head of a line; None for a continuation of the record before (a stack trace, the rest of a message).

    Only this function decides what begins a record; the promises of `annotate` hold for no other definition.
    """
    if line.startswith(b"["):
        time = TEXT.match(line, 0, HEAD_BYTES)
        level = time and time[4]
    elif line.startswith(b'{"'):
        time = JSON_TIME.search(line, 0, HEAD_BYTES)
        found = JSON_LEVEL.search(line, 0, HEAD_BYTES) if time else None
        level = found and found[2]
    else:
        return None
    if time is None:
        return None
    written = (b"%b,%b%b" % (time[1], time[2], time[3] or b"")).decode()
    return LineHead(written, level.decode() if level else None) if _exists(written) else None


def first_time(head: bytes) -> str:
    """Return the time of the first record that begins in `head`, the first bytes of a file; '' if there is none."""
    return next((found.time for line in head.split(b"\n") if (found := read_head(line))), "")


def last_time(tail: bytes) -> str:
    """Return the time of the last record that begins in `tail`, the last bytes of a file; '' if there is none."""
    lines = tail.split(b"\n")[1:] if len(tail) >= HEAD_BYTES else tail.split(b"\n")
    return next((found.time for line in reversed(lines) if (found := read_head(line))), "")


def _exists(time: str) -> bool:
    """Return whether the calendar has this time, as readers compare instants."""
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return False
    return True
