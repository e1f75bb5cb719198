"""Checkpoints and what was seen in the listing -> what to read, and what went missing. No I/O.

Which file is which generation is decided by content: `FileObservation.continues` names the generations whose kept bytes
a file begins with, `foreign` those of other logs. Inode and name only choose where the content leaves a choice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from logkeep.backup.gaps import (
    UNSEEN,
    FamilyTimeline,
    Loss,
    came_between,
    is_closed,
    lost_end,
    lost_file,
    lost_rest,
    tell_gap,
)
from logkeep.backup.identity import holds_stem, superseded
from logkeep.backup.matching import match
from logkeep.backup.observation import ContentState, FileObservation
from logkeep.backup.order import Family, place_new
from logkeep.backup.pending import (
    Rounds,
    empty_file,
    is_renamed,
    is_rotated_away,
    planned_read,
    still_there,
)
from logkeep.backup.vanished import VanishedFiles
from logkeep.domain.manifest import EMPTY, Checkpoint, Gap, PendingFile, PendingKind


@dataclass(frozen=True, slots=True)
class Read:
    """Read one file from the checkpoint of its generation to its end."""

    observed: FileObservation
    checkpoint: Checkpoint  # `kept` is where to start; 0 for a generation that is new
    pending: PendingFile  # what is missing until it was read
    # The files that have the generations which this one begins like, where it is taken for a new one all the same.
    # They must still have them when it is read, else it is their generation, met between two steps of a rotation.
    rivals: tuple[tuple[FileObservation, Checkpoint], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    reads: tuple[Read, ...]
    seen: tuple[Checkpoint, ...]  # generations whose name or presence changed, and logs seen empty for the first time
    pending: tuple[PendingFile, ...]  # what is still to be kept, of this listing and of those before
    # What holds once two listings agree and nothing is left to read:
    gone: tuple[Checkpoint, ...]  # generations that no file continues any more
    joined: tuple[Checkpoint, ...]  # those of which it is decided now whether something is missing before them
    gaps: tuple[Gap, ...]  # what may have gone
    empty: tuple[PendingFile, ...]  # active files in which nothing was written yet
    unproven: frozenset[str] = frozenset()  # names of new files of which nothing proves where in their log they belong
    wants: frozenset[str] = frozenset()  # logs of which retired generations have to be known, too, for all this to hold


@dataclass(frozen=True, slots=True)
class _Listing:
    """Observed files, and the generation of each."""

    observations: Sequence[FileObservation]
    owners: dict[int, Checkpoint]  # index of the observation -> its generation as it is now
    known: Mapping[int, Checkpoint]  # the same as it was known
    fresh: dict[int, Checkpoint]  # new generations
    gone: Sequence[Checkpoint]  # what no file has
    missing: Sequence[PendingFile]  # of what earlier listings left, what no file has


def make_plan(
    node: str,
    checkpoints: Sequence[Checkpoint],
    observations: Sequence[FileObservation],
    read: Collection[int] = (),
    pending: Sequence[PendingFile] = (),
    rounds: Rounds = Rounds(),  # noqa: B008  it holds nothing
    earlier: Collection[int] = (),
) -> Plan:
    """Decide what to read; generations in `read` were read by this job already and wait for the next.

    `unread` is what earlier listings left, `rounds` when in this job what was seen, `earlier` the generations of logs
    that an earlier job knew wholly.
    """
    known = match(checkpoints, observations)
    observations = _in_their_logs(observations, known, checkpoints)
    owners = {index: _as_seen(checkpoint, observations[index]) for index, checkpoint in known.items()}
    matched = {checkpoint.generation for checkpoint in owners.values()}
    gone = [c for c in checkpoints if c.present and c.generation not in matched and c.kept]
    replaced = superseded(checkpoints) | {observed.changed.generation for observed in observations if observed.changed}
    found = still_there(pending, observations, owners, rounds)
    numbers = {checkpoint.generation for checkpoint in checkpoints if checkpoint.kept}
    missing = [_planned_no_more(one, numbers) for one in pending if one not in found]
    fresh, unproven, old = _number_new(checkpoints, observations, owners, pending, earlier)
    newest = max((checkpoint.generation for checkpoint in checkpoints), default=0)
    lost = [c for c in gone if c.generation not in replaced]
    listing = _Listing(observations=observations, owners=owners, known=known, fresh=fresh, gone=lost, missing=missing)
    current = {c.generation: c for c in (*checkpoints, *owners.values())}
    went = {c.generation for c in gone}
    lines = _lines(listing, current.values())
    reads = _reads(listing, lines, read)
    return Plan(
        reads=tuple(reads),
        seen=tuple(_seen(listing)),
        pending=(*missing, *(one.pending for one in reads), *_unread(listing, newest)),
        gone=tuple(replace(checkpoint, present=False, joined=True) for checkpoint in gone),
        joined=tuple(
            replace(c, joined=True) for number, c in current.items() if c.kept and not c.joined and number not in went
        ),
        gaps=tuple(_gaps(node, listing, lines, rounds)),
        empty=tuple(
            empty_file(observed) for observed in observations if observed.name.active and not observed.file.size
        ),
        unproven=unproven,
        wants=old
        | _found_again(observations, known, checkpoints)
        | {one.family for one in missing if is_rotated_away(one)},
    )


def _found_again(
    observations: Sequence[FileObservation], known: Mapping[int, Checkpoint], checkpoints: Iterable[Checkpoint]
) -> frozenset[str]:
    """Return the logs of retired generations that some file has: their neighbours are needed again."""
    changed = {observed.changed.generation for observed in observations if observed.changed}
    there = [*known.values(), *(c for c in checkpoints if c.generation in changed)]
    return frozenset(c.family for c in there if not c.present)


def _in_their_logs(
    observations: Sequence[FileObservation], known: Mapping[int, Checkpoint], checkpoints: Sequence[Checkpoint]
) -> list[FileObservation]:
    """A generation keeps the log in which it began, whatever its name proposes now.

    What lies beside it under such a name, in a folder for rotated files, say, is taken for the same log's.
    """
    moved: dict[str, set[str]] = defaultdict(set)
    for index, owner in known.items():
        name = observations[index].name
        if owner.family != name.family and not name.active and holds_stem(name.plain, owner.family):
            moved[name.family].add(owner.family)
    logs = (
        {observed.file.name for observed in observations} | {checkpoint.family for checkpoint in checkpoints}
        if moved
        else set()
    )
    numbers = {observed.changed.generation for observed in observations if observed.changed}
    changed = {
        checkpoint.generation: checkpoint.family for checkpoint in checkpoints if checkpoint.generation in numbers
    }
    found: list[FileObservation] = []
    for index, observed in enumerate(observations):
        name, family = observed.name, observed.name.family
        if index in known:
            family = known[index].family
        elif observed.changed:
            family = changed[observed.changed.generation]
        elif not name.active and len(moved.get(family, ())) == 1 and family not in logs:
            family = next(iter(moved[family]))
        name = name if family == name.family else name._replace(family=family, active=name.plain == family)
        found.append(observed if name is observed.name else replace(observed, name=name))
    return found


def _as_seen(checkpoint: Checkpoint, observed: FileObservation) -> Checkpoint:
    file = observed.file
    same = (file.inode, file.size, file.mtime_ns) == (checkpoint.inode, checkpoint.size, checkpoint.mtime_ns)
    size = checkpoint.size if same or observed.state is not ContentState.READABLE else -1
    if checkpoint.present and (checkpoint.name, checkpoint.size) == (observed.name.plain, size):
        return checkpoint  # almost all of 10,000 files: making another takes longer than all the rest of a look
    return replace(checkpoint, name=observed.name.plain, present=True, size=size)


def _planned_no_more(one: PendingFile, numbers: Collection[int]) -> PendingFile:
    """Without the number of a generation that was only planned: another file may get it."""
    planned = one.kind is PendingKind.PLANNED
    return replace(one, generation=0) if planned and one.generation not in numbers else one


def _seen(listing: _Listing) -> Iterable[Checkpoint]:
    yield from (one for index, one in listing.owners.items() if one != listing.known[index])
    yield from (one for index, one in listing.fresh.items() if not listing.observations[index].file.size)


def _reads(listing: _Listing, lines: Mapping[str, FamilyTimeline], read: Collection[int]) -> list[Read]:
    holders = {checkpoint.generation: (listing.observations[i], checkpoint) for i, checkpoint in listing.owners.items()}
    reads: list[Read] = []
    for index, observed in enumerate(listing.observations):
        checkpoint = listing.owners.get(index) or listing.fresh.get(index)
        if (
            not checkpoint
            or not observed.file.size
            or observed.state is not ContentState.READABLE
            or checkpoint.generation in read
        ):
            continue
        rivals: tuple[tuple[FileObservation, Checkpoint], ...] = ()
        if index in listing.fresh:
            checkpoint = replace(checkpoint, joined=_is_joined(listing, lines[checkpoint.family], index))
            rivals = tuple(
                holders[number] for number in sorted(observed.continues | observed.foreign) if number in holders
            )
        reads.append(Read(observed, checkpoint, planned_read(observed, checkpoint), rivals))
    return sorted(reads, key=lambda one: (one.checkpoint.family, one.checkpoint.position))


def _unread(listing: _Listing, newest: int) -> Iterable[PendingFile]:
    """Return notes of the files that could not be looked into; `newest` is the last number of a generation."""
    before = [*listing.gone, *listing.known.values()]
    now = [*before, *listing.owners.values()]
    vanished = VanishedFiles(
        before=before,
        now=now,
        listed={observed.file.name for observed in listing.observations if observed.file.size},
        missing=listing.missing,
        newest=newest,
    )
    for index, observed in enumerate(listing.observations):
        if not observed.file.size or observed.state <= ContentState.READABLE:
            continue
        if one := vanished.note(observed, listing.owners.get(index) or listing.fresh[index]):
            yield one


def _lines(listing: _Listing, current: Iterable[Checkpoint]) -> dict[str, FamilyTimeline]:
    """Return the timeline of each log: generations with content, those to be read included."""
    observations = listing.observations
    kept: dict[str, list[Checkpoint]] = defaultdict(list)
    present: set[int] = set()
    for checkpoint in current:
        if checkpoint.kept and not checkpoint.unproven:  # a damaged file is as if it were not there
            kept[checkpoint.family].append(checkpoint)
    for index, checkpoint in (listing.owners | listing.fresh).items():
        if observations[index].readable:
            present.add(checkpoint.generation)
            if (
                index in listing.fresh and observations[index].head != EMPTY
            ):  # a compressed file may hold nothing at all
                kept[checkpoint.family].append(checkpoint)
    names: dict[str, list[str]] = defaultdict(list)
    for observed in observations:
        names[observed.name.family].append(observed.file.name)
    for one in listing.missing:
        names[one.family].append(one.name)
    return {family: FamilyTimeline(kept[family], present, names[family]) for family in kept.keys() | names.keys()}


def _is_joined(listing: _Listing, line: FamilyTimeline, index: int) -> bool:
    """Return whether nothing can have been missed between a new generation and the one before it."""
    checkpoint, observed = listing.fresh[index], listing.observations[index]
    if observed.changed or not line.begun or came_between(line, checkpoint) is None:
        return True  # nothing is said of what went before the first backup
    alone = sum(one.family == checkpoint.family for one in listing.fresh.values()) == 1
    return alone and any(_is_same_inode(one.inode, observed.file.inode) for one in _empty_before(listing, observed))


def _gaps(node: str, listing: _Listing, lines: Mapping[str, FamilyTimeline], rounds: Rounds) -> Iterable[Gap]:
    """All that is missing behind the same generation is one gap."""
    for family, losses in _losses(listing, lines, rounds).items():
        line = lines[family]
        places: dict[int, list[Loss]] = defaultdict(list)
        for loss in losses:
            places[line.place(loss.position)].append(loss)
        yield from (tell_gap(node, family, line, *place) for place in sorted(places.items()))


def _losses(listing: _Listing, lines: Mapping[str, FamilyTimeline], rounds: Rounds) -> Mapping[str, Sequence[Loss]]:
    files = {(observed.file.inode, observed.name.plain) for observed in listing.observations if observed.file.inode}
    found: dict[str, list[Loss]] = defaultdict(list)
    for checkpoint in listing.gone:
        if not is_closed(checkpoint) and not checkpoint.unproven:
            found[checkpoint.family].append(lost_rest(checkpoint, listing.missing, files))
    known = {checkpoint.generation for line in lines.values() for checkpoint in line.kept}
    found_again = {checkpoint.generation: checkpoint for checkpoint in listing.owners.values() if checkpoint.kept}
    cut: dict[int, Loss] = {}  # what was listed of it went, as between a copy and its truncation
    for one in listing.missing:
        if is_renamed(one, lines[one.family], rounds):
            continue
        kept = lines[one.family].kept
        if one.kind in {PendingKind.PLANNED, PendingKind.GROWN} and one.generation in found_again:
            loss = lost_end(one, found_again[one.generation], kept)
            cut[one.generation] = max(loss, cut.get(one.generation, loss), key=lambda loss: loss.at_least)
        elif one.kind is not PendingKind.EMPTY and (one.kind is not PendingKind.PLANNED or one.generation not in known):
            found[one.family].append(lost_file(one, files, listing.gone, kept))
    for number, loss in cut.items():
        found[found_again[number].family].append(loss)
    for family, line in lines.items():
        for elder, younger in pairwise(line.kept):
            if not younger.joined and (reason := came_between(line, younger)):
                found[family].append(Loss(elder.position, 0, reason))
        if line.kept and line.kept[-1].generation not in line.present and _is_begun_anew(family, listing):
            found[family].append(Loss(line.kept[-1].position, 0, UNSEEN))
    return found


def _is_begun_anew(family: str, listing: _Listing) -> bool:
    """Return whether the active file is empty and not the one that was empty at the job before."""
    empty = (s for s in listing.observations if s.name.family == family and s.name.active and not s.file.size)
    return any(
        observed.file.inode
        and not any(
            _is_same_inode(one.inode, observed.file.inode) or (one.stored and one.mtime_ns == observed.file.mtime_ns)
            for one in _empty_before(listing, observed)
        )
        for observed in empty
    )


def _empty_before(listing: _Listing, observed: FileObservation) -> list[PendingFile]:
    """Files in which nothing was written yet when an earlier job saw them."""
    return [one for one in listing.missing if one.kind is PendingKind.EMPTY and one.family == observed.name.family]


def _is_same_inode(one: str, other: str) -> bool:
    """By its number alone: the device has another one when it was mounted again."""
    return bool(one and other) and one.rpartition(":")[2] == other.rpartition(":")[2]


_Member = TypeVar("_Member", Checkpoint, PendingFile)


def _by_family(members: Iterable[_Member]) -> defaultdict[str, list[_Member]]:
    found: defaultdict[str, list[_Member]] = defaultdict(list)
    for one in members:
        found[one.family].append(one)
    return found


def _number_new(
    checkpoints: Sequence[Checkpoint],
    observations: Sequence[FileObservation],
    owners: Mapping[int, Checkpoint],
    pending: Sequence[PendingFile],
    earlier: Collection[int],
) -> tuple[dict[int, Checkpoint], frozenset[str], frozenset[str]]:
    """Checkpoints for files that continue nothing, numbered and placed; names of those whose place is a guess; and the
    logs in which some are old.
    """
    reserved = _by_family(one for one in pending if one.kind is not PendingKind.EMPTY)
    families = _by_family(checkpoints)
    fixed = (
        {index: owner.position for index, owner in owners.items()}
        | _as_planned(observations, owners)
        | _as_blocked(observations, owners, pending)
    )
    fixed |= _behind_changed(observations, owners, families)
    members: dict[str, list[int]] = defaultdict(list)
    for index, observed in enumerate(observations):
        members[observed.name.family].append(index)
    matched = {checkpoint.generation for checkpoint in owners.values()}
    following = max((checkpoint.generation for checkpoint in checkpoints), default=0) + 1
    fresh: dict[int, Checkpoint] = {}
    unproven: set[str] = set()
    old: set[str] = set()
    for family in sorted(members):
        if all(index in owners for index in members[family]):
            continue
        known = families[family]
        kept = Family([c for c in known if c.kept], earlier, reserved[family])
        placed = place_new(members[family], observations, owners, fixed, kept)
        unproven |= {observations[index].file.name for index in placed.unproven}
        old |= {family} if placed.old else set()
        places = {index: position for index, position in placed.positions.items() if index not in owners}
        if not places and not known:  # a log that is still empty: remember that it exists
            places = {members[family][0]: 1.0}
        empty = [checkpoint for checkpoint in known if not checkpoint.kept and checkpoint.generation not in matched]
        for index, position in places.items():
            name, changed = observations[index].name.plain, observations[index].changed
            start = changed.start if changed else 0
            if empty and not start:  # the first content of a log that was seen empty
                fresh[index] = replace(empty.pop(), position=position, name=name, present=True, joined=False)
                continue
            fresh[index] = Checkpoint(
                generation=following,
                family=family,
                position=position,
                name=name,
                kept=start,
                head=EMPTY,
                tail=EMPTY,
                joined=False,
                start=start,
            )
            following += 1
    return fresh, frozenset(unproven), frozenset(old)


def _behind_changed(
    observations: Sequence[FileObservation],
    owners: Mapping[int, Checkpoint],
    families: Mapping[str, Sequence[Checkpoint]],
) -> dict[int, float]:
    """Files that are kept again from some byte on stand right behind what is kept of them."""
    places: dict[int, float] = {}
    for index, observed in enumerate(observations):
        if observed.changed and index not in owners:
            taken = sorted(c.position for c in families[observed.name.family])
            before = next(
                c for c in families[observed.name.family] if c.generation == observed.changed.generation
            ).position
            after = bisect_right(taken, before)
            places[index] = (before + taken[after]) / 2 if after < len(taken) else before + 1.0
    return places


def _as_planned(observations: Sequence[FileObservation], owners: Mapping[int, Checkpoint]) -> dict[int, float]:
    """Return the positions that an earlier listing gave to files that are still new."""
    places: dict[PendingFile, int] = {}
    held = {owner.generation for owner in owners.values()}  # whose places are theirs, whatever looks like them
    for index, observed in enumerate(observations):
        for one in observed.matches_pending if index not in owners else ():
            guessed = (
                one.kind is PendingKind.BLOCKED and observed.first_time
            )  # by its name, and now its times are known
            theirs = one.kind is PendingKind.PLANNED and one.generation in held
            if one.family == observed.name.family and not guessed and not theirs:
                places.setdefault(one, index)
    return {index: one.position for one, index in places.items()}


def _as_blocked(
    observations: Sequence[FileObservation], owners: Mapping[int, Checkpoint], pending: Iterable[PendingFile]
) -> dict[int, float]:
    """Return the earlier positions of files that still cannot be read, so that no listing moves them on."""
    noted = {(one.family, one.inode or one.name): one.position for one in pending if one.kind is PendingKind.BLOCKED}
    keys = {
        index: (observed.name.family, observed.file.inode or observed.file.name)
        for index, observed in enumerate(observations)
        if noted and observed.state is ContentState.BLOCKED and index not in owners
    }
    return {index: noted[key] for index, key in keys.items() if key in noted}
