"""Copies: which files hold what another one holds, and are not kept twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from logkeep.backup.comparison import ends_with
from logkeep.backup.content import HEAD, Content
from logkeep.backup.flawed import STILL_MS
from logkeep.backup.identity import Logs, fingerprint
from logkeep.backup.node_state import NodeState
from logkeep.backup.observation import ContentState, FileObservation
from logkeep.domain.manifest import Checkpoint, PendingFile, PendingKind
from logkeep.errors import SourceFileError, SourceVanished
from logkeep.logformat.lines import first_time
from logkeep.logformat.names import LogName
from logkeep.sources.base import LogFile


class Copies:
    """Files of a node that hold nothing but what is archived of other files."""

    def __init__(self, state: NodeState) -> None:
        self._state = state
        self.notes: list[PendingFile] = []  # what a later job should know of them

    def among(self, listing: Sequence[LogFile]) -> dict[str, PendingFile]:
        """By name those that look as when they were found to hold nothing but what is kept of others."""
        known = {(one.name, one.inode, one.stored, one.mtime_ns): one for one in self.notes}
        found = (
            (file.name, known.get((file.name, file.inode, file.size, file.mtime_ns)))
            for file in (listing if known else ())
            if self._state.is_settled(file)
        )
        return {name: one for name, one in found if one and self._is_kept_to(one)}

    def outlived(self, copy: PendingFile) -> bool:
        """Return whether the original grew after the copy was made, so that the copy lacks its last lines.

        Of a copy and truncation that a job fell between, the truncation follows at once. A link has all of its file.
        """
        original = self._state.known.get(copy.generation)
        linked = original is not None and bool(copy.inode) and copy.inode == original.inode
        return not linked and bool(copy.since_ms) and self._state.clock.now_ms() - copy.since_ms > STILL_MS

    def find_known(self, content: Content, name: LogName, head: bytes) -> int:
        """Return the generation of which the file is a known copy, renamed or compressed since; 0 for none."""
        known = [one for one in self.notes if one.head == fingerprint(head[: one.head.length])] if head else []
        if not known:
            return 0
        timed = bool(first_time(head))
        fits = (one for one in known if (one.family == name.family or timed) and self._is_kept_to(one))
        return next((one.generation for one in fits if ends_with(content, one)), 0)

    def leave_out(self, observations: Sequence[FileObservation]) -> list[FileObservation]:
        """Of several names of one content the one that is known stays, or else the plainest."""
        if all(observed.state is not ContentState.READABLE or not observed.file.size for observed in observations):
            return list(observations)
        alike: dict[tuple[str, str], list[FileObservation]] = defaultdict(list)
        for observed in observations:
            for key in _alike(observed, self._state.known):
                alike[key].append(observed)
        several = {one.file.name: one for found in alike.values() if len(found) > 1 for one in found}
        ranks = {name: _rank(observed, self._state.known) for name, observed in several.items()}
        kept = {c.family for c in self._state.known.values() if c.kept} if several else set[str]()
        logs = Logs(kept, {observed.file.name for observed in observations})
        left: list[FileObservation] = []
        for observed in observations:
            if observed.copy:
                self.remember(observed, self._state.known[observed.copy])
                continue
            if observed.file.name not in several:
                left.append(observed)
                continue
            # What is first seen together is in doubt, but for links; what was planned to be read was no copy then.
            planned = any(one.kind is not PendingKind.BLOCKED for one in observed.matches_pending)
            keys = _alike(observed, self._state.known) if observed.readable and not planned else []
            others = {one.file.name: one for key in keys for one in alike[key]}
            known = ranks[observed.file.name][0] == 0 and not _has_it(observed, others.values())
            if observed.state is ContentState.UNCHANGED or known or len(others) < 2:
                left.append(observed)
                continue
            found = self._find_original(observed, list(others.values()), ranks, logs)
            if isinstance(found, FileObservation):
                self.remember_copy(observed, found)
            else:
                left.append(
                    FileObservation(observed.file, observed.name, state=ContentState.VANISHED)
                    if found is None
                    else observed
                )
        return left

    def _find_original(
        self,
        observed: FileObservation,
        others: Iterable[FileObservation],
        ranks: Mapping[str, tuple[object, ...]],
        logs: Logs,
    ) -> FileObservation | bool | None:
        """Return the file of which this one is a copy; None where it went just now, False where there is none."""
        for other in sorted(others, key=lambda one: ranks[one.file.name]):
            if other.file.name == observed.file.name or not _may_hold(other, observed, ranks):
                continue
            if logs.are_two(observed.name.family, other.name.family) and not _are_linked(observed, other):
                continue
            copy = self.is_copy(observed.file, observed.name, other.file, other.name)
            if copy is None:
                return None
            if copy:
                return other
        return False

    def is_copy(
        self, file: LogFile, name: LogName, original: LogFile, original_name: LogName | None = None
    ) -> bool | None:
        """Return whether the file holds the original, or its beginning so far; None where the original went."""
        try:
            copied = self._state.open(file, name)
        except SourceFileError:
            return False  # gone, unreadable or damaged: looking into the file tells which
        try:
            packed = original_name is not None and original_name.compressed
            with closing(copied), closing(self._state.open_named(original.name, compressed=packed)) as whole:
                if whole.file.size < original.size and not packed:
                    return None  # it was emptied since it was listed
                return copied.begins(whole)
        except SourceVanished:
            return None
        except SourceFileError:
            return False

    def remember_copy(self, observed: FileObservation, original: FileObservation) -> None:
        """Of a file that goes on with what is kept; under its name alone, another one may have begun."""
        held = (self._state.known.get(number) for number in original.continues)
        self.remember(observed, next((c for c in held if c and c.present and c.name == original.name.plain), None))

    def remember(self, observed: FileObservation, kept: Checkpoint | None) -> None:
        """Once all that it holds is kept: so it is known when the original begins anew."""
        file = observed.file
        before = next((one for one in self.notes if (one.name, one.inode, one.stored) == (*file[:2], file.size)), None)
        self.notes = [one for one in self.notes if one.name != file.name]
        if kept and (kept.settled if observed.name.compressed else kept.kept >= observed.size):
            since_ms = before.since_ms if before else self._state.clock.now_ms()
            self.notes.append(
                PendingFile(
                    kind=PendingKind.COPY,
                    family=kept.family,
                    position=kept.position,
                    generation=kept.generation,
                    name=file.name,
                    inode=file.inode,
                    size=observed.size,
                    mtime_ns=file.mtime_ns,
                    head=observed.head,
                    tail=observed.tail,
                    since_ms=since_ms,
                    stored=file.size,
                )
            )

    def remember_packed(self, file: LogFile, plain: LogFile) -> None:
        """Of a copy that was compressed: it is one of the same log once the plain one is deleted."""
        note = next((one for one in self.notes if one.name == plain.name), None)
        if note:
            self.notes = [one for one in self.notes if one.name != file.name]
            self.notes.append(replace(note, name=file.name, inode=file.inode, mtime_ns=file.mtime_ns, stored=file.size))

    def _is_kept_to(self, copy: PendingFile) -> bool:
        original = self._state.known.get(copy.generation)
        return original is not None and original.kept >= copy.size


def _alike(observed: FileObservation, known: Mapping[int, Checkpoint]) -> list[tuple[str, str]]:
    """Return keys that files share which may have the same content."""
    keys = [("inode", observed.file.inode)] if observed.file.inode and observed.file.size else []
    keys.append(("plain", observed.name.plain))
    lead = observed.lead if observed.first_time and observed.first_time != observed.last_time else ""
    if observed.state is ContentState.UNCHANGED:
        unchanged = [known[number] for number in observed.continues if number in known]
        lead = next((c.lead for c in unchanged if c.first_time != c.last_time), "")
    return [*keys, ("lead", lead)] if lead else keys


def _rank(observed: FileObservation, known: Mapping[int, Checkpoint]) -> tuple[object, ...]:
    """Return a sort key: the lowest stays. Known by name, unchanged, plain, active, highest in the tree come first."""
    name = observed.name
    here = any(c.present and c.name == name.plain for c in (known[n] for n in observed.continues if n in known))
    changed = observed.state is not ContentState.UNCHANGED
    return not here, changed, name.compressed, not name.active, name.plain.count("/"), name.plain


def _has_it(observed: FileObservation, others: Iterable[FileObservation]) -> bool:
    """Return whether a file that has not changed has the same generation, as where a known `.gz` was unpacked."""
    return any(
        other.state is ContentState.UNCHANGED and other.continues & observed.continues
        for other in others
        if other.file.name != observed.file.name
    )


def _are_linked(one: FileObservation, other: FileObservation) -> bool:
    return bool(one.file.inode) and one.file.inode == other.file.inode


def _may_hold(other: FileObservation, observed: FileObservation, ranks: Mapping[str, tuple[object, ...]]) -> bool:
    """Return whether the other file may hold all of this one and is the one to stay."""
    if other.state not in {ContentState.UNCHANGED, ContentState.READABLE} or not other.file.size:
        return False
    plain = not other.name.compressed and not observed.name.compressed
    if plain and other.file.size < observed.file.size:
        return False
    known = bool(other.continues | other.foreign)
    linked = _are_linked(observed, other)
    if not known and not linked:
        return False
    own = observed.continues | observed.foreign
    if own and not linked and own.isdisjoint(other.continues | other.foreign):
        return False  # two logs may hold the same lines: what is kept of each goes on in its own file
    full = other.head.length == observed.head.length == HEAD
    if full and other.head != observed.head:
        return False
    longer = plain and other.file.size > observed.file.size
    return longer or ranks[other.file.name] < ranks[observed.file.name]
