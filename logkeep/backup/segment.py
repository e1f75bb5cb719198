"""Plain bytes -> one object of independent zstd frames, hashed, annotated and streamed into the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from msgspec.structs import replace

from logkeep.domain.manifest import Frame, earliest_time, latest_time
from logkeep.errors import SourceError, SourceUnreachable, SourceUnreadable, StoreCorrupt
from logkeep.logformat.annotation import annotate
from logkeep.stores.base import ObjectStore
from logkeep.stores.frames import compress_frame


@dataclass(frozen=True, slots=True)
class Sizes:
    """Most plain bytes of a frame and of a segment."""

    frame: int = 4 * 1024 * 1024
    segment: int = 128 * 1024 * 1024  # what a node writes between two rotations


SIZES = Sizes()


class LineFrames:
    """Cuts pieces of plain bytes into frames that end at a line end wherever a line fits into a frame."""

    def __init__(self, pieces: Iterator[bytes], sizes: Sizes) -> None:
        self._pieces = pieces
        self.sizes = sizes
        self._held: list[bytes] = []  # not joined before they must be: copying costs as much as counting lines
        self._size = 0
        self._ended = False
        self.broken: SourceError | None = None  # why there is no more, where the source failed on the way

    def next_frame(self) -> bytes:
        """Return the next frame, empty at the end, or behind the last whole line before the source failed."""
        most = self.sizes.frame
        self._fill(most + 1)  # whether it is the last one decides where it may end
        if self._size <= most:
            return self._take(self._size)
        before = self._size - len(self._held[-1])  # bytes in front of the last piece
        end = self._held[-1].rfind(b"\n", 0, most - before) + 1 if before <= most else 0
        if end:
            return self._take(before + end)
        gathered = self._take(self._size)
        cut = gathered.rfind(b"\n", 0, most) + 1 or most
        self._held, self._size = [gathered[cut:]], len(gathered) - cut
        return gathered[:cut]

    def fits(self, most: int) -> bool:
        """Return whether all that is left has at most so many bytes."""
        self._fill(most + 1)
        return self._size <= most

    def ended(self) -> bool:
        """Return whether there is nothing more."""
        self._fill(1)
        return not self._size

    def _take(self, size: int) -> bytes:
        """Return and remove the first `size` bytes, which end in the last piece."""
        *whole, last = self._held or [b""]
        end = len(last) - (self._size - size)
        self._held, self._size = [last[end:]] if end < len(last) else [], self._size - size
        return b"".join([*whole, last[:end]])

    def _fill(self, wanted: int) -> None:
        while self._size < wanted and not self._ended:
            try:
                piece = next(self._pieces, b"")
            except (SourceUnreachable, SourceUnreadable) as error:
                self.broken, piece = error, b""
                self._drop_part_of_a_line()
            self._ended = not piece
            if piece:
                self._held.append(piece)
                self._size += len(piece)

    def _drop_part_of_a_line(self) -> None:
        held = b"".join(self._held)
        self._size = held.rfind(b"\n") + 1
        self._held = [held[: self._size]] if self._size else []


@dataclass(frozen=True, slots=True)
class Written:
    """A segment as it was, or will be, stored."""

    raw: int  # plain bytes
    stored: int
    sha256: str  # of the object
    frames: tuple[Frame, ...]
    first_bytes: bytes  # plain, at most as many as were to be remembered
    last_bytes: bytes  # likewise

    @property
    def first_time(self) -> str:
        return earliest_time(self.frames)

    @property
    def last_time(self) -> str:
        return latest_time(self.frames)


def expect_stored(name: str, confirmed: int, sent: int) -> None:
    """Raise `StoreCorrupt` where the store confirmed another number of bytes than were sent."""
    if confirmed != sent:
        raise StoreCorrupt(f"{name} has {confirmed} bytes in the bucket, {sent} were sent")


class SegmentWriter:
    """Writes one object. Compression runs in `executor` while the next frame is read, hashed and annotated."""

    def __init__(self, frames: LineFrames, start: int, executor: Executor, ends: int) -> None:
        """`start` is the place in the generation; `ends` how many of the first and last plain bytes to remember."""
        self._source = frames
        self._start = start
        self._executor = executor
        self._ends = ends
        self._hash = hashlib.sha256()
        self._raw = self._stored = 0
        self._frames: list[Frame] = []
        self._first = self._last = b""

    def write(self, store: ObjectStore, name: str) -> Written:
        """Store the segment under `name`; call it only while the frames have not ended."""
        expect_stored(name, store.put(name, self._compressed()), self._stored)
        return self._written()

    def compress(self) -> tuple[bytes, Written]:
        """Return the object of a segment of one frame, for the caller to store."""
        raw = self._source.next_frame()
        frame = self._describe(raw)
        return self._finish(compress_frame(raw), frame), self._written()

    def _written(self) -> Written:
        return Written(
            raw=self._raw,
            stored=self._stored,
            sha256=self._hash.hexdigest(),
            frames=tuple(self._frames),
            first_bytes=self._first,
            last_bytes=self._last,
        )

    def _compressed(self) -> Iterator[bytes]:
        waiting: tuple[Future[bytes], Frame] | None = None
        while self._raw < self._source.sizes.segment and (raw := self._source.next_frame()):
            compressing = self._executor.submit(compress_frame, raw)
            frame = self._describe(raw)
            if waiting:
                yield self._finish(waiting[0].result(), waiting[1])
            waiting = (compressing, frame)
        if waiting:
            yield self._finish(waiting[0].result(), waiting[1])

    def _describe(self, raw: bytes) -> Frame:
        noted = annotate(raw)
        frame = Frame(
            offset=0,
            stored=0,
            start=self._start + self._raw,
            raw=len(raw),
            first_time=noted.first_time,
            last_time=noted.last_time,
            levels=noted.levels,
            lines=noted.lines,
        )
        self._raw += len(raw)
        self._first += raw[: self._ends - len(self._first)]
        self._last = (self._last + raw[-self._ends :])[-self._ends :]
        return frame

    def _finish(self, stored: bytes, frame: Frame) -> bytes:
        self._hash.update(stored)
        self._frames.append(replace(frame, offset=self._stored, stored=len(stored), check=stored[-4:].hex()))
        self._stored += len(stored)
        return stored
