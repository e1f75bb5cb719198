"""Files that were listed and are not kept to their end, remembered until they are or are gone. No I/O.

Such a file is known again by its content, as a generation is, as it may be renamed or compressed before it is read. The
content of a blocked file is not known: it is known again by its inode, or in a younger generation that was compressed.
An empty active file is remembered too: what stands in it at the next job was written after all that is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from logkeep.backup.gaps import FamilyTimeline
from logkeep.backup.observation import ContentState, FileObservation
from logkeep.domain.manifest import EMPTY, Checkpoint, PendingFile, PendingKind
from logkeep.logformat.names import compressed_names, is_compressed, parse_name


def empty_file(observed: FileObservation) -> PendingFile:
    """Return the note of an active file in which nothing was written yet."""
    file = observed.file
    return PendingFile(
        kind=PendingKind.EMPTY,
        family=observed.name.family,
        position=0.0,
        generation=0,
        name=file.name,
        inode=file.inode,
        size=0,
        mtime_ns=file.mtime_ns,
    )


def planned_read(observed: FileObservation, checkpoint: Checkpoint) -> PendingFile:
    return PendingFile(
        kind=PendingKind.PLANNED if observed.head.length else PendingKind.EMPTY,
        family=checkpoint.family,
        position=checkpoint.position,
        generation=checkpoint.generation,
        name=observed.file.name,
        inode=observed.file.inode,
        size=observed.size,
        mtime_ns=observed.file.mtime_ns,
        head=observed.head,
        tail=observed.tail,
        stored=observed.file.size if observed.name.compressed and observed.tail == EMPTY else 0,
        first_time=observed.first_time,
    )


def blocked_read(one: PendingFile, observed: FileObservation, newest: int) -> PendingFile:
    """Return a planned file that is still being written; its first bytes identify it unless they are a mere banner."""
    head = one.head if observed.lead and observed.first_time else EMPTY
    return replace(one, kind=PendingKind.BLOCKED, generation=newest, size=observed.file.size, head=head)


EARLIER_JOB = -1  # in place of the number of a listing


@dataclass(frozen=True, slots=True)
class Rounds:
    """When in this job what was seen: numbers of its listings."""

    listed: Mapping[PendingFile, int] = field(
        default_factory=dict[PendingFile, int]
    )  # what went -> the listing that had it
    kept: Mapping[int, int] = field(
        default_factory=dict[int, int]
    )  # generation -> the listing after which it was read first
    missed: Mapping[int, int] = field(default_factory=dict[int, int])  # generation -> the last listing that had it not


def still_there(
    pending: Collection[PendingFile],
    observations: Sequence[FileObservation],
    owners: Mapping[int, Checkpoint],
    rounds: Rounds,
) -> frozenset[PendingFile]:
    """Return the pending files that some file of the listing has."""
    held = {one for observed in observations for one in observed.matches_pending}
    matched = {checkpoint.generation: index for index, checkpoint in owners.items() if checkpoint.kept}
    found: set[PendingFile] = set()
    unclear: list[PendingFile] = []
    for one in pending:
        index = matched.get(one.generation) if one.kind in {PendingKind.PLANNED, PendingKind.GROWN} else None
        if index is not None and _holds_all(one, observations[index], owners[index]):
            found.add(one)
        elif index is not None and one.kind is PendingKind.GROWN:
            unclear.append(one)  # the inode may have been that of a younger one already
        elif index is not None:
            continue
        elif one in held or one.kind is PendingKind.GROWN:  # whose generation is gone, which is told of that
            found.add(one)
        elif one.kind is not PendingKind.EMPTY:
            unclear.append(one)
    if unclear:
        found |= _found_by_looks(unclear, observations, owners, rounds)
    return frozenset(found)


def _holds_all(one: PendingFile, observed: FileObservation, owner: Checkpoint) -> bool:
    """Return whether a generation is archived, or can be read, as far as it was listed."""
    if owner.kept >= one.size or observed.state is not ContentState.READABLE:
        return owner.kept >= one.size or observed.state is ContentState.BLOCKED
    return observed.name.compressed or observed.size >= one.size


def _found_by_looks(
    pending: Sequence[PendingFile],
    observations: Sequence[FileObservation],
    owners: Mapping[int, Checkpoint],
    rounds: Rounds,
) -> set[PendingFile]:
    """Return the pending files of unknown content that a listed file may be."""
    files: dict[str, FileObservation] = {
        observed.file.inode: observed for observed in observations if observed.file.inode
    }
    files |= {observed.file.name: observed for observed in observations}
    others: dict[str, list[tuple[FileObservation, Checkpoint]]] = defaultdict(list)
    for index, owner in owners.items():
        others[owner.family].append((observations[index], owner))
    return {
        one
        for one in pending
        if _is_same(one, files) or _is_packed(one, files) or _is_in(one, others[one.family], rounds)
    }


def _is_same(one: PendingFile, files: Mapping[str, FileObservation]) -> bool:
    if one.kind is PendingKind.GROWN:
        return False
    observed = files.get(one.inode) if one.inode in files else files.get(one.name)
    if (
        observed is None
        or (one.inode and observed.file.inode not in {one.inode, ""})
        or (one.kind is PendingKind.PLANNED and observed.state is not ContentState.BLOCKED)
    ):
        return False
    file = observed.file
    # A compressed file that was written anew in place may be smaller.
    grown = (file.size >= one.size and file.mtime_ns >= one.mtime_ns) or is_compressed(one.name)
    # An inode may be that of another file by now; but the active file is renamed after it has grown.
    alike = file.name == one.name or file.mtime_ns == one.mtime_ns or one.name == one.family
    return grown and (alike or _is_shifted(one, observed))


def _is_shifted(one: PendingFile, observed: FileObservation) -> bool:
    """Return whether a file was renamed while it was being compressed, as where 1 is the newest.

    Another file to which its inode was given has the youngest name. Its times tell nothing: gzip, xz, bzip2, zstd and
    logrotate give it those of the plain file once it is whole, which are older than those it was listed with.
    """
    if not (one.inode and is_compressed(one.name) and observed.name.compressed):
        return False
    before, now = parse_name(one.name, {one.family}), observed.name
    same = (before.family, before.order[:2]) == (now.family, now.order[:2])
    return same and now.order[2] < before.order[2] < 0


def _is_packed(one: PendingFile, files: Mapping[str, FileObservation]) -> bool:
    if one.kind is PendingKind.GROWN:
        return False
    packed = [files[name] for name in compressed_names(one.name) if name in files]
    return any(one.kind is not PendingKind.PLANNED or observed.state is ContentState.BLOCKED for observed in packed)


def _is_in(one: PendingFile, others: Iterable[tuple[FileObservation, Checkpoint]], rounds: Rounds) -> bool:
    """Return whether a younger file may hold it, compressed or copied before it was opened."""
    if one.kind is PendingKind.PLANNED or is_compressed(one.name):
        return False
    younger = [pair for pair in others if pair[1].generation > one.generation and pair[1].kept >= one.size]
    then = rounds.listed.get(one)
    if one.kind is PendingKind.BLOCKED or (one.kind is PendingKind.LISTED and then == EARLIER_JOB):
        return any(observed.name.compressed for observed, _ in younger)
    # By generation: the inode of a file may be that of another one by now.
    if then is None or then == EARLIER_JOB:
        return False
    then -= one.kind is PendingKind.GROWN  # whose copy may have lain beside it
    if any(rounds.kept.get(owner.generation, -1) > then for _, owner in younger):
        return True
    # A listing takes a while, in which an active file that it had already may be renamed and compressed.
    packed = (pair for pair in younger if pair[0].name.compressed and pair[0].file.mtime_ns >= one.mtime_ns)
    return any(rounds.kept.get(owner.generation, -1) == then for _, owner in packed)


def is_rotated_away(one: PendingFile) -> bool:
    """Whether no more than its name was known of a rotated file, and that was another one's when it was looked into."""
    return one.kind is PendingKind.LISTED and not one.inode and one.name != one.family


def is_renamed(one: PendingFile, line: FamilyTimeline, rounds: Rounds) -> bool:
    """Whether a rotated file that went before it was looked into is there under another name.

    So it is taken to be where what was written before it is there, as a node deletes the oldest first and truncates but
    the active file, and where some file was not among those that were looked into then. An inode would tell.
    """
    if not is_rotated_away(one):
        return False
    place = line.place(one.position)
    if not place or line.kept[place - 1].generation not in line.present:
        return False
    then = rounds.listed.get(one, EARLIER_JOB)
    return any(
        rounds.missed.get(number, EARLIER_JOB) >= then
        or (number > one.generation and rounds.kept.get(number, EARLIER_JOB) > then)
        for number in line.present
    )
