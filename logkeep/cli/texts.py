"""Writes sizes, times and counts for people, and any text so that a terminal shows it as it is."""

from __future__ import annotations

import re
import sys
import unicodedata
from datetime import datetime

_WORD = re.compile(r"(?:`[^`]*`|[^ ])+")  # a command between backquotes is not broken: it is to be pasted
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def readable(text: str) -> str:
    """The text with what would not be printed, or would steer the terminal, written as an escape."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    safe = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    encoding = sys.stdout.encoding or "utf-8"
    return safe.encode(encoding, "backslashreplace").decode(encoding)


def one_line(text: str) -> str:
    """Return the text readable, and without line breaks."""
    return readable(text).replace("\n", "\\n")


def width_of(text: str) -> int:
    """Return how many columns of a terminal the text takes: CJK characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def wrapped(text: str, width: int) -> list[str]:
    """Return lines of at most so many columns; a word or a command that is wider has a line of its own."""
    lines = [""]
    for word in _WORD.findall(text):
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def shortened(text: str, width: int) -> str:
    """Return the text cut to so many columns, in the middle, as the ends of a path tell most."""
    if width_of(text) <= width:
        return text
    head = (width - 1) // 3
    return f"{_columns(text, head)}…{_columns(text[::-1], width - 1 - head)[::-1]}"


def _columns(text: str, width: int) -> str:
    """Return as many of the first characters as fit."""
    taken = 0
    for index, character in enumerate(text):
        taken += _character_width(character)
        if taken > width:
            return text[:index]
    return text


def size_text(size: float) -> str:
    """`0 B`, `97.8 KiB`, `1.2 GiB`."""
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"


def time_text(unix_ms: int | None) -> str:
    """Local time, `2026-11-24 06:40:21`; '' for none."""
    if unix_ms is None:
        return ""
    return datetime.fromtimestamp(unix_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment_text(unix_ms: int) -> str:
    """Local time with its zone, by itself."""
    return f"{time_text(unix_ms)} {zone_text()}"


def zone_text() -> str:
    """The name of the local zone, for a table's head."""
    return datetime.now().astimezone().tzname() or "local"


def duration_text(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 7 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count_text(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
