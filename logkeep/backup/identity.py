"""Which generations a file may go on with: what proves it, and what only proposes it. No I/O.

Within a log, which a name proposes, the kept bytes at the head and before the checkpoint decide. Over the border of a
log they must prove more: enough of them, with a time of their own. See docs/decisions/0016-identity-by-content.md.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from logkeep.domain.manifest import EMPTY, LEAD, Checkpoint, Fingerprint, PendingFile
from logkeep.logformat.names import LogName, parse_name
from logkeep.sources.base import LogFile

_T = TypeVar("_T")


def fingerprint(data: bytes) -> Fingerprint:
    return Fingerprint(len(data), sha256(data).hexdigest()) if data else EMPTY


def lead_of(head: bytes) -> str:
    """By what a file is looked up; '' where it is too short."""
    return sha256(head[:LEAD]).hexdigest() if len(head) >= LEAD else ""


@dataclass(frozen=True, slots=True)
class Fits:
    """Generations whose first bytes a file has."""

    own: list[Checkpoint]  # of the log that its name proposes, or under its very name
    foreign: list[Checkpoint]  # of other logs, where what is kept proves that it is theirs
    alike: list[Checkpoint]  # all that begin with the same 256 bytes or more, and with as much as is known of each


class Logs:
    """Logs of which something is archived."""

    def __init__(self, kept: Collection[str], listed: Collection[str] = ()) -> None:
        """`listed` are the names of all files of the listing."""
        self._kept = kept
        self._listed = listed

    def are_two(self, one: str, other: str) -> bool:
        """Return whether each log has a writer of its own, so that equal lines prove nothing.

        What lies under the log's name in another folder, where no such log is written, may be its rotated files.
        """
        if one == other or one not in self._kept or other not in self._kept:
            return False
        return _base(one) != _base(other) or (one in self._listed and other in self._listed)


class Heads:
    """Generations by the first bytes that are kept of them."""

    def __init__(self, checkpoints: Iterable[Checkpoint], listed: Collection[str] = ()) -> None:
        """`listed` are the names of all files of the listing."""
        self._long: dict[str, list[Checkpoint]] = defaultdict(list)  # by lead
        self._short: dict[str, list[Checkpoint]] = defaultdict(list)  # by family, by name, and all that are present
        self._sorted: dict[tuple[str, bool], dict[Fingerprint, list[Checkpoint]]] = {}
        self._inodes: dict[str, list[Checkpoint]] = defaultdict(list)
        self._families: dict[str, list[Checkpoint]] = defaultdict(list)
        self._logs = Logs(self._families, listed)
        self._to_sort: Iterable[Checkpoint] = checkpoints

    def _sort(self) -> None:
        """Only once a file is looked into: mostly none is."""
        checkpoints, self._to_sort = self._to_sort, ()
        for c in checkpoints:
            if not c.kept:
                continue
            self._families[c.family].append(c)
            if c.lead:
                self._long[c.lead].append(c)
            else:
                for key in {c.family, c.name} | ({"*"} if c.present else set[str]()):
                    self._short[key].append(c)
            if c.inode and c.present:
                self._inodes[c.inode].append(c)

    def fitting(self, file: LogFile, name: LogName, head: bytes) -> Fits:
        """Return the generations whose head the content has; the bytes before their checkpoints are compared later."""
        self._sort()
        if not self._families:
            return Fits([], [], [])
        known = _Hashes(head)
        alike = known.find(self._by_head(lead_of(head)))
        own = [c for c in alike if _is_own(c, name)]
        for key in {name.family, name.plain}:
            own += [c for c in known.find(self._by_head(key, short=True)) if _is_own(c, name) and c not in own]
        foreign = [c for c in alike if not _is_own(c, name) and self._proves(c, file, name, alike)]
        # A file system may give the inode of what was deleted to any new file; the name must tell as well.
        moved = [c for c in self._inodes.get(file.inode, ()) if c not in own and c not in foreign]
        foreign += [c for c in moved if holds_stem(name.plain, c.family) and known.begins_with(c.head)]
        if name.compressed and not foreign and not own:  # which has another inode
            little = [c for c in known.find(self._by_head("*", short=True)) if holds_stem(name.plain, c.family)]
            nearest = _nearest(little, name)
            foreign = [c for c in nearest if self._proves(c, file, name, nearest)]
        return Fits(own, foreign, alike)

    def _by_head(self, key: str, *, short: bool = False) -> Mapping[Fingerprint, list[Checkpoint]]:
        """Sorted only where it is asked, since with most generations no file is compared."""
        found = (self._short if short else self._long).get(key, ())
        if found and (key, short) not in self._sorted:
            by_head = self._sorted[key, short] = defaultdict[Fingerprint, list[Checkpoint]](list)
            for c in found:
                by_head[c.head].append(c)
        return self._sorted.get((key, short), {})

    def of(self, family: str) -> list[Checkpoint]:
        """All of a log."""
        self._sort()
        return self._families.get(family, [])

    def _proves(self, c: Checkpoint, file: LogFile, name: LogName, alike: Sequence[Checkpoint]) -> bool:
        """Return whether the archived bytes hold a time of their own, not one that other generations begin with."""
        moved = bool(file.inode) and file.inode == c.inode
        if c.unproven or (self._logs.are_two(name.family, c.family) and not moved):
            return False
        return bool(c.first_time) and (len(alike) == 1 or c.last_time != c.first_time)


def _nearest(little: Sequence[Checkpoint], name: LogName) -> list[Checkpoint]:
    """Of a quiet log there is little: of several that begin so, those that lie nearest above the file."""
    folders = {c.generation: c.family.rpartition("/")[0] for c in little}
    above = [c for c in little if not folders[c.generation] or name.plain.startswith(f"{folders[c.generation]}/")]
    most = max((len(folders[c.generation]) for c in above), default=0)
    return [c for c in above if len(folders[c.generation]) == most]


def is_named(name: LogName, log: str, logs: Collection[str]) -> bool:
    """Return whether a file belongs to this log, among the logs whose lines it may hold; a name elsewhere decides."""
    return len(logs) == 1 or {one for one in logs if _base(one) == _base(name.family)} == {log}


class _Hashes:
    """Fingerprints of the first bytes, each made once."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._made: dict[int, Fingerprint] = {}

    def begins_with(self, known: Fingerprint) -> bool:
        return known.length <= len(self._head) and self._of(known.length) == known

    def find(self, heads: Mapping[Fingerprint, Iterable[_T]]) -> list[_T]:
        """One hash for each length that occurs, which is the same for almost all."""
        lengths = {known.length for known in heads if known.length <= len(self._head)}
        return [found for length in sorted(lengths) for found in heads.get(self._of(length), ())]

    def _of(self, length: int) -> Fingerprint:
        if length not in self._made:
            self._made[length] = fingerprint(self._head[:length])
        return self._made[length]


