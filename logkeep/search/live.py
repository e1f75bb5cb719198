"""Search of the newest records of a log that a node is writing (docs/contract.md, "ShowLogBackup")."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from logkeep.domain.log_line import LogKind, LogLine, LogQuery
from logkeep.logformat.lines import HEAD_BYTES, read_head
from logkeep.sources.base import LogSource, OpenLog

MOST_RECORDS = 10_000  # newest records that are searched
MOST_BYTES = 1024 * 1024  # of the contents found, in UTF-8
_FIRST_WINDOW = 1024 * 1024
_LAST_WINDOW = 32 * 1024 * 1024  # bytes read from the end of a log at most
_MOST_READS = 1024  # calls of `read_at` per window
_HEADS = frozenset(b"[{")  # first bytes of lines that begin a record
_DATE = 23  # length of yyyy-MM-ddTHH:mm:ss,SSS
_ENDINGS = {
    LogKind.DEPRECATION: "_deprecation",
    LogKind.INDEXING_SLOW: "_index_indexing_slowlog",
    LogKind.SEARCH_SLOW: "_index_search_slowlog",
}


def find_log(names: Iterable[str], kind: LogKind) -> str | None:
    """Return the file that a node writes records of this kind to: the text log, or the JSON log if there is no other.

    The instance log has the name of the cluster alone, `prod.log` beside `prod_deprecation.log`; Logstash calls it
    `logstash-plain.log`.
    """
    known = set(names)
    for extension in (".log", ".json"):
        found = _logs_of_kind(known, kind, extension)
        if found:
            return min(found, key=lambda name: (len(name), name))
    plain = [name for name in known if name.endswith(".log") and not name.startswith("gc")]
    return plain[0] if kind is LogKind.INSTANCE and len(plain) == 1 else None


def _logs_of_kind(known: set[str], kind: LogKind, extension: str) -> list[str]:
    if kind is not LogKind.INSTANCE:
        return [name for name in known if name.endswith(_ENDINGS[kind] + extension)]
    endings = tuple(ending + either for ending in _ENDINGS.values() for either in (".log", ".json"))
    stems = {name.removesuffix(ending) for ending in endings for name in known if name.endswith(ending)}
    server = extension if extension == ".log" else f"_server{extension}"
    return [name for name in known if name.removesuffix(server) in stems or name.endswith(f"-plain{extension}")]


def search_log(source: LogSource, name: str, query: LogQuery) -> tuple[list[LogLine], bool]:
    """Return the newest matching records, newest first, and whether they are all matches among those read.

    Raises a `SourceError` if the log cannot be read.
    """
    log = source.open(name)
    try:
        records, looked_through = _newest_records(log)
    finally:
        log.close()
    found: list[LogLine] = []
    size = 0
    for record in reversed(records):
        if query.matches(record):
            size += len(record.content.encode())
            if len(found) == query.limit or size > MOST_BYTES:
                return found, False
            found.append(record)
        elif len(record.content) > MOST_BYTES // 4 and len(record.content.encode()) > MOST_BYTES:
            looked_through = False  # what was left out of it may match
    return found, looked_through


def _newest_records(log: OpenLog) -> tuple[list[LogLine], bool]:
    """Return at most `MOST_RECORDS`, oldest first, and whether these are all that are to be searched.

    The window at the end of the log grows until it contains them, up to `_LAST_WINDOW`.
    """
    end = log.stat().size
    window = _FIRST_WINDOW
    while True:
        start = max(0, end - window)
        data = _read(log, start, end)
        read, records = len(data), _records(data, whole=start == 0)
        del data  # before the next one is read
        enough = start == 0 or len(records) >= MOST_RECORDS
        if enough or window >= _LAST_WINDOW:
            return records[-MOST_RECORDS:], enough and read == end - start
        window *= 2


def _read(log: OpenLog, start: int, end: int) -> bytes:
    """Read the window in at most `_MOST_READS` calls: a node that returns a byte at a time must not hold the search."""
    pieces: list[bytes] = []
    for _ in range(_MOST_READS):
        piece = log.read_at(start, end - start) if start < end else b""
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)


def _records(data: bytes, *, whole: bool) -> list[LogLine]:
    """Return the last `MOST_RECORDS` records; omit what precedes the first head unless the data is the whole log.

    The data is not split into lines: for 32 MiB of short ones, the list alone would take hundreds of MiB.
    """
    records: deque[LogLine] = deque(maxlen=MOST_RECORDS)
    date = level = ""
    headed, begun, at = whole, 0, 0
    while at < len(data):
        end = data.find(b"\n", at)
        head = (
            read_head(data[at : min(at + HEAD_BYTES, end if end >= 0 else len(data))]) if data[at] in _HEADS else None
        )
        if head:
            if at and headed:
                records.append(_line(data, begun, at - 1, date, level))
            begun, date, level, headed = at, head.time[:_DATE], head.level or "", True
        at = end + 1 if end >= 0 else len(data)
    if headed and data[begun : begun + MOST_BYTES].rstrip(b"\n"):
        records.append(_line(data, begun, len(data), date, level))
    return list(records)


def _line(data: bytes, start: int, end: int, date: str, level: str) -> LogLine:
    """Copy no more of a record than makes it too long for an answer: it may be as long as the window."""
    record = data[start : min(end, start + MOST_BYTES + 1)]
    return LogLine(record.decode("utf-8", "replace").rstrip("\n"), date, level)
