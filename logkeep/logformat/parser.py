"""Parsing of records: the bytes of a log become records with their fields.

Nothing of a log is lost, and nothing in it is an error: what is of no known form is a record with its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from logkeep.domain.log_record import LogRecord, RecordKind
from logkeep.logformat.json_form import parse_json
from logkeep.logformat.splitter import RawRecord, RecordSplitter
from logkeep.logformat.text_form import parse_text


def read_records(pieces: Iterable[bytes], at: int = 0) -> Iterator[LogRecord]:
    """Yield the records of a log in pieces, which may be cut anywhere; their ranges tile it.

    The first piece begins at offset `at` of the log, where a line begins.
    """
    splitter = RecordSplitter(at)
    for piece in pieces:
        yield from map(parse_record, splitter.feed(piece))
    yield from map(parse_record, splitter.finish())


def parse_record(raw: RawRecord) -> LogRecord:
    """Parse one record; bytes that are not UTF-8 are replaced."""
    if raw.text.startswith(b"{") and (found := parse_json(raw)):
        return found
    text = raw.text.decode("utf-8", "replace").rstrip("\r\n")
    if text.startswith("["):
        return parse_text(raw, text)
    time, level = raw.head or (None, None)
    return LogRecord(start=raw.start, end=raw.end, kind=RecordKind.OTHER, time=time, level=level, message=text)