def _is_own(c: Checkpoint, name: LogName) -> bool:
    return c.family == name.family or (c.present and c.name == name.plain)


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def holds_stem(name: str, family: str) -> bool:
    """Return whether a name is derived from that of a log: it holds the log's stem as a word."""
    base = _base(family)
    stem = base.rpartition(".")[0] or base
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(stem)}(?![A-Za-z0-9])", _base(name)) is not None


def drop_superseded(found: Collection[Checkpoint]) -> list[Checkpoint]:
    """Without those of which bytes have changed since: what was kept again from there on has taken their place."""
    older = superseded(found)
    return [c for c in found if c.generation not in older]


def superseded(checkpoints: Iterable[Checkpoint]) -> set[int]:
    """Generations of which bytes have changed since they were kept, and which were kept again from there on."""
    families: dict[str, list[Checkpoint]] = defaultdict(list)
    for c in checkpoints:
        families[c.family].append(c)
    again = [c for known in families.values() for c in known if c.start]
    return {older.generation for newer in again for older in families[newer.family] if _supersedes(newer, older)}


def _supersedes(newer: Checkpoint, older: Checkpoint) -> bool:
    """Of one file, so that both begin alike."""
    alike = newer.lead == older.lead or not newer.kept
    return alike and newer.generation > older.generation and newer.start < older.kept


class Names:
    """Logs that file names propose, for one listing."""

    def __init__(
        self, listed: Collection[str], checkpoints: Collection[Checkpoint], before: Names | None = None
    ) -> None:
        """`before` are those of the listing before, of which most names were."""
        self._listed = frozenset(listed)
        self._logs = {c.family for c in checkpoints}
        self._known = self._listed | self._logs
        self._parsed: dict[str, LogName] = {}  # by name; by plain name too
        if before and (before._listed, before._logs) == (self._listed, self._logs):
            self._parsed, listed = before._parsed, ()
        for name in listed:
            found = self._parsed[name] = parse_name(name, self._known, self._logs)
            self._parsed.setdefault(found.plain, found)
        self._moved = self._learn(checkpoints)

    def parse(self, name: str) -> LogName:
        found = self._parsed[name]
        family = self._moved.get(found.family)
        return found._replace(family=family) if family and not found.active else found

    def _learn(self, checkpoints: Collection[Checkpoint]) -> dict[str, str]:
        """Learn logs from earlier matches: a name in another folder may have proposed the wrong log."""
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for c in checkpoints:
            if c.name == c.family or not c.present:
                continue
            proposed = self._parsed.get(c.name) or parse_name(c.name, self._known, self._logs)
            if proposed.family != c.family and not proposed.active and holds_stem(c.name, c.family):
                seen[proposed.family][c.family] += 1
        return {
            family: next(iter(logs))
            for family, logs in seen.items()
            if len(logs) == 1 and family not in self._known
        }  # fmt: skip


def by_head(pending: Iterable[PendingFile]) -> dict[Fingerprint, list[PendingFile]]:
    """Files that were listed and not kept to their end, by the first bytes that are known of them."""
    found: dict[Fingerprint, list[PendingFile]] = defaultdict(list)
    for one in pending:
        if one.head != EMPTY:
            found[one.head].append(one)
    return found


def owed_to(
    head: bytes, name: LogName, heads: Mapping[Fingerprint, list[PendingFile]], *, timed: bool
) -> list[PendingFile]:
    """Return the pending files whose head the content has, of its own log or proven to be theirs."""
    found = _Hashes(head).find(heads)
    return [one for one in found if one.family == name.family or (timed and one.head.length >= LEAD)]
