"""How answers are sent: with the headers that keep pages of others out, compressed where the browser can read that."""

from __future__ import annotations

import gzip
import mimetypes
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import quote

from starlette.types import Send

from logkeep.console.answers import Html, Redirect, Unchanged
from logkeep.console.rendering import STATIC, static_name
from logkeep.console.requests import ConsoleRequest
from logkeep.http.streams import Stream
from logkeep.http.whole import send_whole

Header = tuple[bytes, bytes]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE: tuple[Header, ...] = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HTML = (b"content-type", b"text/html; charset=utf-8")
_NOT_KEPT = (b"cache-control", b"no-store")
_ASKED_AGAIN = (b"cache-control", b"no-cache, private")
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
_SMALL = 1024  # bytes, which are not worth compressing


class StaticFile(NamedTuple):
    """A file of the package, as it is sent."""

    content_type: str
    body: bytes
    compressed: bytes


@cache
def _files() -> dict[str, StaticFile]:
    """Return all static files by their addresses."""
    found: dict[str, StaticFile] = {}
    for path in STATIC.iterdir():
        body, kind = path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        found[static_name(path.name)] = StaticFile(kind + charset, body, gzip.compress(body, 9))
    return found


def find_file(path: str) -> StaticFile | None:
    return _files().get(path)


async def send_file(send: Send, request: ConsoleRequest, file: StaticFile) -> None:
    """Send a static file, which a browser may keep for ever: its address changes with what it holds."""
    body, coding = (file.compressed, _GZIP) if request.accepts_gzip else (file.body, ())
    headers = [(b"content-type", file.content_type.encode()), _FOR_EVER, _VARY, *coding, *SAFE]
    await _send(send, 200, headers, body)


_GZIP: tuple[Header, ...] = ((b"content-encoding", b"gzip"),)
_VARY = (b"vary", b"accept-encoding")


async def send_answer(
    send: Send, request: ConsoleRequest, answer: Html | Redirect | Unchanged, cookies: Sequence[Header]
) -> None:
    named = (b"x-request-id", request.id.encode())
    if isinstance(answer, Unchanged):
        await _send(send, 304, [(b"etag", answer.etag.encode()), _ASKED_AGAIN, named, *SAFE], b"")
        return
    if isinstance(answer, Redirect):
        location = (b"location", quote(answer.path, safe="/?&=%-._~:+,").encode())
        await _send(send, 303, [location, _NOT_KEPT, named, *cookies, *SAFE], b"")
        return
    body = answer.body.encode(errors="replace")
    coding: tuple[Header, ...] = ()
    if request.accepts_gzip and len(body) > _SMALL:
        body, coding = _compress_shared(answer.body) if answer.etag else gzip.compress(body, 1), _GZIP
    kept = [(b"etag", answer.etag.encode()), _ASKED_AGAIN] if answer.etag else [_NOT_KEPT]
    await _send(send, answer.status, [_HTML, named, *kept, _VARY, *coding, *answer.headers, *cookies, *SAFE], body)


@lru_cache(maxsize=32)
def _compress_shared(body: str) -> bytes:
    """Compress a part that many readers are sent, once."""
    return gzip.compress(body.encode(errors="replace"), 1)


def keep_others_out(stream: Stream) -> Stream:
    """Return a download with the headers that every answer has."""
    own = {name for name, _ in stream.headers}
    return replace(stream, headers=(*stream.headers, *(one for one in SAFE if one[0] not in own)))


async def _send(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    if status != 304:
        headers.append((b"content-length", str(len(body)).encode()))
    await send_whole(send, status, headers, body)
