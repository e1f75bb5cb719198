"""A catalogue made anew from manifests: their order, and the checkpoints that they add up to. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.manifest import EMPTY, Checkpoint, Manifest, Segment


@dataclass(frozen=True, slots=True)
class Found:
    """What is needed of a manifest to find its place in the chain."""

    bucket: str
    object: str
    sha256: str
    previous: str
    cluster_id: str
    job_id: str
    attempt: int
    created_at: int  # of its job, Unix ms
    key: str  # that it is signed with


@dataclass(frozen=True, slots=True)
class Chain:
    """The manifests of one cluster from the first to the last."""

    links: tuple[Found, ...]
    breaks: tuple[Found, ...] = ()  # those whose predecessor is missing
    forks: tuple[Found, ...] = ()  # those that follow a manifest which another job's follows in the chain


def order_chain(found: Sequence[Found]) -> Chain:
    """Put the manifests of one cluster into their order.

    Of several attempts of one job the one that was gone on from counts, at the end the last one. Where a manifest is
    missing, the chain goes on with what follows the hole. Where the manifests of two jobs follow one, as after a
    database was put back to an earlier state, the newer one counts.
    """
    following: defaultdict[str, list[Found]] = defaultdict(list)
    for one in found:
        following[one.previous].append(one)
    there = {one.sha256 for one in found}
    beginnings = [attempts for previous, attempts in following.items() if previous not in there]
    links: list[Found] = []
    breaks: list[Found] = []
    for attempts in sorted(beginnings, key=lambda attempts: min(one.created_at for one in attempts)):
        piece = _follow(attempts, following)
        if links or piece[0].previous:
            breaks.append(piece[0])
        links += piece
    jobs = {one.previous: one.job_id for one in links}
    forks = [one for one in found if one.previous in jobs and one.job_id != jobs[one.previous]]
    return Chain(tuple(links), tuple(breaks), tuple(forks))


def _follow(attempts: Sequence[Found], following: Mapping[str, Sequence[Found]]) -> list[Found]:
    piece: list[Found] = []
    while attempts:
        piece.append(max(attempts, key=lambda one: (one.sha256 in following, one.created_at, one.attempt)))
        attempts = following.get(piece[-1].sha256, ())
    return piece


@dataclass(slots=True)
class Generations:
    """The checkpoints of all nodes as one manifest after the other tells them."""

    _known: dict[tuple[str, int], Checkpoint] = field(default_factory=dict[tuple[str, int], Checkpoint])
    _whole: dict[tuple[str, int], bool] = field(default_factory=dict[tuple[str, int], bool])

    def add(self, manifest: Manifest) -> None:
        """What the job stored, and then under which names its generations were last seen."""
        whole = manifest.job.status is JobStatus.SUCCESS
        for segment in manifest.segments:
            key = segment.node, segment.generation
            self._known[key] = _extended(self._known.get(key), segment)
            self._whole[key] = whole
        for s in manifest.sightings:
            key = s.node, s.generation
            new = Checkpoint(s.generation, s.family, s.position, s.name, 0, EMPTY, EMPTY)
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
        segment.generation,
        segment.family,
        segment.position,
        segment.name,
        segment.end,
        segment.head,
        segment.tail,
        (before.first_time if before else "") or segment.first_time,
        segment.last_time or (before.last_time if before else ""),
        lead=segment.lead,
        start=before.start if before and before.kept else segment.start,
        flaw=segment.flaw,
    )
