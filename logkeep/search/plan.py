"""Selection of the frames of a log that a search must read, and of those that must be read together. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from logkeep.domain.manifest import Frame, Segment
from logkeep.domain.record_filter import RecordFilter, place_of
from logkeep.domain.span import Place


class KeptFrame(NamedTuple):
    """A frame of a log, in the segment that has it."""

    segment: Segment
    number: int  # within the segment

    @property
    def frame(self) -> Frame:
        return self.segment.frames[self.number]


class Ruling(NamedTuple):
    """What an index tells of a frame."""

    absent: bool  # no line that lies within it holds what is looked for
    ends_line: bool  # it ends with the end of a line


class Stretch(NamedTuple):
    """Frames that follow each other and are read together, as lines go on from each to the next."""

    first: int  # index of the first one in the log
    frames: Sequence[KeptFrame]


Consult = Callable[[KeptFrame], Ruling | None]  # None where no index tells of it


def plan_log(frames: Sequence[KeptFrame], wanted: RecordFilter, consult: Consult) -> Iterator[Stretch]:
    """Yield what must be read of a log to find each line that is looked for, of records that are wanted."""
    due = list(_in_time(frames, wanted))
    near = [any(due[max(0, at - 1) : at + 2]) for at in range(len(frames))]
    rulings = [consult(one) if asked else None for one, asked in zip(frames, near, strict=True)]
    ends = [_ends_line(one, ruling) for one, ruling in zip(frames, rulings, strict=True)]
    read = [
        # What is looked for may lie across the end of a frame, in a line that is cut there.
        due[at] and not (ruling and ruling.absent and ends[at] and (at == 0 or ends[at - 1]))
        for at, ruling in enumerate(rulings)
    ]
    for at in range(1, len(frames)):  # the rest of a line that was begun
        read[at] = read[at] or (read[at - 1] and not ends[at - 1])
    for at in range(len(frames) - 1, 0, -1):  # and the beginning of one
        read[at - 1] = read[at - 1] or (read[at] and not ends[at - 1])
    begun: int | None = None
    for at, taken in enumerate(read):
        if not taken:
            continue
        begun = at if begun is None else begun
        if ends[at] or at + 1 == len(frames):
            yield Stretch(begun, frames[begun : at + 1])
            begun = None


def _in_time(frames: Sequence[KeptFrame], wanted: RecordFilter) -> Iterator[bool]:
    """Yield whether a frame may hold a line of a record that is wanted; its first lines may be of the frame before."""
    before = Place.OUTSIDE
    for one in frames:
        place = place_of(one.frame, wanted)
        yield place is not Place.OUTSIDE or before is not Place.OUTSIDE
        before = place


def _ends_line(one: KeptFrame, ruling: Ruling | None) -> bool:
    """Return whether a frame is known to end with a line. Within a segment, all frames with a line end do."""
    if ruling:
        return ruling.ends_line
    return one.frame.lines > 0 and one.number + 1 < len(one.segment.frames)
