"""Holding the object of a segment against what was stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from logkeep.domain.manifest import Frame, Segment, earliest_time, latest_time, sum_lines
from logkeep.errors import StoreCorrupt, StoreMissing, StoreUnreachable
from logkeep.stores.base import ObjectStore
from logkeep.stores.frames import check_frame, next_frame


@dataclass(frozen=True, slots=True)
class Damage:
    """Problem of an object, and the frames concerned: all of the segment where that cannot be told."""

    problem: str
    segment: Segment
    frames: tuple[Frame, ...]  # one after the other

    @property
    def start(self) -> int:
        return self.frames[0].start if self.frames else self.segment.start

    @property
    def end(self) -> int:
        return self.frames[-1].start + self.frames[-1].raw if self.frames else self.segment.end

    @property
    def first_time(self) -> str:
        return earliest_time(self.frames)

    @property
    def last_time(self) -> str:
        return latest_time(self.frames)


def check_size(segment: Segment, size: int | None) -> list[Damage]:
    """Return the problem that an object's size shows; None is the size of a missing object."""
    if size == segment.stored:
        return []
    problem = "missing" if size is None else f"has {size} bytes instead of {segment.stored}"
    return [whole_segment(segment, problem)]


def read_back(store: ObjectStore, segment: Segment) -> list[Damage]:
    """Read a whole object and tell all that is damaged. Raises a `StoreError` where the store fails."""
    try:
        with store.open(segment.object) as stream:
            return _read(stream, segment)
    except StoreMissing as error:
        if store.size(segment.object) is None:  # raises where it is the bucket that is not there
            return check_size(segment, None)
        raise StoreUnreachable(f"{segment.object!r} was gone for a moment while it was read") from error


def _read(stream: BinaryIO, segment: Segment) -> list[Damage]:
    """Also what no frame shows is found: the hash is over every byte of the object."""
    whole = sha256()
    damaged: list[tuple[str, Frame]] = []
    for frame in segment.frames:
        try:
            stored = next_frame(stream, frame)
            whole.update(stored)
            check_frame(stored, frame)
        except StoreCorrupt as error:
            damaged.append((error.message, frame))
    longer = bool(stream.read(1))
    if damaged:
        return _joined(segment, damaged)
    if whole.hexdigest() != segment.sha256:
        return [whole_segment(segment, "its hash is not that of what was stored, though every frame can be read")]
    if longer:
        return [whole_segment(segment, f"is longer than the {segment.stored} bytes that were stored, which are whole")]
    return []


def whole_segment(segment: Segment, problem: str) -> Damage:
    """Return the frame range of a whole segment, for damage that cannot be narrowed down."""
    return Damage(problem, segment, segment.frames)


def _joined(segment: Segment, damaged: Sequence[tuple[str, Frame]]) -> list[Damage]:
    """One for each run of frames without a whole one between."""
    runs: list[tuple[str, list[Frame]]] = []
    for problem, frame in damaged:
        if runs and runs[-1][1][-1].offset + runs[-1][1][-1].stored == frame.offset:
            runs[-1][1].append(frame)
        else:
            runs.append((problem, [frame]))
    return [Damage(_problem(problem, frames), segment, tuple(frames)) for problem, frames in runs]


def _problem(first: str, frames: Sequence[Frame]) -> str:
    more = f", and so are the {len(frames) - 1} frames after it" if len(frames) > 1 else ""
    return f"damaged at byte {frames[0].offset}: {first}{more}"


def count_lines(before: int | None, damage: Damage) -> tuple[int, int] | None:
    """First and last line that end in the damaged bytes, or the one that they are a part of, counted from 1.

    `before` is the number of line ends in the generation before the segment. None where that is not known.
    """
    if before is None:
        return None
    earlier = before + sum_lines(frame for frame in damage.segment.frames if frame.start < damage.start)
    return earlier + 1, earlier + max(sum_lines(damage.frames), 1)
