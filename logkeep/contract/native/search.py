"""Request and answer of Search: lines of kept logs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from logkeep.contract.bodies import NAME, TEXT, member, read_body
from logkeep.contract.native.requests import SINCE_TIME, UNTIL_TIME, read_span
from logkeep.contract.native.responses import ErrorLine
from logkeep.contract.parameters import Schema
from logkeep.domain.archive_search import ArchiveQuery, Hit, SearchDamage, SearchEnd, SearchEvent, SearchProgress
from logkeep.domain.record_filter import RecordFilter
from logkeep.errors import InvalidField

_LONGEST_TEXT = 1024  # characters
_MOST_HITS = 100_000
_FEW = 1000
_PIECE, _HELD_SECONDS = 64 * 1024, 0.1  # of lines that are sent together, in bytes
_MOST_LEVELS = 20
_IN_A_LINE, _LEVEL = re.compile(r"^[^\x00\r\n]*$"), re.compile("^[A-Za-z]{1,20}$")  # as they are published
_TEXT: Schema = NAME | {"pattern": _IN_A_LINE.pattern, "maxLength": _LONGEST_TEXT}
_encoder = msgspec.json.Encoder()

_Text = member("What a line must contain: at most 1024 characters.", _TEXT, give="the text to look for")
_Levels = member(
    "Only records of these levels; all without it.", {"maxItems": _MOST_LEVELS}, says="a list of levels is allowed"
)
_Limit = member("The most lines to give.", says=f"1 to {_MOST_HITS} are allowed")


class SearchReq(Struct, kw_only=True):
    text: Annotated[str, _Text]
    ignore_case: Annotated[bool, member("Whether ASCII letters of both cases are alike.")] = False
    node: Annotated[str, member("The name of a node; empty for all.", TEXT)] = ""
    family: Annotated[str, member("The name of an active log file; empty for all.", TEXT)] = ""
    levels: Annotated[list[Annotated[str, member(schema={"pattern": _LEVEL.pattern})]], _Levels] = []
    since: Annotated[str, member(SINCE_TIME.about, SINCE_TIME.schema)] = ""
    until: Annotated[str, member(UNTIL_TIME.about, UNTIL_TIME.schema)] = ""
    limit: Annotated[int, Meta(ge=1, le=_MOST_HITS), _Limit] = _FEW
    count: Annotated[bool, member("Only count the lines, all of them.")] = False


def read_search(body: bytes) -> ArchiveQuery:
    """Read the body of Search. Raises `EmptyBody`, `InvalidField`."""
    asked = read_body(body, SearchReq)
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
        text=asked.text.encode("utf-8", "surrogatepass"),
        ignore_case=asked.ignore_case,
        node=asked.node,
        family=asked.family,
        wanted=RecordFilter(read_span({"since": asked.since, "until": asked.until}), levels),
        limit=asked.limit,
        count=asked.count,
    )


class HitLine(Struct, rename="camel", tag="hit"):
    node: str
    family: str  # name of the active file, e.g. prod_server.json
    generation: int  # number within the node, as ListKept shows it
    name: str  # name of the file when it was last seen, without '.gz'
    start: int  # offset of the line in the generation, from which ReadKept gives what is around it
    time: str  # of its record, as written in the log; '' if unknown
    level: str
    text: str  # without the line end; what is no UTF-8 is replaced
    cut: bool  # whether the line is longer than the 64 KiB that are given


class SearchProgressLine(Struct, rename="camel", tag="progress"):
    hits: int
    logs: int  # generations that were looked at
    frames: int  # of these
    frames_read: int
    bytes_read: int  # plain bytes of those


class DamageLine(Struct, rename="camel", tag="damage"):
    node: str  # where a log could not be searched to its end
    family: str
    generation: int
    problem: str


class SearchEndLine(Struct, rename="camel", tag="end"):
    completed: bool  # whether all that is kept was looked at; not, where `limit` was reached or a log is damaged
    hits: int
    logs: int
    frames: int
    frames_read: int
    bytes_read: int


SearchLine = HitLine | SearchProgressLine | DamageLine | SearchEndLine | ErrorLine


def search_lines(events: Iterable[SearchEvent]) -> Iterator[bytes]:
    """Yield events as lines. Hits that follow soon are sent together, as each piece costs a step of a thread."""
    held, size, since = list[bytes](), 0, time.monotonic()
    try:
        for event in events:
            held.append(_encoder.encode(_line(event)) + b"\n")
            size += len(held[-1])
            if not isinstance(event, Hit) or size > _PIECE or time.monotonic() - since > _HELD_SECONDS:
                yield b"".join(held)
                held, size, since = [], 0, time.monotonic()
    except Exception:
        if held:
            yield b"".join(held)  # what was found before it stays
        raise


def _line(event: SearchEvent) -> SearchLine:
    if isinstance(event, SearchEnd):
        total = msgspec.convert(event.total, SearchProgressLine, from_attributes=True)
        return SearchEndLine(completed=event.completed, **msgspec.structs.asdict(total))
    kinds = {Hit: HitLine, SearchProgress: SearchProgressLine, SearchDamage: DamageLine}
    return msgspec.convert(event, kinds[type(event)], from_attributes=True)
