"""Order of writing within a log: where new generations are placed. No I/O.

What an earlier complete listing did not have is younger than all that it had. Among files that are first seen together
the times of their records decide, as instants, and then the counters in their names, in the direction that the log
itself shows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any

from logkeep.backup.observation import FileObservation
from logkeep.domain.instant import instant
from logkeep.domain.manifest import Checkpoint, PendingFile
from logkeep.logformat.names import LogName, Order, parse_name

_FIRST: Order = (-1, "", 0)  # before all that names tell


@dataclass(frozen=True, slots=True)
class Family:
    """State of one log before new files of it are placed."""

    known: Sequence[Checkpoint]  # of which something is kept
    earlier: Collection[int]  # generations that an earlier listing had; none where that was not complete
    reserved: Sequence[PendingFile]  # files that are still to be read

    def floor(self) -> float | None:
        """Return the last position of an earlier complete listing; what that lacked is younger."""
        return max((c.position for c in self.known if c.generation in self.earlier), default=None)


@dataclass(frozen=True, slots=True)
class Placed:
    positions: dict[int, float]  # by the index of the observation
    unproven: list[int]  # files whose place is a guess
    old: bool = False  # some belong among what is kept, so that all of it has to be known


def place_new(
    members: Sequence[int],
    observations: Sequence[FileObservation],
    owners: Mapping[int, Checkpoint],
    fixed: Mapping[int, float],
    family: Family,
) -> Placed:
    """Positions for the members that have none yet; `fixed` are those of the others."""
    taken = sorted([*(c.position for c in family.known), *(one.position for one in family.reserved)])
    shown = [observations[index].name for index in members if index in owners]
    age = _Age.of(family.known, [name.order for name in shown if not name.active])
    floor = family.floor()
    # No rotated file is younger than the one that the node writes to, where that is the one that it was.
    active = next((owners[i].position for i in members if i in owners and observations[i].name.active), None)
    turned = _direction(members, observations, owners)
    unproven: list[int] = []
    following: list[int] = []
    some_old = False
    copied_in: dict[float, list[int]] = defaultdict(list)  # by the position of the generation before which they belong
    for index in members:
        if floor is None or (index in fixed and fixed[index] > floor):
            following.append(index)
            some_old = some_old or (index not in fixed and age.is_older(observations[index]))
        elif index not in fixed:
            rotated = active is not None and active <= floor and not observations[index].name.active
            old = age.may_be_old(observations[index], turned, rotated=rotated)
            some_old = some_old or old
            younger = _younger_than_old(observations[index], age.held) if old else None
            if younger is None:
                following.append(index)
                unproven += [index] if old and observations[index].readable else []
            else:
                copied_in[younger].append(index)
    held = {index: fixed[index] for index in members if index in fixed}
    stays = _stays(observations, owners, held, family, turned)
    positions: dict[int, float] = {}
    for above, indexes in copied_in.items():
        found = [_Place.of(observations[index], index, None, None, turned) for index in indexes]
        below = max((c.position for c in age.held if c.position < above), default=float("-inf"))
        between = [one for one in stays if below < (one.position or 0.0) < above]
        positions |= _positions([*_in_order(between, found), _Place(above)], taken)
    new = [
        _Place.of(observations[i], i, None, None, turned)
        for i in following
        if i not in fixed and observations[i].file.size
    ]
    line = _in_order([one for one in stays if floor is None or (one.position or 0.0) > floor], new)
    return Placed(held | positions | _positions(line, taken), unproven, some_old)


def _stays(
    observations: Sequence[FileObservation],
    owners: Mapping[int, Checkpoint],
    held: Mapping[int, float],
    family: Family,
    turned: int,
) -> list[_Place]:
    """Return what has its place, shown by this listing or not."""
    seen = {owner.generation for owner in owners.values()}
    planned = [one for one in family.reserved if one.position not in held.values()]
    unseen = [*(c for c in family.known if c.generation not in seen), *planned]
    shown = [_Place.of(observations[i], i, owners.get(i), place, turned) for i, place in held.items()]
    hidden = [_Place(one.position, time=instant(one.first_time)) for one in unseen if one.first_time]
    return [*shown, *hidden]


@dataclass(frozen=True, slots=True)
class _Age:
    """Age limits of a log's files, from what is known of it."""

    held: Sequence[Checkpoint]  # those with times, in the order of writing
    youngest: float | None  # instant of the last one's first record
    newest: float | None  # instant of the last record
    orders: Sequence[Order]  # of the names of rotated files

    @staticmethod
    def of(known: Sequence[Checkpoint], shown: Sequence[Order]) -> _Age:
        """`shown` are those of names in this listing: those of an earlier one may have shifted since."""
        held = sorted((c for c in known if c.first_time), key=lambda c: c.position)
        newest = max((instant(c.last_time) for c in held if c.last_time), default=None)
        youngest = max((instant(c.first_time) for c in held), default=None)
        return _Age(
            held, youngest, newest, shown or [name.order for c in known if c.present and not (name := _parse(c)).active]
        )

    def is_older(self, observed: FileObservation) -> bool:
        """Return whether something archived began later."""
        return bool(observed.time) and self.youngest is not None and instant(observed.time) < self.youngest

    def may_be_old(self, observed: FileObservation, turned: int, *, rotated: bool) -> bool:
        """Return whether neither name nor times prove that the file is the youngest.

        `rotated`: it is not the file that the node writes to, and that one is known; no rotated file is younger.
        """
        if observed.name.active or self.newest is None:
            return False
        # A listing that a rotation tears has a file twice, or one younger than the active one that it shows.
        if not observed.time or instant(observed.time) >= self.newest:
            return rotated and not observed.time
        if rotated:
            return True
        alike = [_turn(order, turned) for order in self.orders if order[0] == observed.name.order[0]]
        return not alike or _turn(observed.name.order, turned) < max(alike)


