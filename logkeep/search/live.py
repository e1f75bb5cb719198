"""Search of the newest records of a log that a node is writing (docs/contract.md, "ShowLogBackup")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from logkeep.domain.log_line import LogKind, LogLine, LogQuery
from logkeep.logformat.splitter import RawRecord, split_backwards
from logkeep.sources.base import LogSource, OpenLog

MOST_RECORDS = 10_000  # newest records that are searched
MOST_BYTES = 1024 * 1024  # of the contents found, in UTF-8
_WINDOW = 32 * 1024 * 1024  # bytes read from the end of a log at most
_BLOCK = 1024 * 1024  # that are read and split at a time
_MOST_READS = 4096  # calls of `read_at` for a search: a node that returns a byte at a time must not hold it
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
    """Return the newest matching records, newest first, and whether they are all matches among those to be searched.

    Raises a `SourceError` if the log cannot be read.
    """
    log = source.open(name)
    try:
        return _search(_End(log), query)
    finally:
        log.close()


def _search(end: _End, query: LogQuery) -> tuple[list[LogLine], bool]:
    found: list[LogLine] = []
    size = seen = 0
    looked_through = True
    for line in end.lines():
        seen += 1
        if query.matches(line):
            size += len(line.content.encode())
            if len(found) == query.limit or size > MOST_BYTES:
                return found, False
            found.append(line)
        elif len(line.content) > MOST_BYTES // 4 and len(line.content.encode()) > MOST_BYTES:
            looked_through = False  # what was left out of it may match
        if seen == MOST_RECORDS:
            break
    return found, looked_through and end.is_whole and (end.start == 0 or seen == MOST_RECORDS)


class _End:
    """End of a log, read backwards."""

    def __init__(self, log: OpenLog) -> None:
        self._log = log
        self._end = log.stat().size
        self.start = max(0, self._end - _WINDOW)
        self.is_whole = True  # no byte was missing of what was read
        self._reads = 0

    def lines(self) -> Iterator[LogLine]:
        """Yield the records, the last one first."""
        # No more is held of a record than makes it too long for an answer: it may be as long as the window.
        for record in split_backwards(self._blocks(), longest=MOST_BYTES + 1):
            if record.end < self._end or record.text.strip(b"\n"):
                yield _line(record)

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        end = self._end
        while end > self.start and self._reads < _MOST_READS:
            start = max(self.start, end - _BLOCK)
            block = self._read(start, end)
            self.is_whole = self.is_whole and len(block) == end - start
            yield start, block
            end = start
        self.is_whole = self.is_whole and end == self.start

    def _read(self, start: int, end: int) -> bytes:
        pieces: list[bytes] = []
        while start < end and self._reads < _MOST_READS:
            self._reads += 1
            piece = self._log.read_at(start, end - start)
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)


def _line(record: RawRecord) -> LogLine:
    date, level = (record.head.time[:_DATE], record.head.level or "") if record.head else ("", "")
    return LogLine(record.text.decode("utf-8", "replace").rstrip("\n"), date, level)
