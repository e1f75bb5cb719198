"""What a page of the console answers with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from logkeep.http.streams import Stream


@dataclass(frozen=True, slots=True)
class Html:
    """A page, or a part of one."""

    body: str
    status: int = 200
    etag: str = ""  # of a part that is looked for again and again
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another page of the console, which the browser is to ask for by GET."""

    path: str
    session: str | None = None  # the secret of a session that begins; '' where one ends; None: it stays as it is
    language: str = ""  # that is chosen from now on


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What the browser has is still so."""

    etag: str


Answer = Html | Redirect | Unchanged | Stream


_LINES_AT_ONCE = 100


def join_lines(lines: Iterator[str]) -> Iterator[bytes]:
    """Yield lines, which end as they are to, in chunks for a download."""
    while some := list(islice(lines, _LINES_AT_ONCE)):
        yield "".join(some).encode(errors="replace")


def make_download(content_type: str, name: str, chunks: Iterator[bytes]) -> Stream:
    """Return a stream that the browser saves as a file of this name: letters, digits, '-', '_' and '.'."""
    whole = "".join(one if one.isalnum() or one in "-_." else "_" for one in name)
    safe = "".join(one if one.isascii() else "_" for one in whole)
    named = f'attachment; filename="{safe}"' + (f"; filename*=UTF-8''{quote(whole)}" if whole != safe else "")
    headers = (
        (b"content-disposition", named.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    )
    return Stream(content_type, chunks, headers=headers)
