"""Where in lines that were found that stands which was looked for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from logkeep.domain.archive_search import ArchiveQuery
from logkeep.search.pattern import compile_pattern

_MOST = 200  # of a line

Parts = list[tuple[str, bool]]  # of a text, in order, and whether each is what was looked for


def make_marker(query: ArchiveQuery) -> Callable[[str], Parts]:
    """Return a function that parts a line into what matches and what does not. Raises `InvalidField`."""
    pattern = compile_pattern(query.text, regex=query.regex, ignore_case=query.ignore_case)

    def mark(text: str) -> Parts:
        line, parts, at = text.encode("utf-8", "surrogatepass"), Parts(), 0
        for begin, end in islice(pattern.find_all(line), _MOST):
            parts += [(_decode(line[at:begin]), False), (_decode(line[begin:end]), True)]
            at = end
        return [part for part in [*parts, (_decode(line[at:]), False)] if part[0]]

    return mark


def _decode(part: bytes) -> str:
    return part.decode("utf-8", "replace")
