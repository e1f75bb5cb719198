"""Which generations no rule asks for any more, whatever is listed next: they are known again by their content. No I/O.

A node that rotates each hour leaves 26,280 generations of a log in three years, and the plan of a job needs a few of
them: those that some file has, the last ones of each log, and what stands beside a place where something may be found
to be missing or to belong. The others are retired: they stay in the catalogue, and are not loaded. Where a file goes on
with one of them, or is older than what is kept of its log, `Plan.wants` asks for all of that log.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence

from logkeep.domain.instant import instant
from logkeep.domain.manifest import Checkpoint, PendingFile
from logkeep.logformat.names import counts_rotations, parse_counted

# The forecast looks at twice as many of the last ones as the node keeps.
_LAST, _OF_PRESENT = 16, 2

# What the rules look for in the elders of a generation, or in the younger ones. Gaps lie between proven ones.
_SOUGHT: Sequence[Callable[[Checkpoint], object]] = (
    lambda c: c.kept,
    lambda c: not c.unproven,
    lambda c: not c.unproven and c.first_time,
    lambda c: not c.unproven and c.last_time,
    lambda c: not c.unproven and parse_counted(c.name),
)


def find_retired(checkpoints: Collection[Checkpoint], noted: Iterable[PendingFile] = ()) -> set[int]:
    """Numbers of those that need not be loaded; `noted` is what the next job will know of files that are not kept."""
    gone = {c.generation: c.family for c in checkpoints if not c.present and c.kept and c.joined}
    families: dict[str, list[Checkpoint]] = {family: [] for family in gone.values()}
    notes: dict[str, list[PendingFile]] = {family: [] for family in families}
    if not gone:
        return set()
    needed = {max(c.generation for c in checkpoints)}  # numbers go on from it
    for c in checkpoints:
        if c.family in families:
            families[c.family].append(c)
    for one in noted:
        needed.add(one.generation)
        if one.family in families:
            notes[one.family].append(one)
    for family, known in families.items():
        needed |= {c.generation for c in _needed(known, notes[family])}
    return gone.keys() - needed


def _needed(known: Sequence[Checkpoint], notes: Sequence[PendingFile]) -> Iterable[Checkpoint]:
    line = sorted((c for c in known if c.kept), key=lambda c: (c.position, c.generation))
    present = [c for c in known if c.present]
    yield from line[:1]
    yield from line[-max(_LAST, _OF_PRESENT * len(present) + 2) :]
    timed = [c for c in line if c.first_time]
    yield from sorted(timed, key=lambda c: instant(c.first_time))[-1:]  # nothing began later
    ended = [c for c in timed if c.last_time]
    yield from sorted(ended, key=lambda c: instant(c.last_time))[-1:]
    yield from _counters(line)
    leads = {c.lead for c in present}
    yield from (c for c in line if c.start and c.lead in leads)  # it may stand for one that is present
    anchors = {c.position for c in known if c.present or not c.joined} | {one.position for one in notes}
    gone = [c for c in line if not c.present]
    yield from _neighbours(gone, anchors)


def _counters(line: Sequence[Checkpoint]) -> Iterable[Checkpoint]:
    """Return the generations whose names count rotations, or are hours."""
    found: dict[tuple[str, object], Checkpoint] = {}
    for c in line:
        if c.unproven or not (name := parse_counted(c.name)):
            continue
        if name.written == "0":
            found[name.series, "from 0"] = c
        if counts_rotations([name.written]):
            found[name.series, "counts"] = c
        if c.first_time:
            found[name.series, min(name.number, 24)] = c  # a number above 23 is no hour
    return found.values()


def _neighbours(gone: Sequence[Checkpoint], anchors: Collection[float]) -> Iterable[Checkpoint]:
    """Return the nearest generations on both sides of each place, and of the end, that a rule may look for.

    Each with the one before it: what is new may have to stand between the two.
    """
    for has in _SOUGHT:
        those = [place for place, c in enumerate(gone) if has(c)]
        at = [gone[place].position for place in those]
        near = those[-1:]
        for anchor in anchors:
            near += those[max(0, bisect_left(at, anchor) - 1) : bisect_right(at, anchor) + 1]
        for place in set(near):
            yield from gone[max(0, place - 1) : place + 1]
