"""A line of a log by its place, with what is around it; and what there is to search at all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineAround:
    """A line and the lines around it."""

    node: str
    family: str
    generation: int
    start: int  # where the line begins in the generation
    name: str  # of the file when it was last seen
    time: str  # of the line itself, as it is written; '' where it shows none, as `level`
    level: str
    text: str  # what is no UTF-8 is replaced
    cut: bool  # whether the line is longer
    live: bool  # whether it is not kept yet
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldSummary:
    """What is kept of a cluster, all in all."""

    nodes: tuple[str, ...]  # those that are backed up now too; by name, as `families`
    families: tuple[str, ...]
    first_time: str  # as logs write it; '' if unknown, as `last_time`
    last_time: str
    bytes: int  # plain
