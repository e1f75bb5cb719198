"""Prints what a person or a program reads: lines, JSON, tables, progress."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Protocol

from logkeep.cli.texts import one_line, readable, width_of, wrapped

_LEAST_ROOM = 20  # columns for words beside a label


class Advance(Protocol):
    """Tells a bar how many bytes are done, with what, and of how many where that was not known before."""

    def __call__(self, done: int, text: str, total: int = 0, /) -> None: ...


def print_line(text: str = "") -> None:
    """A line of the result, on standard output."""
    print(readable(text))


def print_paragraph(text: str, label: str, *, hang: int | None = None) -> None:
    """Words beside a label; on a terminal they are broken between words, and a word is never cut.

    The lines after the first are indented by `hang`, or as wide as the label.
    """
    text = one_line(text)
    if not sys.stdout.isatty():
        print_line(f"{label}{text}")
        return
    for line in _indented(text, label, len(label) if hang is None else hang):
        print_line(line)


def _indented(text: str, label: str, hang: int) -> list[str]:
    room = max(_LEAST_ROOM, shutil.get_terminal_size().columns - max(len(label), hang))
    return [f"{' ' * hang if index else label}{line}" for index, line in enumerate(wrapped(text, room))]


def print_heading(text: str) -> None:
    print(f"\x1b[1m{readable(text)}\x1b[0m" if sys.stdout.isatty() else readable(text))


def note(text: str) -> None:
    """A line for the person who watches, on standard error; on a terminal broken between words."""
    text = readable(text)
    if sys.stderr.isatty():
        text = "\n".join(folded for line in text.split("\n") for folded in _folded(line))
    print(text, file=sys.stderr, flush=True)


def _folded(line: str) -> list[str]:
    if width_of(line) <= shutil.get_terminal_size().columns:
        return [line]
    words = line.lstrip(" ")
    label = line[: len(line) - len(words)]
    return _indented(words, label, len(label) + 2)


def print_json(document: object) -> None:
    """ASCII only, so that it is valid in any locale and harmless to a terminal."""
    print(json.dumps(document, indent=2))


def print_ready(document: object) -> None:
    """Print in one line that a process works, for a script that waits for a line."""
    print(json.dumps(document), flush=True)


def print_document(document: bytes) -> None:
    """JSON as the service gave it, indented."""
    print_json(json.loads(document))


def print_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    cut: Sequence[int] = (),
    drop: Sequence[int] = (),
) -> None:
    """Columns; with rules and bold heads on a terminal, plain text elsewhere.

    `right`: columns of numbers. `cut`: columns of paths, which a terminal may show with "…" in the middle. `drop`:
    those that a terminal may leave out where the table would not fit, the first one first; it says so.
    """
    if sys.stdout.isatty():
        _terminal().print_table(heads, rows, right, cut, drop)
        return
    table = [list(heads), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(map(width_of, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (
            _padded(cell, width, index in right) for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print_line("  ".join(cells).rstrip())


def _padded(cell: str, width: int, right: bool) -> str:
    pad = " " * (width - width_of(cell))
    return pad + cell if right else cell + pad


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Names and values, one pair a line."""
    width = max(len(name) for name, _ in fields)  # names of ours, in ASCII
    for name, value in fields:
        print_line(f"{name:<{width}}  {value}".rstrip())


def byte_progress(title: str, total: int = 0, *, done: int = 0, shown: bool = True) -> AbstractContextManager[Advance]:
    """A bar with rate and remaining time on a terminal; yields what to call as it goes on.

    `done` were there before, and say nothing of the rate.
    """
    return _terminal().byte_bar(title, total, done) if shown and sys.stderr.isatty() else nullcontext(_show_nothing)


def waiting(text: str, *, shown: bool = True) -> AbstractContextManager[Advance]:
    """A spinner with the time that has passed, on a terminal; a bar once it is told how much is to be done."""
    return _terminal().spinner(text) if shown and sys.stderr.isatty() else nullcontext(_show_nothing)


def _show_nothing(_done: int, _text: str, _total: int = 0, /) -> None:
    pass


def _terminal() -> ModuleType:
    from logkeep.cli import terminal  # noqa: PLC0415  rich is slow to import; a pipe or a file does not need it

    return terminal
