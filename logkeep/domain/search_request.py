"""What a search is asked for in texts: what is allowed, and the cursor with which it goes on."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from math import inf

import msgspec
from msgspec import Struct

from logkeep.domain.archive_search import START, ArchiveQuery, Position
from logkeep.domain.span import Moment, Span, read_moment
from logkeep.errors import InvalidField

LONGEST_TEXT = 1024  # characters
MOST_LEVELS = 20
IN_A_LINE = re.compile(r"^[^\x00\r\n]*$")  # as they are published
LEVEL = re.compile("^[A-Za-z]{1,20}$")
_encoder = msgspec.json.Encoder()


def check_text(text: str) -> None:
    """Raise `InvalidField` for a text that no line can contain, or that is too long."""
    if len(text) > LONGEST_TEXT or not IN_A_LINE.fullmatch(text):
        raise InvalidField(
            "text", f"at most {LONGEST_TEXT} characters of one line are allowed, without its end (CR, LF)"
        )


def read_levels(names: Collection[str]) -> frozenset[str]:
    """Return levels as logs write them. Raises `InvalidField`."""
    if len(names) > MOST_LEVELS or not all(map(LEVEL.fullmatch, names)):
        raise InvalidField("levels", f"at most {MOST_LEVELS} are allowed, each by itself and of letters, such as ERROR")
    return frozenset(level.upper() for level in names)


def read_span(since: str, until: str) -> Span:
    """Parse the bounds of a span, '' for none. Raises `InvalidField`."""
    span = Span(_read_bound("since", since), _read_bound("until", until))
    if span.is_reversed:
        raise InvalidField("since", "is after until; exchange the two")
    return span


def _read_bound(name: str, text: str) -> Moment | None:
    try:
        return read_moment(text) if text else None
    except ValueError as error:
        raise InvalidField(name, str(error)) from error


class _Cursor(Struct, array_like=True):
    """Where a search goes on, and a hash of what it was that was asked."""

    asked: str
    time: float | None  # None where no time is known
    node: str
    generation: int
    start: int


def write_cursor(query: ArchiveQuery, after: Position) -> str:
    """Write where a search is to go on."""
    known = None if after.time == -inf else after.time
    cursor = _Cursor(_hash(query), known, after.node, after.generation, after.start)
    return urlsafe_b64encode(_encoder.encode(cursor)).decode()


def read_cursor(text: str, query: ArchiveQuery) -> Position:
    """Return where a search goes on, its begin for ''. Raises `InvalidField` for what is no cursor of this search."""
    if not text:
        return START
    try:
        found = msgspec.json.decode(urlsafe_b64decode(text), type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidField("cursor", "it is none; give the `cursor` of an answer as it is") from None
    if found.asked != _hash(query):
        raise InvalidField("cursor", "it is of another search; ask for the same as in the one that it is of")
    return Position(-inf if found.time is None else found.time, found.node, found.generation, found.start)


def _hash(query: ArchiveQuery) -> str:
    """Return a hash of what decides which lines are found, and in which order."""
    span = query.wanted.span
    bounds = [
        bound and (bound.written, bound.instant and bound.instant.isoformat()) for bound in (span.since, span.until)
    ]
    asked = (
        (query.text, query.regex, query.ignore_case, query.node, query.family),
        (bounds, sorted(query.wanted.levels), query.newest_first, query.live),
    )
    return hashlib.sha256(repr(asked).encode("utf-8", "backslashreplace")).hexdigest()[:16]
