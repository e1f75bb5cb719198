"""Texts of receivers and libraries, without what is secret of a target."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_LONGEST = 200
_SHORTEST = 4  # characters of a secret; shorter pieces are words
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BETWEEN = re.compile(r"[^\w.+~-]+")


def hide(text: str, url: str, secret: str = "") -> str:
    """Return a text of at most 200 characters in one line; what stands in the URL beside its host is `***`."""
    for piece in sorted(_secrets(url, secret), key=len, reverse=True):
        text = text.replace(piece, "***")
    text = " ".join(_UNPRINTABLE.sub(" ", text).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _secrets(url: str, secret: str) -> set[str]:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    scheme, _, rest = url.partition("://")
    pieces = {*_BETWEEN.split(rest), *_BETWEEN.split(unquote(rest))}
    whole = {url, secret, secret.rpartition("_")[2]}
    return {piece for piece in pieces | whole if len(piece) >= _SHORTEST and piece not in {host, scheme}}
