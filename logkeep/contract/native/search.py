"""Request and answer of Search: lines of kept logs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from logkeep.contract.bodies import TEXT, member, read_body
from logkeep.contract.native.requests import SINCE_TIME, UNTIL_TIME, read_span
from logkeep.contract.native.responses import ErrorLine
from logkeep.contract.parameters import Schema
from logkeep.domain.archive_search import (
    ArchiveQuery,
    Hit,
    SearchDamage,
    SearchEnd,
    SearchEvent,
    SearchProgress,
)
from logkeep.domain.histogram import Bucket, Interval
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.removed_span import RemovedSpan
from logkeep.domain.search_request import (
    IN_A_LINE,
    LEVEL,
    LONGEST_TEXT,
    MOST_LEVELS,
    check_text,
    read_cursor,
    read_levels,
    write_cursor,
)
from logkeep.errors import InvalidField

_MOST_HITS = 100_000
_FEW = 1000
_PIECE, _HELD_SECONDS = 64 * 1024, 0.1  # of lines that are sent together, in bytes
_MOST_CONTEXT = 100
_MOST_SECONDS, _MOST_BYTES = 86_400, 2**53
_TEXT: Schema = TEXT | {"pattern": IN_A_LINE.pattern, "maxLength": LONGEST_TEXT}
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
    "Only records of these levels; all without it.", {"maxItems": MOST_LEVELS}, says="a list of levels is allowed"
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
    levels: Annotated[list[Annotated[str, member(schema={"pattern": LEVEL.pattern})]], _Levels] = []
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
    check_text(asked.text)
    span = read_span({"since": asked.since, "until": asked.until})
    query = ArchiveQuery(
        text=asked.text,
        regex=asked.regex,
        ignore_case=asked.ignore_case,
        node=asked.node,
        family=asked.family,
        wanted=RecordFilter(span, read_levels(asked.levels)),
        limit=asked.limit,
        count=asked.count,
        newest_first=asked.order == "newest",
        use_index=asked.use_index,
        live=asked.live,
        context=asked.context,
        max_bytes=asked.max_bytes,
        max_seconds=asked.max_seconds,
        dry_run=asked.dry_run,
        interval=Interval(asked.histogram) if asked.histogram else None,
    )
    return replace(query, after=read_cursor(asked.cursor, query))


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


class RemovedLine(Struct, rename="camel", tag="removed"):
    """What a rule of retention removed of a log, and what was looked for may have been in it."""

    node: str
    family: str
    rule: str  # its text, as `keep_days=90 of gc.log`
    removed_at: int  # Unix ms, the last time
    first_time: str  # oldest and newest known time of its lines, as written in the log; '' if none is known
    last_time: str
    timed: bool  # whether the times of all its lines are known
    objects: int
    raw: int  # plain bytes
    lines: int


class SearchEndLine(Struct, rename="camel", tag="end"):
    # Whether all that is kept was looked at; not, where `limit` was reached, a log is damaged or `partly` counts. What
    # was removed leaves it as it is: no search can find it.
    completed: bool
    hits: int
    logs: int
    frames: int
    frames_read: int
    bytes: int
    bytes_read: int
    partly: int
    not_indexed: int  # frames of which no index tells, though one would have been asked
    cursor: str  # with which the search goes on, if more was found than is given; '' otherwise


SearchLine = HitLine | BucketLine | SearchProgressLine | DamageLine | RemovedLine | SearchEndLine | ErrorLine


_KINDS: dict[type[SearchEvent], type[SearchLine]] = {
    Hit: HitLine,
    Bucket: BucketLine,
    SearchProgress: SearchProgressLine,
    SearchDamage: DamageLine,
    RemovedSpan: RemovedLine,
}


def search_lines(events: Iterable[SearchEvent], query: ArchiveQuery) -> Iterator[bytes]:
    """Yield events of a search as lines.

    Hits that follow soon are sent together, as each piece costs a step of a thread.
    """
    held, size, since = list[bytes](), 0, time.monotonic()
    try:
        for event in events:
            held.append(_encoder.encode(_line(event, query)) + b"\n")
            size += len(held[-1])
            if not isinstance(event, Hit | Bucket) or size > _PIECE or time.monotonic() - since > _HELD_SECONDS:
                yield b"".join(held)
                held, size, since = [], 0, time.monotonic()
    except Exception:
        if held:
            yield b"".join(held)  # what was found before it stays
        raise


def _line(event: SearchEvent, query: ArchiveQuery) -> SearchLine:
    if isinstance(event, SearchEnd):
        total = msgspec.convert(event.total, SearchProgressLine, from_attributes=True)
        cursor = write_cursor(query, event.after) if event.after else ""
        return SearchEndLine(
            completed=event.completed,
            not_indexed=event.not_indexed,
            cursor=cursor,
            **msgspec.structs.asdict(total),
        )
    return msgspec.convert(event, _KINDS[type(event)], from_attributes=True)
