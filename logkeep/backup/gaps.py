"""Detection of what a node deleted before it was archived. No I/O.

The generations of a family stand in the order of writing. What is missing lies behind one that is kept, so all that is
found missing behind the same one is told as one gap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from logkeep.domain.instant import instant
from logkeep.domain.manifest import Checkpoint, Gap, PendingFile, PendingKind
from logkeep.logformat.names import CountedName, counts_rotations, numbers_between, parse_counted

TRUNCATED = "truncated"
DELETED = "rotated and deleted by the node"
UNREADABLE = "deleted by the node after it could not be read"
UNREACHED = "deleted by the node before its turn to be read"
UNSEEN = "the newest file that was kept is gone, and others may have come and gone between two backups"


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that is missing at one place of a family."""

    position: float  # behind the generation that stands here or before
    at_least: int  # bytes
    reason: str


def is_closed(checkpoint: Checkpoint) -> bool:
    """Return whether the generation was archived to its end after its last write."""
    active = checkpoint.name == checkpoint.family or checkpoint.name.endswith(".current")
    return checkpoint.settled and not active


Files = Collection[tuple[str, str]]  # inode and plain name of each that is listed


def lost_rest(checkpoint: Checkpoint, pending: Iterable[PendingFile], files: Files) -> Loss:
    """Return what may have been written to a deleted generation after its last read."""
    sizes = [one.size for one in pending if one.kind is PendingKind.PLANNED and one.generation == checkpoint.generation]
    reason = TRUNCATED if (checkpoint.inode, checkpoint.name) in files else DELETED
    return Loss(checkpoint.position, max(0, max(sizes, default=0) - checkpoint.kept), reason)


def lost_end(pending: PendingFile, checkpoint: Checkpoint, kept: Iterable[Checkpoint]) -> Loss:
    """Return the lost end of a generation that some file still has; `kept` are those of its log.

    Of one that was not looked into again, an inode and a size say only that it had grown: it may have been emptied and
    written to since, and what was written be kept from a copy.
    """
    most = checkpoint.kept
    if pending.kind is PendingKind.GROWN:
        others = (
            c for c in kept if c.position > checkpoint.position and (c.inode, c.name) != (pending.inode, pending.name)
        )
        most = max([most, *(c.kept for c in others)])
    return Loss(checkpoint.position, max(0, pending.size - most), TRUNCATED)


def lost_file(pending: PendingFile, files: Files, gone: Iterable[Checkpoint], kept: Iterable[Checkpoint]) -> Loss:
    """A file that was listed and is gone before it was read; `gone` are the generations that went too.

    `kept` are those of its log: one may have been read from a copy that was made when the file was shorter.
    """
    if pending.kind is PendingKind.BLOCKED:
        return Loss(pending.position, pending.size, UNREADABLE)
    reason = TRUNCATED if (pending.inode, pending.name) in files else UNREACHED
    if pending.kind is PendingKind.PLANNED:
        copies = [c for c in kept if _begins_alike(pending, c)]
        if longest := max(copies, key=lambda c: c.kept, default=None):
            return Loss(longest.position, max(0, pending.size - longest.kept), reason)
        return Loss(pending.position, pending.size, reason)
    # Before it was looked into. As copytruncate does, it may have been copied first, or be itself a copy: one that was
    # renamed, or of what is kept. Without an inode it may be any file.
    elsewhere = not pending.inode or any(inode == pending.inode for inode, _ in files)
    copied = max((checkpoint.kept for checkpoint in gone if checkpoint.family == pending.family), default=0)
    return Loss(pending.position, 0 if elsewhere else max(0, pending.size - copied), reason)


def _begins_alike(pending: PendingFile, c: Checkpoint) -> bool:
    """Return whether a generation may be of the file; where the heads differ in length, the first time decides."""
    if pending.head.length == c.head.length:
        return pending.head == c.head
    return bool(pending.first_time) and pending.first_time == c.first_time


