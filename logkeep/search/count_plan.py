"""Choice of what the records of each frame of a log are counted from: its table in an index, or its lines. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from logkeep.domain.record_filter import RecordFilter, place_of
from logkeep.domain.span import Place
from logkeep.logformat.lines import HEAD_BYTES
from logkeep.logformat.minutes import MinuteCounts
from logkeep.search.minutes import decode_table
from logkeep.search.plan import KeptFrame
from logkeep.search.tally import take_span


class Known(NamedTuple):
    """What an index tells of a frame."""

    table: bytes  # see `decode_table`
    ends_line: bool


@dataclass(slots=True)
class CountedFrame:
    """A frame that is wanted, or that is read as lines of one that is go on in it or begin there."""

    kept: KeptFrame
    wanted: bool  # whether records that begin in it may be
    counts: MinuteCounts | None = None  # of records that are wanted, in span; None if it is read
    begins_line: bool = True  # where the frame before is not read


def plan_counts(
    frames: Sequence[KeptFrame], wanted: RecordFilter, consult: Callable[[KeptFrame], Known | None]
) -> Iterator[CountedFrame]:
    """Yield the frames that must be counted or read, in their order."""
    due = [place_of(one.frame, wanted) is not Place.OUTSIDE for one in frames]
    near = [at for at in range(len(frames)) if any(due[max(0, at - 1) : at + 2])]
    known = {at: consult(frames[at]) for at in near}
    ends = [_ends_line(one, known.get(at)) for at, one in enumerate(frames)]
    counts: dict[int, MinuteCounts] = {}
    for at, one in enumerate(frames):
        told = known.get(at)
        if due[at] and told and (at == 0 or ends[at - 1] or _is_gap(frames, at)):
            found = _count(one, told, wanted)
            if found is not None:
                counts[at] = found
    read = {at for at in range(len(frames)) if due[at] and at not in counts}
    for at in sorted(read):
        if at and ends[at - 1] is None and not _is_gap(frames, at):
            read.add(at - 1)  # to see whether it ends with a line
        read.update(_rest(frames, ends, at))
    for at, one in enumerate(frames):
        if at in read:  # what has a table and was read all the same is counted by its table
            begins = at == 0 or ends[at - 1] is not False or _is_gap(frames, at)
            yield CountedFrame(one, due[at] and at not in counts, begins_line=begins)
        if at in counts:
            yield CountedFrame(one, True, counts[at])


def _ends_line(one: KeptFrame, known: Known | None) -> bool | None:
    """Return whether a frame ends with a line; None if that is not known. Within a segment, all that have one do."""
    if known:
        return known.ends_line
    return True if one.frame.lines > 0 and one.number + 1 < len(one.segment.frames) else None


def _is_gap(frames: Sequence[KeptFrame], at: int) -> bool:
    before = frames[at - 1].frame
    return before.start + before.raw != frames[at].frame.start


def _count(one: KeptFrame, told: Known, wanted: RecordFilter) -> MinuteCounts | None:
    counts = decode_table(told.table)
    if counts is None or wanted.span.place(one.frame.first_time, one.frame.last_time) is Place.INSIDE:
        return counts
    return take_span(counts, wanted.span) if wanted.span else counts


def _rest(frames: Sequence[KeptFrame], ends: Sequence[bool | None], at: int) -> Iterator[int]:
    """Yield the frames in which the head of a record may go on that begins at the end of a frame."""
    seen = 0
    while not ends[at] and at + 1 < len(frames) and seen < HEAD_BYTES:
        at += 1
        seen += frames[at].frame.raw
        yield at
