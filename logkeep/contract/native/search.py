"""Request and answer of Search: lines of kept logs."""

from __future__ import annotations

import hashlib
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from math import inf
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from logkeep.contract.bodies import TEXT, member, read_body
from logkeep.contract.native.requests import SINCE_TIME, UNTIL_TIME, read_span
from logkeep.contract.native.responses import ErrorLine
from logkeep.contract.parameters import Schema
from logkeep.domain.archive_search import (
    START,
    ArchiveQuery,
    Hit,
    Position,
    SearchDamage,
    SearchEnd,
    SearchEvent,
    SearchProgress,
)
from logkeep.domain.histogram import Bucket, Interval
from logkeep.domain.record_filter import RecordFilter
from logkeep.errors import InvalidField

_LONGEST_TEXT = 1024  # characters
_MOST_HITS = 100_000
_FEW = 1000
_PIECE, _HELD_SECONDS = 64 * 1024, 0.1  # of lines that are sent together, in bytes
_MOST_LEVELS = 20
_MOST_CONTEXT = 100
_MOST_SECONDS, _MOST_BYTES = 86_400, 2**53
_IN_A_LINE, _LEVEL = re.compile(r"^[^\x00\r\n]*$"), re.compile("^[A-Za-z]{1,20}$")  # as they are published
_TEXT: Schema = TEXT | {"pattern": _IN_A_LINE.pattern, "maxLength": _LONGEST_TEXT}
_encoder = msgspec.json.Encoder()

_Text = member("What a line must contain: at most 1024 characters; only with a histogram it may be empty.", _TEXT)
_MaxSeconds = member(
    "The search ends after so many seconds, as it does at `limit`; 0 for no bound.",
    says=f"0 to {_MOST_SECONDS} are allowed",
)
_MaxBytes = member(
    "The search ends after so many plain bytes were read; 0 for no bound.", says="0 to 2**53 are allowed"
)
_Context = member("Lines to give before and after each.", says=f"0 to {_MOST_CONTEXT} are allowed")
_Order = member("Which records come first.", says="oldest or newest is allowed")
_CursorText = member(
    "The `cursor` of an answer that ended before all was found, with all else as it was asked: what comes behind it.",
    {"maxLength": 1024},
)
_Levels = member(
    "Only records of these levels; all without it.", {"maxItems": _MOST_LEVELS}, says="a list of levels is allowed"
)
_Histogram = member(
    "Give counts by this interval and level in place of lines: of lines that match, without a text of all records.",
    says="minute, hour or day is allowed",
)
_Limit = member("The most lines to give.", says=f"1 to {_MOST_HITS} are allowed")


class SearchReq(Struct, kw_only=True):
    text: Annotated[str, _Text] = ""
    regex: Annotated[bool, member("Whether the text is a regular expression, in the syntax of RE2.")] = False
    ignore_case: Annotated[bool, member("Whether ASCII letters of both cases are alike.")] = False
    node: Annotated[str, member("The name of a node; empty for all.", TEXT)] = ""
    family: Annotated[str, member("The name of an active log file; empty for all.", TEXT)] = ""
    levels: Annotated[list[Annotated[str, member(schema={"pattern": _LEVEL.pattern})]], _Levels] = []
    since: Annotated[str, member(SINCE_TIME.about, SINCE_TIME.schema)] = ""
    until: Annotated[str, member(UNTIL_TIME.about, UNTIL_TIME.schema)] = ""
    limit: Annotated[int, Meta(ge=1, le=_MOST_HITS), _Limit] = _FEW
    count: Annotated[bool, member("Only count the lines, all of them.")] = False
    order: Annotated[Literal["oldest", "newest"], _Order] = "oldest"
    context: Annotated[int, Meta(ge=0, le=_MOST_CONTEXT), _Context] = 0
    max_seconds: Annotated[float, Meta(ge=0, le=_MOST_SECONDS), _MaxSeconds] = 0
    max_bytes: Annotated[int, Meta(ge=0, le=_MOST_BYTES), _MaxBytes] = 0
    cursor: Annotated[str, _CursorText] = ""
    live: Annotated[bool, member("Whether what nodes have written since is searched too, as it would be kept.")] = True
    use_index: Annotated[bool, member("Whether frames that hold nothing by the index are left out.")] = True
    dry_run: Annotated[bool, member("Only tell how much would be read.")] = False
    histogram: Annotated[Literal["", "minute", "hour", "day"], _Histogram] = ""


def read_search(body: bytes) -> ArchiveQuery:
    """Read the body of Search. Raises `EmptyBody`, `InvalidField`."""
    asked = read_body(body, SearchReq)
    if not asked.text and not asked.histogram:
        raise InvalidField("text", "is missing; give the text to look for")
    if asked.cursor and asked.histogram:
        raise InvalidField("cursor", "a histogram is given as a whole; leave one of the two out")
    if len(asked.text) > _LONGEST_TEXT or not _IN_A_LINE.fullmatch(asked.text):
        raise InvalidField(
            "text", f"at most {_LONGEST_TEXT} characters of one line are allowed, without its end (CR, LF)"
        )
    if len(asked.levels) > _MOST_LEVELS or not all(map(_LEVEL.fullmatch, asked.levels)):
        raise InvalidField(
            "levels", f"at most {_MOST_LEVELS} are allowed, each by itself and of letters, such as ERROR"
        )
    levels = frozenset(level.upper() for level in asked.levels)
    return ArchiveQuery(
        text=asked.text,
        regex=asked.regex,
        ignore_case=asked.ignore_case,
        node=asked.node,
        family=asked.family,
        wanted=RecordFilter(read_span({"since": asked.since, "until": asked.until}), levels),
        limit=asked.limit,
        count=asked.count,
        newest_first=asked.order == "newest",
        after=_read_cursor(asked),
        use_index=asked.use_index,
        live=asked.live,
        context=asked.context,
        max_bytes=asked.max_bytes,
        max_seconds=asked.max_seconds,
        dry_run=asked.dry_run,
        interval=Interval(asked.histogram) if asked.histogram else None,
    )


