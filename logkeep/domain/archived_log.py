"""A log in the archive, as it is listed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchivedGeneration:
    """An archived generation of a log, or the part of it that was asked for."""

    node: str
    family: str  # name of the active file, e.g. oslogs_server.json
    generation: int  # number within the node; the address for reading, together with the node
    name: str  # name of the file when it was last seen, without '.gz'
    size: int  # plain bytes from `start` to `end`
    start: int  # bytes [start, end) of the generation
    end: int
    expected: int  # estimate of how many of them belong to the span of time; without a span, all
    timed: bool  # the time of some record is known; a log without times belongs to every span
