"""One page as data: its path, who may ask for it, and what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from re import Pattern

from starlette.routing import compile_path

from logkeep.console.answers import Answer
from logkeep.console.pools import WaitsFor
from logkeep.console.visit import Visit
from logkeep.domain.access import Right

Handler = Callable[[Visit], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row of the console."""

    path: str  # below `/console`; `{name}` stands for one segment
    handler: Handler
    method: str = "GET"
    right: Right | None = Right.READ  # what the reader needs; None: nothing, and no session either
    waits_for: WaitsFor = WaitsFor.READS
    operation: str = (
        ""  # id in the audit, that of the same call of the API where there is one; of what changes something
    )
    again: Handler | None = None  # shows the form again that was refused, with `visit.error`
    polled: bool = False  # asked for by the script and not by a person, so that no session lives by it
    streams: bool = False  # a download


def make_form(
    path: str,
    handler: Handler,
    operation: str,
    waits_for: WaitsFor = WaitsFor.WRITES,
    *,
    below: str,
    again: Handler,
    right: Right = Right.ADMINISTER,
) -> Page:
    """Return the row of a form that changes something; `again` shows it where it is refused."""
    return Page(
        path=f"{below}/{path}",
        method="POST",
        handler=handler,
        right=right,
        waits_for=waits_for,
        operation=operation,
        again=again,
    )


@cache
def _pattern(path: str) -> Pattern[str]:
    return compile_path(f"/console{path}")[0]


def find_page(pages: Sequence[Page], method: str, path: str) -> tuple[Page | None, Mapping[str, str]]:
    """Return the page of a path, and the parameters in it; None where there is none."""
    if "\0" in path:  # no id has one, and PostgreSQL takes none
        return None, {}
    asked = "GET" if method == "HEAD" else method
    for page in pages:
        if page.method == asked and (found := _pattern(page.path).fullmatch(path)):
            return page, found.groupdict()
    return None, {}