class _Cursor(Struct, array_like=True):
    """Where a search goes on, and a hash of what it was that was asked."""

    asked: str
    time: float | None  # None where no time is known
    node: str
    generation: int
    start: int


def write_cursor(body: bytes, after: Position) -> str:
    """Write where the search that `body` asked for is to go on."""
    asked = _asked(read_body(body, SearchReq))
    known = None if after.time == -inf else after.time
    return urlsafe_b64encode(_encoder.encode(_Cursor(asked, known, after.node, after.generation, after.start))).decode()


def _read_cursor(asked: SearchReq) -> Position:
    """Raises `InvalidField` for what is no cursor, or one of another search."""
    if not asked.cursor:
        return START
    try:
        found = msgspec.json.decode(urlsafe_b64decode(asked.cursor), type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidField("cursor", "it is none; give the `cursor` of an answer as it is") from None
    if found.asked != _asked(asked):
        raise InvalidField("cursor", "it is of another search; ask for the same as in the one that it is of")
    return Position(-inf if found.time is None else found.time, found.node, found.generation, found.start)


def _asked(asked: SearchReq) -> str:
    """Return a hash of what decides which lines are found, and in which order."""
    how = {"limit": _FEW, "context": 0, "max_seconds": 0, "max_bytes": 0, "count": False, "dry_run": False}
    same = msgspec.structs.replace(asked, cursor="", use_index=True, **how)
    return hashlib.sha256(_encoder.encode(same)).hexdigest()[:16]


class HitSourceView(Struct, rename="camel"):
    """Where a line lies: in an object of a bucket, or in a file of its node that is not kept so far."""

    bucket: str  # '' where it is not kept yet, as `object`
    object: str
    file: str  # '' where it is kept
    offset: int  # of the plain bytes in the object or file


class HitLine(Struct, rename="camel", tag="hit"):
    node: str
    family: str  # name of the active file, e.g. prod_server.json
    generation: int  # number within the node, as ListKept shows it, or will where it is not kept yet
    name: str  # name of the file when it was last seen, without '.gz'
    start: int  # offset of the line in the generation, from which ReadKept gives what is around it
    time: str  # of its record, as written in the log; '' if unknown
    level: str
    text: str  # without the line end; what is no UTF-8 is replaced
    cut: bool  # whether the line is longer than the 64 KiB that are given
    source: HitSourceView
    component: str  # logger that the line shows; '' where it shows none, as `message`
    message: str
    before: list[str]  # lines around it, where `context` asks for them
    after: list[str]


class BucketLine(Struct, rename="camel", tag="bucket"):
    time: str  # as written in the log, down to the interval, and its zone; '' where it is unknown
    levels: dict[str, int]  # level -> lines that match, or records; '' for those that show none


class SearchProgressLine(Struct, rename="camel", tag="progress"):
    hits: int
    logs: int  # generations that were looked at
    frames: int  # of these
    frames_read: int
    bytes: int  # plain bytes of the frames
    bytes_read: int  # and of those that were read
    partly: int  # lines so long that the expression was held against their first MiB alone, and found nothing there


class DamageLine(Struct, rename="camel", tag="damage"):
    node: str  # of a log of which a part could not be searched
    family: str  # '' where the node could not be read
    generation: int
    problem: str
    live: bool  # whether it is of what is not kept yet


class SearchEndLine(Struct, rename="camel", tag="end"):
    completed: bool  # whether all was looked at; not, where `limit` was reached, a log is damaged or `partly` counts
    hits: int
    logs: int
    frames: int
    frames_read: int
    bytes: int
    bytes_read: int
    partly: int
    not_indexed: int  # frames of which no index tells, though one would have been asked
    cursor: str  # with which the search goes on, if more was found than is given; '' otherwise


SearchLine = HitLine | BucketLine | SearchProgressLine | DamageLine | SearchEndLine | ErrorLine


def search_lines(events: Iterable[SearchEvent], body: bytes) -> Iterator[bytes]:
    """Yield events of the search that `body` asked for as lines.

    Hits that follow soon are sent together, as each piece costs a step of a thread.
    """
    held, size, since = list[bytes](), 0, time.monotonic()
    try:
        for event in events:
            held.append(_encoder.encode(_line(event, body)) + b"\n")
            size += len(held[-1])
            if not isinstance(event, Hit | Bucket) or size > _PIECE or time.monotonic() - since > _HELD_SECONDS:
                yield b"".join(held)
                held, size, since = [], 0, time.monotonic()
    except Exception:
        if held:
            yield b"".join(held)  # what was found before it stays
        raise


def _line(event: SearchEvent, body: bytes) -> SearchLine:
    if isinstance(event, SearchEnd):
        total = msgspec.convert(event.total, SearchProgressLine, from_attributes=True)
        cursor = write_cursor(body, event.after) if event.after else ""
        return SearchEndLine(
            completed=event.completed,
            not_indexed=event.not_indexed,
            cursor=cursor,
            **msgspec.structs.asdict(total),
        )
    kinds = {Hit: HitLine, Bucket: BucketLine, SearchProgress: SearchProgressLine, SearchDamage: DamageLine}
    return msgspec.convert(event, kinds[type(event)], from_attributes=True)
