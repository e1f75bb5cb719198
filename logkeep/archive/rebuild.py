"""Checkpoints rebuilt from manifests. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.manifest import EMPTY, Checkpoint, Manifest, Segment


@dataclass(slots=True)
class Generations:
    """Checkpoints of all nodes, updated manifest by manifest."""

    _known: dict[tuple[str, int], Checkpoint] = field(default_factory=dict[tuple[str, int], Checkpoint])
    _whole: dict[tuple[str, int], bool] = field(default_factory=dict[tuple[str, int], bool])
    touched: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])  # nodes and generations told of

    def begin(self, node: str, checkpoints: Iterable[Checkpoint]) -> None:
        """From where a catalogue is."""
        self._known |= {(node, checkpoint.generation): checkpoint for checkpoint in checkpoints}

    def kept(self, segment: Segment) -> int | None:
        """Up to where the generation of a segment is kept, None where it is new."""
        known = self._known.get((segment.node, segment.generation))
        return known.kept if known and known.kept else None

    def extend(self, segment: Segment) -> None:
        """Extend a generation by a segment, unless a catalogue has more already."""
        key = segment.node, segment.generation
        self.touched.add(key)
        if key not in self._known or self._known[key].kept < segment.end:
            self._known[key] = _extended(self._known.get(key), segment)

    def add(self, manifest: Manifest) -> None:
        """Apply a job's segments, then its sightings."""
        whole = manifest.job.status is JobStatus.SUCCESS
        for segment in manifest.segments:
            self.extend(segment)
            self._whole[segment.node, segment.generation] = whole
        for s in manifest.sightings:
            key = s.node, s.generation
            self.touched.add(key)
            new = Checkpoint(
                generation=s.generation,
                family=s.family,
                position=s.position,
                name=s.name,
                kept=0,
                head=EMPTY,
                tail=EMPTY,
            )
            known = self._known.get(key, new)
            flaw = s.flaw or known.flaw  # a sighting may have been told before what the segments of the job tell
            self._known[key] = replace(known, position=s.position, name=s.name, present=s.present, flaw=flaw)

    def checkpoints(self) -> dict[str, list[Checkpoint]]:
        """By node. A rotated file whose job succeeded is taken for read to its end: that it goes is no gap."""
        nodes: defaultdict[str, list[Checkpoint]] = defaultdict(list)
        for key, checkpoint in sorted(self._known.items()):
            settled = checkpoint.name != checkpoint.family and self._whole.get(key, False)
            nodes[key[0]].append(replace(checkpoint, size=0) if settled else checkpoint)
        return dict(nodes)


def _extended(before: Checkpoint | None, segment: Segment) -> Checkpoint:
    return Checkpoint(
        generation=segment.generation,
        family=segment.family,
        position=segment.position,
        name=segment.name,
        kept=segment.end,
        head=segment.head,
        tail=segment.tail,
        first_time=(before.first_time if before else "") or segment.first_time,
        last_time=segment.last_time or (before.last_time if before else ""),
        lead=segment.lead,
        start=before.start if before and before.kept else segment.start,
        flaw=segment.flaw,
    )
