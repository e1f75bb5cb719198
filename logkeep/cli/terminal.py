"""Draws tables and progress on a terminal."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from logkeep.cli.texts import one_line, readable, shortened, size_text, width_of

if TYPE_CHECKING:
    from logkeep.cli.output import Advance

_GUTTER = 2  # columns between two cells
_LEAST_CUT = 16  # columns that a path keeps at least
_NUMBERS = 45  # columns of size, rate and remaining time beside a bar, with the gaps between them
_LEAST_BAR, _LEAST_LABEL = 10, 24  # columns
_STYLES = {
    **dict.fromkeys(("SUCCESS", "ok"), "green"),
    **dict.fromkeys(("FAIL", "stale", "unopened", "unplanned", "failed", "damaged"), "bold red"),
    **dict.fromkeys(("RUNNING", "stuck", "overdue", "gaps", "nodes", "unverified", "logs", "missed"), "yellow"),
}


def print_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int],
    cut: Sequence[int] = (),
    drop: Sequence[int] = (),
) -> None:
    """Print a table as `output.print_table` says."""
    console = Console()
    cells = [[one_line(cell) for cell in row] for row in rows]
    for dropped in (drop[:number] for number in range(len(drop) + 1)):
        columns = [index for index in range(len(heads)) if index not in dropped]
        fitted = _fit(heads, cells, columns, cut, console.width)
        if fitted is not None:
            _print_fitted(console, heads, fitted, columns, right)
            if dropped:
                print(f"left out, as this terminal is narrow: {', '.join(heads[index] for index in sorted(dropped))}")
            return
    for row in cells:
        print("\n".join(_stack(heads, row, console.width)))


def _print_fitted(
    console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int], right: Sequence[int]
) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for index in columns:
        table.add_column(heads[index], justify="right" if index in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.print(table)


def _fit(
    heads: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int], cut: Sequence[int], width: int
) -> Sequence[Sequence[str]] | None:
    """Return these columns of the rows, those of `cut` shortened to `_LEAST_CUT` at least; None if they do not fit."""
    widths = {index: max(width_of(row[index]) for row in (heads, *rows)) for index in columns}
    excess = sum(widths.values()) + _GUTTER * (len(widths) - 1) - width
    for index in sorted(set(cut) & widths.keys(), key=lambda index: -widths[index]):
        least = max(min(widths[index], _LEAST_CUT), widths[index] - max(0, excess))
        excess -= widths[index] - least
        widths[index] = least
    if excess > 0:
        return None
    return [[shortened(row[index], widths[index]) for index in columns] for row in rows]


def _stack(heads: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """Yield the cells of a row that is wider than the terminal, each whole, so that it can be copied.

    One that has no room beside its head has a line of its own; if it is wider than the terminal, it begins at its edge,
    and what the terminal breaks is still copied in one piece.
    """
    line, indent = "", ""
    for head, cell in zip(heads, row, strict=True):
        if cell in {"", "-"}:  # none
            continue
        pair = f"{head}: {cell}" if head else cell
        if line and width_of(line) + width_of(pair) + 2 <= width:
            line += f"  {pair}"
            continue
        if line:
            yield line
            indent = "  "
        line = f"{indent}{pair}"
        if width_of(line) > width:
            if head:
                yield f"{indent}{head}:"
            inner = f"{indent}  {cell}"
            yield inner if width_of(inner) <= width else cell
            line, indent = "", "  "
    if line:
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
            label = _label(title, text, progress.console.width)
            progress.update(task, completed=done, description=label, total=new_total or total)

        yield advance


def _byte_bar() -> bars.Progress:
    console = Console(stderr=True)
    return bars.Progress(*_bar_columns(console.width), console=console, transient=True)


def _label(title: str, text: str, width: int) -> str:
    """Return what is going on, always as wide, so that the bar does not jump."""
    room = max(_LEAST_LABEL, width - _NUMBERS - _bar_width(width))
    label = shortened(one_line(f"{title} {text}"), room)
    return label + " " * (min(room, _LEAST_LABEL + _LEAST_BAR) - width_of(label))


def _bar_width(width: int) -> int:
    return max(_LEAST_BAR, min(40, width - _NUMBERS - _LEAST_LABEL - _LEAST_BAR))


def _bar_columns(width: int) -> tuple[bars.ProgressColumn, ...]:
    return (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(_bar_width(width)),
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
                width = progress.console.width
                progress.columns = _bar_columns(width)
                progress.tasks[0].total = total  # `update` would forget the rate whenever the total changes
                progress.update(task, completed=min(done, total), description=_label(text, label, width))

        yield advance
