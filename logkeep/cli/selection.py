"""Which part of what is kept a command means: options that several commands have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from logkeep.cli.errors import UsageError
from logkeep.domain.span import Moment, Span, read_moment

NodeName = Annotated[str, typer.Option(metavar="NODE", help="Only this node.")]
FamilyName = Annotated[str, typer.Option(metavar="FAMILY", help="Only this log and its rotations: gc.log.")]
Since = Annotated[str, typer.Option(metavar="TIME", help="Only records from then on: 2026-11-24T06:40.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Only records before: 2026-11-25.")]
Levels = Annotated[
    list[str] | None, typer.Option(metavar="LEVEL", help="Only records of this level; may be given several times.")
]
Regex = Annotated[bool, typer.Option("--regex", "-E", help="Take TEXT for a regular expression, in the syntax of RE2.")]
IgnoreCase = Annotated[bool, typer.Option("--ignore-case", "-i", help="Take ASCII letters of both cases for alike.")]


def check_text(text: str, name: str = "TEXT") -> None:
    """Raise `UsageError` for what came as bytes that are no UTF-8."""
    if text != text.encode("utf-8", "replace").decode():
        raise UsageError(f"{name} must be UTF-8; of a log in another encoding, look for a part of the line in ASCII")


def read_time(option: str, text: str) -> int:
    """Return a moment of the service's own time, not of a log's, in Unix ms. Raises `UsageError`."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0, round(moment.timestamp() * 1000))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{option}: {text!r} is no time; write it as 2026-11-24T08:00:00+00:00") from error


def check_span(since: str, until: str) -> None:
    """Raise `UsageError` that names the options, where the API would name its parameters."""
    moments: list[Moment | None] = []
    for option, text in (("--since", since), ("--until", until)):
        try:
            moments.append(read_moment(text) if text else None)
        except ValueError as error:
            raise UsageError(f"{option} {text}: {error}") from error
    if Span(*moments).is_reversed:
        raise UsageError(f"--since {since} is after --until {until}; exchange the two")