class Numbers:
    """Counters in the file names of a log."""

    def __init__(self, kept: Iterable[Checkpoint], names: Iterable[str]) -> None:
        self._numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._written: dict[str, set[str]] = defaultdict(set)
        listed = {one for name in names if (one := parse_counted(name))}
        for counted in sorted(listed):
            self._numbers[counted.series, counted.date].append(counted.number)
        self._hours: dict[str, dict[int, bool]] = defaultdict(dict)  # number -> whether a file began in that hour
        for checkpoint in kept:
            if counted := parse_counted(checkpoint.name):
                listed.add(counted)
                if checkpoint.first_time:
                    self._hours[counted.series][counted.number] = counted.number == int(checkpoint.first_time[11:13])
        for counted in listed:
            self._written[counted.series].add(counted.written)

    def unaccounted(self, numbers: range, newer: CountedName) -> int:
        known = self._numbers[newer.series, newer.date]
        return len(numbers) - (bisect_left(known, numbers.stop) - bisect_left(known, numbers.start))

    def is_counter(self, name: CountedName) -> bool:
        """Return whether each number in the series was given to a file; an hour may pass without one."""
        return counts_rotations(self._written[name.series]) and not self._are_hours(name.series)

    def _are_hours(self, series: str) -> bool:
        """Return whether each file began in the hour that its number names, as `%d{yyyy-MM-dd-H}` writes it."""
        found = self._hours[series]
        return len(found) > 1 and all(found.values())


class FamilyTimeline:
    """Generations of a log in the order of writing."""

    def __init__(self, kept: Iterable[Checkpoint], present: Collection[int], names: Iterable[str]) -> None:
        """`present` are the numbers of those that a file has now, `names` those of all files that are accounted for."""
        self.kept = sorted(kept, key=lambda checkpoint: checkpoint.position)
        self.begun = any(checkpoint.kept for checkpoint in self.kept)  # by a backup before
        self.present = present
        self._positions = [checkpoint.position for checkpoint in self.kept]
        self._names = names

    @cached_property
    def numbers(self) -> Numbers:
        """Made only where something is asked of them: mostly nothing is."""
        return Numbers(self.kept, self._names)

    def place(self, position: float) -> int:
        """Return how many generations stand at the position or before it."""
        return bisect_right(self._positions, position)

    def older_than(self, of: Checkpoint) -> Iterator[Checkpoint]:
        """Youngest first."""
        place = bisect_left(self._positions, of.position)
        return (self.kept[index] for index in range(place - 1, -1, -1))


def came_between(line: FamilyTimeline, younger: Checkpoint) -> str | None:
    """Why something may have been written between a generation and its elder, and deleted; None where nothing was.

    A node deletes the oldest first: what came after an elder that is still there is there too. Where names count, they
    tell as well, if they count rotations and not hours. Nothing is said of what went before the first backup.
    """
    elder = next(line.older_than(younger), None)
    if elder is None:
        return None
    newer = parse_counted(younger.name)
    if newer and (found := _counted_before(line.older_than(younger))):
        older, name, others = found
        numbers = numbers_between(older, newer)
        if numbers is not None:
            missing = line.numbers.unaccounted(numbers, newer) - others
            if missing <= 0:
                return None
            if line.numbers.is_counter(newer):
                return _jump(name, younger.name, missing)
    return None if elder.generation in line.present else UNSEEN


def _counted_before(older_than: Iterable[Checkpoint]) -> tuple[CountedName, str, int] | None:
    """Return the newest older generation with a counted name, and how many later ones never had such a name."""
    others = 0
    for elder in older_than:
        if older := parse_counted(elder.name):
            return older, elder.name, others
        others += elder.present
    return None


def _jump(elder: str, younger: str, missing: int) -> str:
    files = "1 file" if missing == 1 else f"{missing} files"
    return f"the names jump from {elder} to {younger}: {files} came and went between two backups"


def tell_gap(node: str, family: str, line: FamilyTimeline, place: int, losses: Sequence[Loss]) -> Gap:
    """All that is missing behind the first `place` generations."""
    after = next((elder.last_time for elder in reversed(line.kept[:place]) if elder.last_time), "")
    times = (younger.first_time for younger in line.kept[place:] if younger.first_time)
    until = next((time for time in times if not after or instant(time) > instant(after)), "")
    reason = min((loss.reason for loss in losses), key=_rank)
    return Gap(
        node=node,
        family=family,
        after=after,
        until=until,
        at_least=sum(loss.at_least for loss in losses),
        reason=reason,
    )


def _rank(reason: str) -> int:
    """Return a sort key: a jump in the counters tells most and comes first."""
    ranked = (UNREADABLE, UNREACHED, TRUNCATED, DELETED, UNSEEN)
    return ranked.index(reason) if reason in ranked else -1
