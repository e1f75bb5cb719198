"""Checkpoints and what was seen in the listing -> what to read, and what went missing. No I/O.

Which file is which generation is decided by content alone: `Sight.continues` names the generations whose kept
bytes a file begins with. Inode and name only choose where the content leaves a choice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

from logkeep.domain.manifest import EMPTY, Checkpoint, Gap, Unread, UnreadKind
from logkeep.engine.gaps import UNSEEN, Line, Loss, came_between, is_closed, lost_file, lost_rest, tell_gap
from logkeep.engine.sight import Look, Sight
from logkeep.engine.unread import empty_file, planned_read, still_there, unknown_file
from logkeep.logformat.names import compressed_names


@dataclass(frozen=True, slots=True)
class Read:
    """Read one file from the checkpoint of its generation to its end."""

    sight: Sight
    checkpoint: Checkpoint  # `kept` is where to start; 0 for a generation that is new
    owed: Unread  # what is missing until it was read
    # The files that have the generations which this one begins like, where it is taken for a new one all the same.
    # They must still have them when it is read, else it is their generation, met between two steps of a rotation.
    rivals: tuple[tuple[Sight, Checkpoint], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    reads: tuple[Read, ...]
    seen: tuple[Checkpoint, ...]  # generations whose name or presence changed, and logs seen empty for the first time
    unread: tuple[Unread, ...]  # what is still to be kept, of this listing and of those before
    # What holds once two listings agree and nothing is left to read:
    gone: tuple[Checkpoint, ...]  # generations that no file continues any more
    joined: tuple[Checkpoint, ...]  # those of which it is decided now whether something is missing before them
    gaps: tuple[Gap, ...]  # what may have gone
    empty: tuple[Unread, ...]  # active files in which nothing was written yet


@dataclass(frozen=True, slots=True)
class _Listing:
    """What was seen, and which generation each file is."""

    sights: Sequence[Sight]
    owners: dict[int, Checkpoint]  # index of the sight -> its generation as it is now
    known: Mapping[int, Checkpoint]  # the same as it was known
    fresh: dict[int, Checkpoint]  # new generations
    gone: Sequence[Checkpoint]  # what no file has
    missing: Sequence[Unread]  # of what earlier listings left, what no file has


def make_plan(
    node: str,
    checkpoints: Sequence[Checkpoint],
    sights: Sequence[Sight],
    read: Collection[int] = (),
    unread: Sequence[Unread] = (),
    first_listed: Mapping[str, int] = MappingProxyType({}),
) -> Plan:
    """Decide what to read; generations in `read` were read by this job already and wait for the next.

    `unread` is what earlier listings left, `first_listed` the number of the listing in which an inode was first, or a
    name where there are no inodes.
    """
    known = match(checkpoints, sights)
    owners = {index: _as_seen(checkpoint, sights[index]) for index, checkpoint in known.items()}
    matched = {checkpoint.generation for checkpoint in owners.values()}
    gone = [c for c in checkpoints if c.present and c.generation not in matched and c.kept]
    found = still_there(unread, sights, owners, first_listed)
    numbers = {checkpoint.generation for checkpoint in checkpoints if checkpoint.kept}
    missing = [_planned_no_more(one, numbers) for one in unread if one not in found]
    fresh = _number_new(checkpoints, sights, owners, unread)
    newest = max((checkpoint.generation for checkpoint in checkpoints), default=0)
    listing = _Listing(sights, owners, known, fresh, gone, missing)
    current = {c.generation: c for c in (*checkpoints, *owners.values())}
    lines = _lines(listing, current.values())
    reads = _reads(listing, lines, read)
    return Plan(
        reads=tuple(reads),
        seen=tuple(_seen(listing)),
        unread=(*missing, *(one.owed for one in reads), *_unknown(listing, newest)),
        gone=tuple(replace(checkpoint, present=False) for checkpoint in gone),
        joined=tuple(replace(c, joined=True) for c in current.values() if c.kept and not c.joined),
        gaps=tuple(_gaps(node, listing, lines)),
        empty=tuple(empty_file(sight) for sight in sights if sight.name.active and not sight.file.size),
    )


def _as_seen(checkpoint: Checkpoint, sight: Sight) -> Checkpoint:
    file = sight.file
    same = (file.inode, file.size, file.mtime_ns) == (checkpoint.inode, checkpoint.size, checkpoint.mtime_ns)
    size = checkpoint.size if same or sight.look is not Look.READABLE else -1
    if checkpoint.present and (checkpoint.name, checkpoint.size) == (sight.name.plain, size):
        return checkpoint  # almost all of 10,000 files: making another takes longer than all the rest of a look
    return replace(checkpoint, name=sight.name.plain, present=True, size=size)


def _planned_no_more(one: Unread, numbers: Collection[int]) -> Unread:
    """Without the number of a generation that was only planned: another file may get it."""
    planned = one.kind is UnreadKind.PLANNED
    return replace(one, generation=0) if planned and one.generation not in numbers else one


def _seen(listing: _Listing) -> Iterable[Checkpoint]:
    yield from (one for index, one in listing.owners.items() if one != listing.known[index])
    yield from (one for index, one in listing.fresh.items() if not listing.sights[index].file.size)


def _reads(listing: _Listing, lines: Mapping[str, Line], read: Collection[int]) -> list[Read]:
    holders = {checkpoint.generation: (listing.sights[i], checkpoint) for i, checkpoint in listing.owners.items()}
    reads: list[Read] = []
    for index, sight in enumerate(listing.sights):
        checkpoint = listing.owners.get(index) or listing.fresh.get(index)
        if not checkpoint or not sight.file.size or sight.look is not Look.READABLE or checkpoint.generation in read:
            continue
        rivals: tuple[tuple[Sight, Checkpoint], ...] = ()
        if index in listing.fresh:
            checkpoint = replace(checkpoint, joined=_is_joined(listing, lines[checkpoint.family], index))
            rivals = tuple(holders[number] for number in sorted(sight.continues) if number in holders)
        reads.append(Read(sight, checkpoint, planned_read(sight, checkpoint), rivals))
    return sorted(reads, key=lambda one: (one.checkpoint.family, one.checkpoint.position))


def _unknown(listing: _Listing, newest: int) -> Iterable[Unread]:
    inodes = {checkpoint.inode for checkpoint in (*listing.owners.values(), *listing.gone)} - {""}
    names = {sight.file.name for sight in listing.sights if sight.file.size}
    for index, sight in enumerate(listing.sights):
        if not sight.file.size or sight.look <= Look.READABLE:
            continue
        if sight.look is Look.VANISHED and (
            sight.file.inode in inodes or not names.isdisjoint(compressed_names(sight.file.name))
        ):
            continue  # a generation that is known, or a file that has its compressed twin beside it
        if one := unknown_file(sight, listing.owners.get(index) or listing.fresh[index], newest):
            yield one


def _lines(listing: _Listing, current: Iterable[Checkpoint]) -> dict[str, Line]:
    """The generations with content of each family, those that are to be read among them."""
    sights = listing.sights
    kept: dict[str, list[Checkpoint]] = defaultdict(list)
    present: set[int] = set()
    for checkpoint in current:
        if checkpoint.kept and not checkpoint.unproven:  # a damaged file is as if it were not there
            kept[checkpoint.family].append(checkpoint)
    for index, checkpoint in (listing.owners | listing.fresh).items():
        if sights[index].readable:
            present.add(checkpoint.generation)
            if index in listing.fresh and sights[index].head != EMPTY:  # a compressed file may hold nothing at all
                kept[checkpoint.family].append(checkpoint)
    names: dict[str, list[str]] = defaultdict(list)
    for sight in sights:
        names[sight.name.family].append(sight.file.name)
    for one in listing.missing:
        names[one.family].append(one.name)
    return {family: Line(kept[family], present, names[family]) for family in kept.keys() | names.keys()}


def _is_joined(listing: _Listing, line: Line, index: int) -> bool:
    """Whether nothing can have gone unseen between a new generation and its elder."""
    checkpoint, inode = listing.fresh[index], listing.sights[index].file.inode
    if not line.begun or came_between(line, checkpoint) is None:
        return True  # nothing is said of what went before the first backup
    alone = sum(one.family == checkpoint.family for one in listing.fresh.values()) == 1
    return alone and any(one.kind is UnreadKind.EMPTY and one.inode == inode for one in listing.missing if inode)


def _gaps(node: str, listing: _Listing, lines: Mapping[str, Line]) -> Iterable[Gap]:
    """All that is missing behind the same generation is one gap."""
    for family, losses in _losses(listing, lines).items():
        line = lines[family]
        places: dict[int, list[Loss]] = defaultdict(list)
        for loss in losses:
            places[line.place(loss.position)].append(loss)
        yield from (tell_gap(node, family, line, *place) for place in sorted(places.items()))


def _losses(listing: _Listing, lines: Mapping[str, Line]) -> Mapping[str, Sequence[Loss]]:
    files = {(sight.file.inode, sight.name.plain) for sight in listing.sights if sight.file.inode}
    found: dict[str, list[Loss]] = defaultdict(list)
    for checkpoint in listing.gone:
        if not is_closed(checkpoint) and not checkpoint.unproven:
            found[checkpoint.family].append(lost_rest(checkpoint, listing.missing, files))
    known = {checkpoint.generation for line in lines.values() for checkpoint in line.kept}
    for one in listing.missing:
        if one.kind is not UnreadKind.EMPTY and (one.kind is not UnreadKind.PLANNED or one.generation not in known):
            found[one.family].append(lost_file(one, files, listing.gone))
    for family, line in lines.items():
        for elder, younger in pairwise(line.kept):
            if not younger.joined and (reason := came_between(line, younger)):
                found[family].append(Loss(elder.position, 0, reason))
        if line.kept and line.kept[-1].generation not in line.present and _is_begun_anew(family, listing):
            found[family].append(Loss(line.kept[-1].position, 0, UNSEEN))
    return found


def _is_begun_anew(family: str, listing: _Listing) -> bool:
    """Whether the active file is empty, and another one than was empty at the job before."""
    before = {one.inode for one in listing.missing if one.kind is UnreadKind.EMPTY and one.family == family}
    empty = (s for s in listing.sights if s.name.family == family and s.name.active and not s.file.size)
    return any(sight.file.inode and sight.file.inode not in before for sight in empty)


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
    checkpoints: Sequence[Checkpoint],
    sights: Sequence[Sight],
    owners: Mapping[int, Checkpoint],
    unread: Sequence[Unread],
) -> dict[int, Checkpoint]:
    """Checkpoints for the files that continue nothing, numbered and placed in the order of writing."""
    reserved: dict[str, list[float]] = defaultdict(list)
    for one in unread:
        if one.kind is not UnreadKind.EMPTY:
            reserved[one.family].append(one.position)
    fixed = {index: owner.position for index, owner in owners.items()} | _as_planned(sights, owners)
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
        kept = sorted([*(checkpoint.position for checkpoint in known if checkpoint.kept), *reserved[family]])
        places = _places(_in_order(members[family], sights, owners), sights, fixed, kept)
        places = {index: position for index, position in places.items() if index not in owners}
        if not places and not known:  # a log that is still empty: remember that it exists
            places = {members[family][0]: 1.0}
        empty = [checkpoint for checkpoint in known if not checkpoint.kept and checkpoint.generation not in matched]
        for index, position in places.items():
            if empty:  # the first content of a log that was seen empty
                fresh[index] = replace(
                    empty.pop(), position=position, name=sights[index].name.plain, present=True, joined=False
                )
                continue
            name = sights[index].name.plain
            fresh[index] = Checkpoint(following, family, position, name, 0, EMPTY, EMPTY, joined=False)
            following += 1
    return fresh


def _as_planned(sights: Sequence[Sight], owners: Mapping[int, Checkpoint]) -> dict[int, float]:
    """Where an earlier listing has placed what is still new."""
    places: dict[Unread, int] = {}
    for index, sight in enumerate(sights):
        for one in sight.holds if index not in owners else ():
            places.setdefault(one, index)
    return {index: one.position for one, index in places.items()}


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
    ordered: Iterable[int], sights: Sequence[Sight], fixed: Mapping[int, float], kept: Sequence[float]
) -> dict[int, float]:
    """Positions, oldest first: of new ones before the next younger one that has its place, else behind all."""
    places: dict[int, float] = {}
    waiting: list[int] = []
    for index in ordered:
        if index in fixed:
            above = places[index] = fixed[index]
            before = bisect_left(kept, above)
            below = kept[before - 1] if before else above - 1.0
            step = (above - below) / (len(waiting) + 1)
            places |= {new: below + step * place for place, new in enumerate(waiting, 1)}
            waiting = []
        elif sights[index].file.size:
            waiting.append(index)
    last = kept[-1] if kept else 0.0
    return places | {new: last + place for place, new in enumerate(waiting, 1)}
