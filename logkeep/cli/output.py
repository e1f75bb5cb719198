"""What a person or a program reads: JSON, tables, sizes, times, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


class Advance(Protocol):
    """Tells a bar how many bytes are done, with what, and of how many where that was not known before."""

    def __call__(self, done: int, text: str, total: int = 0, /) -> None: ...


_ANY_WIDTH = 1_000_000  # columns
_LABEL = 30  # characters of what is going on, so that the bar does not jump
_STYLES = {"FAIL": "bold red", "SUCCESS": "green", "RUNNING": "yellow", "stale": "bold red", "missed": "yellow"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def print_line(text: str = "") -> None:
    """A line of the result, on standard output."""
    print(readable(text))


def print_heading(text: str) -> None:
    print(f"\x1b[1m{readable(text)}\x1b[0m" if sys.stdout.isatty() else readable(text))


def note(text: str) -> None:
    """A line for the person who watches, on standard error."""
    print(readable(text), file=sys.stderr, flush=True)


def print_json(document: object) -> None:
    """ASCII only, so that it is valid in any locale and harmless to a terminal."""
    print(json.dumps(document, indent=2))


def print_ready(document: object) -> None:
    """Print in one line that a process works, for a script that waits for a line."""
    print(json.dumps(document), flush=True)


def print_document(document: bytes) -> None:
    """JSON as the service gave it, indented."""
    print_json(json.loads(document))


def readable(text: str) -> str:
    """The text with what would not be printed, or would steer the terminal, written as an escape."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    safe = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    encoding = sys.stdout.encoding or "utf-8"
    return safe.encode(encoding, "backslashreplace").decode(encoding)


def _cell(text: str) -> str:
    return readable(text).replace("\n", "\\n")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Columns; with rules and bold heads on a terminal, plain text elsewhere. `right`: columns of numbers."""
    if sys.stdout.isatty():
        _print_rich_table(heads, rows, right)
        return
    table = [list(heads), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print_line("  ".join(cells).rstrip())


def _print_rich_table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    console, table = Console(), Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(cell), style=_STYLES.get(cell, "")) for cell in row))
    if Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), table).maximum <= console.width:
        console.print(table)
    else:
        for row in rows:
            print_line("\n".join(_stack(heads, row, console.width)))


def _stack(heads: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """Yield the cells of a row that is wider than the terminal, each whole, so that it can be copied."""
    line = ""
    for head, cell in zip(heads, row, strict=True):
        pair = f"{head}: {_cell(cell)}" if head else _cell(cell)
        if not cell:
            continue
        if line and len(line) + len(pair) + 2 > width:
            yield line
            line = f"  {pair}"
        else:
            line = f"{line}  {pair}" if line else pair
    yield line


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Names and values, one pair a line."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        print_line(f"{name:<{width}}  {value}".rstrip())


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


@contextmanager
def byte_progress(title: str, total: int = 0, *, done: int = 0, shown: bool = True) -> Generator[Advance]:
    """A bar with rate and remaining time on a terminal; yields what to call as it goes on.

    `done` were there before, and say nothing of the rate.
    """
    if not (shown and sys.stderr.isatty()):
        yield lambda _done, _text, _total=0: None
        return
    with _byte_bar() as progress:
        task = progress.add_task(title, total=total, completed=done)

        def advance(done: int, text: str, new_total: int = 0) -> None:
            description = readable(f"{title} {text[-_LABEL:]:<{_LABEL}}")
            progress.update(task, completed=done, description=description, total=new_total or total)

        yield advance


def _byte_bar() -> Progress:
    from rich import progress as bars
    from rich.console import Console

    return bars.Progress(*_bar_columns(), console=Console(stderr=True), transient=True)


def _bar_columns() -> tuple[ProgressColumn, ...]:
    from rich import progress as bars
    from rich.text import Text

    class Rate(bars.ProgressColumn):
        """In the units of the sizes beside it; rich has it in powers of ten only."""

        def render(self, task: bars.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{size_text(speed)}/s" if speed else "", style="progress.data.speed")

    return (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.DownloadColumn(binary_units=True),
        Rate(),
        bars.TimeRemainingColumn(),
    )


@contextmanager
def waiting(text: str, *, shown: bool = True) -> Generator[Advance]:
    """A spinner with the time that has passed, on a terminal; a bar once it is told how much is to be done."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _done, _text, _total=0: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (bars.SpinnerColumn(), bars.TextColumn("{task.description}", markup=False), bars.TimeElapsedColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(readable(text), total=None)

        def advance(done: int, label: str, total: int = 0) -> None:
            if total:
                progress.columns = _bar_columns()
                description = readable(f"{text} {label[-_LABEL:]:<{_LABEL}}")
                progress.tasks[0].total = total  # `update` would forget the rate whenever the total changes
                progress.update(task, completed=done, description=description)

        yield advance
