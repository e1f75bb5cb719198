"""Bytes that changed after they were kept: frames that are held against the file."""

from __future__ import annotations

from dataclasses import replace

from logkeep.backup.comparison import is_unchanged
from logkeep.backup.content import Content
from logkeep.backup.node_state import NodeState
from logkeep.backup.observation import Changed
from logkeep.domain.manifest import LEAD, Checkpoint
from logkeep.domain.warning import WarningCode
from logkeep.errors import SourceVanished
from logkeep.logformat.names import LogName


class ChangedBytes:
    """Generations of a node whose bytes changed after they were archived, as this job finds them."""

    def __init__(self, state: NodeState) -> None:
        self._state = state
        self._starts: dict[int, int] = {}  # generation -> first byte that differs

    def compare_older(self, content: Content, checkpoint: Checkpoint) -> Checkpoint:
        """Hold one frame of what is kept against the file, by turns. Raises `SourceVanished` where it differs."""
        if content.compressed or checkpoint.kept <= checkpoint.first or not checkpoint.tail.length:
            return checkpoint
        at = checkpoint.checked if checkpoint.first < checkpoint.checked < checkpoint.kept else checkpoint.first
        segment = next(iter(self._state.catalogue.kept_segments(self._state.node, checkpoint.generation, at)), None)
        frame = next((frame for frame in segment.frames if frame.start + frame.raw > at), None) if segment else None
        if frame is None:
            return checkpoint
        if is_unchanged(content, frame):
            return replace(checkpoint, checked=frame.start + frame.raw)
        start, _ = self._first_difference(content, checkpoint)
        self._found_changed(content, checkpoint, start)
        raise SourceVanished(f"{content.file.name!r} was changed before what is kept of it ends")

    def leave_out(
        self, content: Content, name: LogName, head: bytes, continues: frozenset[int], foreign: frozenset[int]
    ) -> tuple[frozenset[int], frozenset[int], Changed | None]:
        """Without the generation of which the file has other bytes now. Its tail may be what has changed."""
        heads = self._state.heads
        if not heads.of(name.family) and not self._starts:
            return continues, foreign, None
        if not continues and not content.compressed:
            fits = heads.fitting(content.file, name, head)
            here = (c for c in fits.own if c.present and c.name == name.plain)
            for c in here:
                if c.kept < LEAD or c.kept > content.size or c.generation in self._starts:
                    continue
                start, timed = self._first_difference(content, c)
                if start > c.first and timed:  # a log that began anew has no such beginning
                    self._found_changed(content, c, start)
                    return frozenset(), foreign, Changed(c.generation, start)
        changed = sorted((continues | foreign) & self._starts.keys())
        if not changed:
            here = [c for c in heads.of(name.family) if c.generation in self._starts and c.name == name.plain]
            changed = [c.generation for c in here if not continues and c.present]
        if not changed:
            return continues, foreign, None
        without = frozenset(changed)
        return continues - without, foreign - without, Changed(changed[-1], self._starts[changed[-1]])

    def _first_difference(self, content: Content, checkpoint: Checkpoint) -> tuple[int, bool]:
        """Return the start of the first frame that the file no longer has, and whether a frame before it has a time."""
        timed = False
        for segment in self._state.catalogue.kept_segments(self._state.node, checkpoint.generation, checkpoint.first):
            for frame in segment.frames:
                if not is_unchanged(content, frame):
                    return frame.start, timed
                timed = timed or bool(frame.first_time)
        return checkpoint.kept, timed

    def _found_changed(self, content: Content, checkpoint: Checkpoint, start: int) -> None:
        """Remember and tell it; raise `SourceVanished` where the file was emptied and written to meanwhile."""
        content.check_unchanged(checkpoint.kept, checkpoint.head)
        file = content.file.name
        self._starts[checkpoint.generation] = start
        self._state.warn(
            WarningCode.LOG_CHANGED,
            f"{file!r}: bytes before {checkpoint.kept} were changed after they were kept; what was kept stays, and "
            f"all from byte {start} on is kept again behind it",
            family=checkpoint.family,
            file=file,
        )
