"""What a page of the console answers with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from logkeep.domain.csv_text import join_lines
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


def make_csv(name: str, lines: Iterator[str]) -> Stream:
    """Return lines of CSV as a download."""
    return make_download("text/csv; charset=utf-8", name, join_lines(lines, _LINES_AT_ONCE))


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