def _younger_than_old(observed: FileObservation, held: Sequence[Checkpoint]) -> float | None:
    """Return the position before which an old, copied-in file belongs by its times; None where they do not tell."""
    if not observed.time or not held:
        return None
    first, last = instant(observed.time), instant(observed.last_time or observed.time)
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


def _direction(
    members: Sequence[int], observations: Sequence[FileObservation], owners: Mapping[int, Checkpoint]
) -> int:
    """-1 where the counters in the log's names go the other way than such names usually do."""
    # Names as they are in this listing: those of an earlier one have shifted since.
    places = [
        (owners[i].position, observations[i].name.order)
        for i in members
        if i in owners and not observations[i].name.active
    ]
    times = [
        (instant(observations[index].time), observations[index].name.order)
        for index in members
        if index not in owners and observations[index].time and not observations[index].name.active
    ]
    same = 0
    for shown in (places, times):
        for (_, elder), (_, younger) in pairwise(sorted(shown)):
            if elder[:2] == younger[:2] and elder[2] != younger[2]:
                same += 1 if elder[2] < younger[2] else -1
    return -1 if same < 0 else 1


@dataclass(frozen=True, slots=True)
class _Place:
    """Generation in the order of a log, or a file to be placed there."""

    position: float | None  # None for what is new
    index: int = -1  # of the observation, where this listing shows it
    time: float | None = None  # instant of its first record
    order: Order | None = None  # by its name as it is now, in the direction of the log
    active: bool = False
    mtime_ns: int = 0

    @staticmethod
    def of(
        observed: FileObservation, index: int, owner: Checkpoint | None, position: float | None, turned: int
    ) -> _Place:
        first = observed.first_time or (owner.first_time if owner else "")
        time = instant(first) if first else None
        return _Place(
            position=position,
            index=index,
            time=time,
            order=_turn(observed.name.order, turned),
            active=observed.name.active,
            mtime_ns=observed.file.mtime_ns,
        )


def _in_order(stays: Iterable[_Place], new: Sequence[_Place]) -> list[_Place]:
    """Oldest first: what has its place, and the new ones among them.

    By their times, also against what this listing does not show, as files vanish while others are looked into; those
    of which no time is known by their names, which tell of one listing only. Nothing is younger than the active file.
    """
    line = sorted(stays, key=lambda one: one.position or 0.0)
    oldest = sorted(new, key=_age)
    line = _merge(line, [one for one in oldest if one.time is not None], _time_key)
    return _merge(line, [one for one in oldest if one.time is None], lambda one: one.order)


def _age(one: _Place) -> tuple[object, ...]:
    return one.active, one.time or 0.0, one.order, one.mtime_ns


def _time_key(one: _Place) -> tuple[float, Order] | None:
    return (one.time, one.order or _FIRST) if one.time is not None else None


def _merge(line: list[_Place], new: Sequence[_Place], key: Callable[[_Place], Any]) -> list[_Place]:
    """Put each of the new ones, which ascend, right behind the last in the line with a lower or the same key."""
    if not new:
        return line
    keyed = sorted((found, place) for place, one in enumerate(line) if (found := key(one)) is not None)
    keys = [found for found, _ in keyed]
    behind = list(accumulate((place + 1 for _, place in keyed), max))
    first = min((place for _, place in keyed), default=len(line))
    active = next((place for place, one in enumerate(line) if one.active), len(line))
    slots: dict[int, list[_Place]] = defaultdict(list)
    for one in new:
        older = bisect_right(keys, key(one))
        slot = behind[older - 1] if older else first
        slots[len(line) if one.active else min(slot, active)].append(one)
    return [*chain.from_iterable((*slots[place], one) for place, one in enumerate(line)), *slots[len(line)]]


def _positions(line: Iterable[_Place], taken: Sequence[float]) -> dict[int, float]:
    """By the index of the observation: of new ones before the next younger one that has its place, else behind all."""
    places: dict[int, float] = {}
    waiting: list[int] = []
    for one in line:
        if one.position is None:
            waiting.append(one.index)
            continue
        places |= _spread(waiting, taken, one.position)
        waiting = []
    last = taken[-1] if taken else 0.0
    return places | {new: last + place for place, new in enumerate(waiting, 1)}
