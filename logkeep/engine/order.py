"""The order of writing within a log: where new generations stand. No I/O.

What an earlier complete listing did not have is younger than all that it had. Among files that are first seen together
the times of their records decide, as instants, and then the counters in their names, in the direction that the log
itself shows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from logkeep.domain.instant import instant
from logkeep.domain.manifest import Checkpoint
from logkeep.engine.sight import Sight
from logkeep.logformat.names import LogName, Order, parse_name


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of one log when new files of it are to be placed."""

    known: Sequence[Checkpoint]  # of which something is kept
    earlier: Collection[int]  # generations that an earlier listing had; none where that was not complete
    reserved: Sequence[float]  # positions of files that are still to be read


@dataclass(frozen=True, slots=True)
class Placed:
    positions: dict[int, float]  # by the index of the sight
    unproven: list[int]  # files whose place is a guess


def place_new(
    members: Sequence[int],
    sights: Sequence[Sight],
    owners: Mapping[int, Checkpoint],
    fixed: Mapping[int, float],
    family: Family,
) -> Placed:
    """Positions for the members that have none yet; `fixed` are those of the others."""
    taken = sorted([*(c.position for c in family.known), *family.reserved])
    age = _Age.of(family.known)
    floor = max((c.position for c in family.known if c.generation in family.earlier), default=None)
    turned = _direction(members, sights, owners)
    unproven: list[int] = []
    following: list[int] = []
    copied_in: dict[float, list[int]] = defaultdict(list)  # by the position of the generation before which they belong
    for index in members:
        if floor is None or (index in fixed and fixed[index] > floor):
            following.append(index)
        elif index not in fixed:
            old = age.may_be_old(sights[index], turned)
            younger = _younger_than_old(sights[index], age.held) if old else None
            if younger is None:
                following.append(index)
                unproven += [index] if old and sights[index].readable else []
            else:
                copied_in[younger].append(index)
    positions: dict[int, float] = {}
    for above, indexes in copied_in.items():
        ordered = sorted(indexes, key=lambda index: _by_time(sights[index], sights[index].first_time, turned))
        positions |= _spread(ordered, taken, above)
    ordered = _in_order(following, sights, owners, turned)
    return Placed(positions | _places(ordered, sights, fixed, taken), unproven)


@dataclass(frozen=True, slots=True)
class _Age:
    """What is known of a log says how old a file may be."""

    held: Sequence[Checkpoint]  # those with times, in the order of writing
    newest: float | None  # instant of the last record
    orders: Sequence[Order]  # of the names of rotated files

    @staticmethod
    def of(known: Sequence[Checkpoint]) -> _Age:
        held = sorted((c for c in known if c.first_time), key=lambda c: c.position)
        newest = max((instant(c.last_time) for c in held if c.last_time), default=None)
        return _Age(held, newest, [name.order for c in known if c.present and not (name := _parse(c)).active])

    def may_be_old(self, sight: Sight, turned: int) -> bool:
        """Whether neither its name nor its times say that it is the youngest."""
        if sight.name.active or not sight.first_time or self.newest is None:
            return False
        if instant(sight.first_time) >= self.newest:
            return False
        alike = [_turn(order, turned) for order in self.orders if order[0] == sight.name.order[0]]
        return not alike or _turn(sight.name.order, turned) < max(alike)


def _younger_than_old(sight: Sight, held: Sequence[Checkpoint]) -> float | None:
    """The position of what an old file that was copied in stands before, by its times; None where they do not tell."""
    first, last = instant(sight.first_time), instant(sight.last_time or sight.first_time)
    if last <= min(instant(c.first_time) for c in held):
        return held[0].position
    for elder, younger in pairwise(held):
        if instant(elder.last_time or elder.first_time) <= first and last <= instant(younger.first_time):
            return younger.position
    return None


def _spread(ordered: Sequence[int], taken: Sequence[float], above: float) -> dict[int, float]:
    """Positions just below `above`, oldest first, and above all that is taken there."""
    before = bisect_left(taken, above)
    below = taken[before - 1] if before else above - 1.0
    step = (above - below) / (len(ordered) + 1)
    return {index: below + step * place for place, index in enumerate(ordered, 1)}


def _parse(c: Checkpoint) -> LogName:
    return parse_name(c.name, {c.family})


def _turn(order: Order, turned: int) -> Order:
    return order[0], order[1], turned * order[2]


def _direction(members: Sequence[int], sights: Sequence[Sight], owners: Mapping[int, Checkpoint]) -> int:
    """-1 where the counters in the log's names go the other way than such names usually do."""
    # Names as they are in this listing: those of an earlier one have shifted since.
    places = [(owners[i].position, sights[i].name.order) for i in members if i in owners and not sights[i].name.active]
    times = [
        (instant(sights[index].first_time), sights[index].name.order)
        for index in members
        if index not in owners and sights[index].first_time and not sights[index].name.active
    ]
    same = 0
    for shown in (places, times):
        for (_, elder), (_, younger) in pairwise(sorted(shown)):
            if elder[:2] == younger[:2] and elder[2] != younger[2]:
                same += 1 if elder[2] < younger[2] else -1
    return -1 if same < 0 else 1


def _in_order(
    members: Iterable[int], sights: Sequence[Sight], owners: Mapping[int, Checkpoint], turned: int
) -> list[int]:
    """Oldest first."""
    members = list(members)
    times = {index: time for index in members if (time := _first_time(sights[index], owners.get(index)))}
    if all(index in times or not sights[index].file.size for index in members):
        return sorted(members, key=lambda index: _by_time(sights[index], times.get(index), turned))

    def age(index: int) -> tuple[object, ...]:
        sight = sights[index]
        if not sight.name.order_by_time:
            return _turn(sight.name.order, turned)
        owner = owners.get(index)
        return (0, owner.position, "", 0) if owner else (1, 0.0, sight.first_time, sight.file.mtime_ns)

    return sorted(members, key=age)


def _by_time(sight: Sight, time: str | None, turned: int) -> tuple[object, ...]:
    return sight.name.active, instant(time) if time else 0.0, _turn(sight.name.order, turned), sight.file.mtime_ns


def _first_time(sight: Sight, owner: Checkpoint | None) -> str:
    return sight.first_time or (owner.first_time if owner else "")


def _places(
    ordered: Iterable[int], sights: Sequence[Sight], fixed: Mapping[int, float], kept: Sequence[float]
) -> dict[int, float]:
    """Positions, oldest first: of new ones before the next younger one that has its place, else behind all."""
    places: dict[int, float] = {}
    waiting: list[int] = []
    for index in ordered:
        if index in fixed:
            places[index] = fixed[index]
            places |= _spread(waiting, kept, fixed[index])
            waiting = []
        elif sights[index].file.size:
            waiting.append(index)
    last = kept[-1] if kept else 0.0
    return places | {new: last + place for place, new in enumerate(waiting, 1)}
