"""Draws tables and progress on a terminal."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich import progress as bars
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from logkeep.cli.texts import one_line, readable, size_text

if TYPE_CHECKING:
    from logkeep.cli.output import Advance

_ANY_WIDTH = 1_000_000  # columns
_LABEL = 30  # characters of what is going on, so that the bar does not jump
_STYLES = {"FAIL": "bold red", "SUCCESS": "green", "RUNNING": "yellow", "stale": "bold red", "missed": "yellow"}


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    """Print a table as `output.print_table` says."""
    console, table = Console(), Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(one_line(cell), style=_STYLES.get(cell, "")) for cell in row))
    if Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), table).maximum <= console.width:
        console.print(table)
    else:
        for row in rows:
            print(readable("\n".join(_stack(heads, row, console.width))))


def _stack(heads: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """Yield the cells of a row that is wider than the terminal, each whole, so that it can be copied."""
    line = ""
    for head, cell in zip(heads, row, strict=True):
        pair = f"{head}: {one_line(cell)}" if head else one_line(cell)
        if not cell:
            continue
        if line and len(line) + len(pair) + 2 > width:
            yield line
            line = f"  {pair}"
        else:
            line = f"{line}  {pair}" if line else pair
    yield line


class _Rate(bars.ProgressColumn):
    """In the units of the sizes beside it; rich has it in powers of ten only."""

    def render(self, task: bars.Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{size_text(speed)}/s" if speed else "", style="progress.data.speed")


@contextmanager
def byte_bar(title: str, total: int, done: int) -> Generator[Advance]:
    """Show a bar as `output.byte_progress` says."""
    with _byte_bar() as progress:
        task = progress.add_task(title, total=total, completed=done)

        def advance(done: int, text: str, new_total: int = 0) -> None:
            description = readable(f"{title} {text[-_LABEL:]:<{_LABEL}}")
            progress.update(task, completed=done, description=description, total=new_total or total)

        yield advance


def _byte_bar() -> bars.Progress:
    return bars.Progress(*_bar_columns(), console=Console(stderr=True), transient=True)


def _bar_columns() -> tuple[bars.ProgressColumn, ...]:
    return (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.DownloadColumn(binary_units=True),
        _Rate(),
        bars.TimeRemainingColumn(),
    )


@contextmanager
def spinner(text: str) -> Generator[Advance]:
    """Show a spinner as `output.waiting` says."""
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
