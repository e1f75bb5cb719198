"""Checkpoints and what was seen in the listing -> what to read, and what went missing. No I/O.

Which file is which generation is decided by content alone: `Sight.continues` names the generations whose kept
bytes a file begins with. Inode and name only choose where the content leaves a choice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from logkeep.domain.manifest import EMPTY, Checkpoint, Gap
from logkeep.logformat.names import LogName
from logkeep.sources.base import LogFile


class Look(IntEnum):
    """What is known of a file's content; the lower, the surer."""

    UNCHANGED = 0  # looks exactly as when it was last read to its end
    READABLE = 1
    BLOCKED = 2  # cannot be read now; taken for what stood under its name, so that nothing is said to be gone


@dataclass(frozen=True, slots=True)
class Sight:
    """One file of the listing and what its content says."""

    file: LogFile
    name: LogName
    continues: frozenset[int] = frozenset()  # generations whose kept bytes it begins with
    look: Look = Look.READABLE
    first_time: str = ""  # of its first line; only where names say nothing of age


@dataclass(frozen=True, slots=True)
class Read:
    """Read one file from the checkpoint of its generation to its end."""

    sight: Sight
    checkpoint: Checkpoint  # `kept` is where to start; 0 for a generation that is new
    # The files that have the generations which this one begins like, where it is taken for a new one all the same.
    # They must still have them when it is read, else it is their generation, met between two steps of a rotation.
    rivals: tuple[tuple[Sight, Checkpoint], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    reads: tuple[Read, ...]
    seen: tuple[Checkpoint, ...]  # generations whose name or presence changed, and logs seen empty for the first time
    gone: tuple[Checkpoint, ...]  # generations that no file continues any more
    gaps: tuple[Gap, ...]  # what may have gone with them


def make_plan(
    node: str, checkpoints: Sequence[Checkpoint], sights: Sequence[Sight], read: Collection[int] = ()
) -> Plan:
    """Decide what to read; generations in `read` were read by this job already and wait for the next."""
    owners = match(checkpoints, sights)
    fresh = _number_new(checkpoints, sights, owners)
    holders = {checkpoint.generation: (sights[index], checkpoint) for index, checkpoint in owners.items()}
    reads: list[Read] = []
    seen: list[Checkpoint] = []
    for index, sight in enumerate(sights):
        checkpoint = owners.get(index) or fresh.get(index)
        if checkpoint is None:  # an empty file of a log that is known
            continue
        current = replace(checkpoint, name=sight.name.plain, present=True)
        if current != checkpoint or not (checkpoint.kept or sight.file.size):
            seen.append(current)
        wanted = sight.file.size > 0 and sight.look is Look.READABLE
        if wanted and checkpoint.generation not in read:
            rivals = () if index in owners else tuple(holders[g] for g in sorted(sight.continues) if g in holders)
            reads.append(Read(sight, current, rivals))
    matched = {checkpoint.generation for checkpoint in owners.values()}
    gone = [c for c in checkpoints if c.present and c.generation not in matched and c.kept]
    reads.sort(key=lambda one: (one.checkpoint.family, one.checkpoint.position))
    absent = tuple(replace(checkpoint, present=False) for checkpoint in gone)
    return Plan(tuple(reads), tuple(seen), absent, tuple(_gaps(node, gone, sights)))


def match(checkpoints: Sequence[Checkpoint], sights: Sequence[Sight]) -> dict[int, Checkpoint]:
    """Give each file at most one generation and each generation at most one file: index of the sight -> checkpoint.

    Where several fit, the unchanged one, the same inode, the one with most bytes kept and the same name go first.
    """
    known = {checkpoint.generation: checkpoint for checkpoint in checkpoints}
    pairs = [
        (
            (
                sight.look,
                sight.file.inode != c.inode,
                -c.kept,
                sight.name.plain != c.name,
                c.generation,
                index,
            ),
            c,
            index,
        )
        for index, sight in enumerate(sights)
        for c in (known[generation] for generation in sight.continues)
    ]
    owners: dict[int, Checkpoint] = {}
    taken: set[int] = set()
    for _, checkpoint, index in sorted(pairs, key=lambda pair: pair[0]):
        if index not in owners and checkpoint.generation not in taken:
            owners[index] = checkpoint
            taken.add(checkpoint.generation)
    return owners


def _number_new(
    checkpoints: Sequence[Checkpoint], sights: Sequence[Sight], owners: Mapping[int, Checkpoint]
) -> dict[int, Checkpoint]:
    """Checkpoints for the files that continue nothing, numbered and placed in the order of writing."""
    families: dict[str, list[Checkpoint]] = defaultdict(list)
    for checkpoint in checkpoints:
        families[checkpoint.family].append(checkpoint)
    members: dict[str, list[int]] = defaultdict(list)
    for index, sight in enumerate(sights):
        members[sight.name.family].append(index)
    matched = {checkpoint.generation for checkpoint in owners.values()}
    following = max((checkpoint.generation for checkpoint in checkpoints), default=0) + 1
    fresh: dict[int, Checkpoint] = {}
    for family in sorted(members):
        known = families[family]
        kept = sorted(checkpoint.position for checkpoint in known if checkpoint.kept)
        places = _places(_in_order(members[family], sights, owners), sights, owners, kept)
        if not places and not known:  # a log that is still empty: remember that it exists
            places = {members[family][0]: 1.0}
        empty = [checkpoint for checkpoint in known if not checkpoint.kept and checkpoint.generation not in matched]
        for index, position in places.items():
            if empty:  # the first content of a log that was seen empty
                fresh[index] = replace(empty.pop(), position=position)
                continue
            fresh[index] = Checkpoint(following, family, position, sights[index].name.plain, 0, EMPTY, EMPTY)
            following += 1
    return fresh


def _in_order(members: Iterable[int], sights: Sequence[Sight], owners: Mapping[int, Checkpoint]) -> list[int]:
    """Oldest first: by name, or where names say nothing by what is known and the time of the first line."""

    def age(index: int) -> tuple[object, ...]:
        sight = sights[index]
        if not sight.name.order_by_time:
            return sight.name.order
        owner = owners.get(index)
        return (0, owner.position, "", 0) if owner else (1, 0.0, sight.first_time, sight.file.mtime_ns)

    return sorted(members, key=age)


def _places(
    ordered: Iterable[int], sights: Sequence[Sight], owners: Mapping[int, Checkpoint], kept: Sequence[float]
) -> dict[int, float]:
    """Positions for the new ones, oldest first: before the next younger one that is known, else behind all."""
    places: dict[int, float] = {}
    waiting: list[int] = []
    for index in ordered:
        if index in owners:
            above = owners[index].position
            before = bisect_left(kept, above)
            below = kept[before - 1] if before else above - 1.0
            step = (above - below) / (len(waiting) + 1)
            places |= {new: below + step * place for place, new in enumerate(waiting, 1)}
            waiting = []
        elif sights[index].file.size:
            waiting.append(index)
    last = kept[-1] if kept else 0.0
    return places | {new: last + place for place, new in enumerate(waiting, 1)}


def _gaps(node: str, gone: Iterable[Checkpoint], sights: Sequence[Sight]) -> Iterable[Gap]:
    """Generations that left before they were known to be kept to their end."""
    shrunk = {sight.file.inode for sight in sights if sight.file.inode}
    for checkpoint in gone:
        if checkpoint.settled and checkpoint.name != checkpoint.family:
            continue  # a rotated file that was kept whole
        reason = "truncated" if checkpoint.inode in shrunk else "rotated and deleted by the node"
        at_least = max(0, checkpoint.size - checkpoint.kept) if checkpoint.size >= 0 else 0
        yield Gap(node, checkpoint.family, checkpoint.last_time, "", at_least, reason)
