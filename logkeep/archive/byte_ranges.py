"""Size of a requested range of a generation, estimated from the frame tables without reading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from logkeep.domain.manifest import Segment
from logkeep.domain.record_filter import RecordFilter, place_of
from logkeep.domain.span import Place, Span


@dataclass(frozen=True, slots=True)
class Extent:
    """Of some segments of one generation."""

    start: int
    end: int
    expected: int  # plain bytes of the frames that can hold records of the span
    timed: bool  # whether times are known of any record


def measure_extents(segments: Iterable[Segment], span: Span) -> dict[int, Extent]:
    """By number of the generation, of segments of one node in the order of generation and place."""
    grouped = groupby(segments, key=lambda segment: segment.generation)
    return {generation: _measure(group, span) for generation, group in grouped}


def _measure(segments: Iterable[Segment], span: Span) -> Extent:
    wanted = RecordFilter(span)
    start = end = expected = 0
    timed = False
    for index, segment in enumerate(segments):
        start, end = segment.start if index == 0 else start, segment.end
        for frame in segment.frames:
            timed = timed or bool(frame.first_time)
            expected += 0 if place_of(frame, wanted) is Place.OUTSIDE else frame.raw
    return Extent(start, end, expected, timed)
