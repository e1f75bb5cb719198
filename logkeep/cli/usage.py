"""`usage`: what the archive takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.errors import UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_document, print_line, print_table
from logkeep.cli.texts import count_text, size_text
from logkeep.contract.native.usage import UsageList, UsageRowView, read_row
from logkeep.domain.usage import LEAST_DAYS, UsageBy
from logkeep.domain.usage_table import csv_lines

_PATH = "/api/v1/usage"
_PAGE = 1000  # rows of one call, where all are wanted
_MOST_CLUSTERS = 100


def add_commands(app: typer.Typer) -> None:
    app.command("usage", epilog=EVERYWHERE)(show_usage)


def show_usage(
    context: typer.Context,
    clusters: Annotated[
        list[str] | None, typer.Argument(metavar="[CLUSTER]...", help="Their names or ids; all without it.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="|".join(UsageBy), help="What a row is.")] = UsageBy.CLUSTER,
    offset: Annotated[int, typer.Option(min=1, help="Number of the first row, from 1 for the largest.")] = 1,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many rows.")] = 50,
    as_csv: Annotated[bool, typer.Option("--csv", help="All rows, however many, as CSV.")] = False,
) -> None:
    """Show what the archive takes, how it grows, and a forecast."""
    asked = invocation(context)
    if as_csv and asked.as_json:
        raise UsageError("--csv and --json are two forms of one table; choose one")
    if by not in tuple(UsageBy):
        raise UsageError(f"--by {by}: {', '.join(UsageBy)} are allowed")
    if len(clusters or ()) > _MOST_CLUSTERS:
        raise UsageError(f"at most {_MOST_CLUSTERS} clusters can be named; without a name all are shown")
    client = open_client(context)
    query = {"by": by} | ({"cluster": ",".join(client.find_cluster(one).id for one in clusters)} if clusters else {})
    if as_csv:
        for line in csv_lines(read_row(row) for row in _all_rows(client, query)):
            sys.stdout.buffer.write(line.encode(errors="replace"))
        return
    document = client.get(_PATH, offset=offset, limit=limit, **query)
    if asked.as_json:
        print_document(document)
        return
    _print_page(decode(document, UsageList), offset)


def _all_rows(client: ServiceClient, query: dict[str, str]) -> Iterator[UsageRowView]:
    offset, total = 1, 1
    while offset <= total:
        page = decode(client.get(_PATH, offset=offset, limit=_PAGE, **query), UsageList)
        yield from page.rows
        offset, total = offset + _PAGE, page.total_size


def _signed(size: int | None) -> str:
    """`+1.2 GiB`, `-3 B`, `0 B`; '' for what is not known."""
    if size is None:
        return ""
    return ("-" if size < 0 else "+" if size else "") + size_text(abs(size))


def _requests_text(row: UsageRowView) -> str:
    requests = row.requests
    return f"{sum(getattr(requests, kind) for kind in requests.__struct_fields__):,}" if requests else ""


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    cell: Callable[[UsageRowView], str]
    of: tuple[UsageBy, ...] = tuple(UsageBy)
    number: bool = True


_WITH_REQUESTS = (UsageBy.CLUSTER, UsageBy.MONTH)
_COLUMNS = (
    _Column("CLUSTER", lambda row: row.cluster_name or "", (UsageBy.CLUSTER, UsageBy.NODE, UsageBy.LOG), number=False),
    _Column("NODE", lambda row: row.node or "", (UsageBy.NODE,), number=False),
    _Column("LOG", lambda row: row.log or "", (UsageBy.LOG,), number=False),
    _Column("MONTH", lambda row: row.month or "", (UsageBy.MONTH,), number=False),
    _Column("RAW", lambda row: size_text(row.raw)),
    _Column("STORED", lambda row: size_text(row.stored)),
    _Column("OBJECTS", lambda row: f"{row.objects:,}"),
    _Column("ADDED", lambda row: _signed(row.added), (UsageBy.MONTH,)),
    _Column("A DAY", lambda row: _signed(row.growth_per_day), (UsageBy.CLUSTER,)),
    _Column("INDEX", lambda row: "" if row.index_bytes is None else size_text(row.index_bytes), (UsageBy.CLUSTER,)),
    _Column("REQUESTS", _requests_text, _WITH_REQUESTS),
)


def _print_page(page: UsageList, offset: int) -> None:
    columns = [column for column in _COLUMNS if page.by in column.of]
    total = [column.cell(page.total) for column in columns]
    if page.by is UsageBy.MONTH:  # months hold the same again and again
        rows = [[column.cell(row) for column in columns] for row in page.rows]
    else:
        rows = [*([column.cell(row) for column in columns] for row in page.rows), ["TOTAL", *total[1:]]]
    heads = [column.head for column in columns]
    right = [at for at, column in enumerate(columns) if column.number]
    cut = [at for at, column in enumerate(columns) if not column.number]
    drop = [heads.index(head) for head in ("REQUESTS", "INDEX", "OBJECTS", "RAW") if head in heads]
    print_table(heads, rows, right=right, cut=cut, drop=drop)
    last = offset + len(page.rows) - 1
    if last < page.total_size:
        note(f"{offset} to {last} of {page.total_size:,}; all with --csv, the next: --offset {last + 1}")
    print_line()
    for line in _about(page):
        print_line(line)


def _about(page: UsageList) -> Iterator[str]:
    """Yield what all rows come to, how they grow, and what that leads to."""
    total = page.total
    index = "" if total.index_bytes is None else f"; their indexes {size_text(total.index_bytes)}"
    objects = count_text(total.objects, "object")
    yield f"{size_text(total.raw)} of logs take {size_text(total.stored)} in {objects}{index}"
    if total.requests is not None:
        kinds = ", ".join(f"{getattr(total.requests, kind):,} {kind}" for kind in total.requests.__struct_fields__)
        yield f"requests of this month: {kinds}"
    if total.growth_per_day is None:
        yield f"growth and forecast: not known before {LEAST_DAYS} days are recorded"
        return
    yield f"growth: {_signed(total.growth_per_day)} a day, the mean of {count_text(total.growth_days or 0, 'day')}"
    at = ", ".join(f"{size_text(one.stored)} in {one.days} days" for one in page.forecast)
    yield f"forecast, if it goes on so: {at}"
