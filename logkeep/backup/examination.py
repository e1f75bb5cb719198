"""Examination of listed files: which generations each one continues, by its content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from logkeep.archive.restore import read_range
from logkeep.backup.changed import ChangedBytes
from logkeep.backup.comparison import continued, known_by, last_bytes, matches_pending
from logkeep.backup.compressed import Ending
from logkeep.backup.content import HEAD, Content
from logkeep.backup.copies import Copies
from logkeep.backup.flawed import without
from logkeep.backup.hints import Hint, hint_of, hints_of
from logkeep.backup.identity import Names, by_head, fingerprint, lead_of, owed_to
from logkeep.backup.node_state import NodeState
from logkeep.backup.observation import ContentState, FileObservation, file_key
from logkeep.domain.instant import instant
from logkeep.domain.manifest import EMPTY, Checkpoint, Fingerprint, Flaw, PendingFile, PendingKind
from logkeep.errors import SourceFileError, SourceVanished, StoreError
from logkeep.logformat.lines import first_time, last_time
from logkeep.logformat.names import LogName, parse_name
from logkeep.sources.base import LogFile

_MOST_COMPARED = 16  # generations of which some bytes are read back, for a file that was cut
_OVERLAP_SECONDS = 1  # lines of several threads may stand in another order by less


class Examination:
    """Looks into the files of a listing that do not look as they were kept."""

    def __init__(self, state: NodeState, copies: Copies, changed: ChangedBytes) -> None:
        self._state = state
        self._copies = copies
        self._changed = changed
        self._names: Names | None = None  # of the listing before
        self._owed: dict[Fingerprint, list[PendingFile]] = {}  # by head
        self._plain: dict[str, LogFile] = {}  # those that are listed, by name
        self._beginnings: dict[str, bytes | None] = {}  # of those that others may be copies of, by name
        self._beside: list[tuple[FileObservation, str]] = []  # copies of an active file, and its name
        self.emptied = False  # a compressed file of no bytes may get some

    def examine(self, listing: Sequence[LogFile], checkpoints: Sequence[Checkpoint]) -> list[FileObservation]:
        """Say of each file of a listing what it is; of several names of one content one is left."""
        self._names = names = Names([file.name for file in listing], checkpoints, self._names)
        named = [(file, names.parse(file.name)) for file in listing]
        hints = hints_of(checkpoints)
        self._state.look_by(checkpoints, {file.name for file in listing})
        self._owed = by_head(self._state.pending)
        self._beginnings, self._beside = {}, []
        aside = self._copies.among(listing)
        # Of a known copy, too, a compressed one may be made beside it.
        self._plain = {name.plain: file for file, name in named if not name.compressed}
        observations = self._look_at(
            [(file, name) for file, name in named if file.name not in aside], hints, checkpoints
        )
        held = {number for observed in observations for number in observed.continues | observed.foreign}
        alone = [
            (file, name)
            for file, name in named
            if (copy := aside.get(file.name)) and copy.generation not in held and not self._copies.outlived(copy)
        ]
        again = self._look_at(alone, hints, checkpoints)
        observations += [
            observed
            for observed in again
            if observed.continues | observed.foreign or observed.state is ContentState.VANISHED
        ]
        originals = {observed.file.name: observed for observed in observations}
        for observed, name in self._beside:
            if name in originals:
                self._copies.remember_copy(observed, originals[name])
        observations = self._copies.leave_out(observations)
        shown = {observed.file.name for observed in observations}
        self._state.pending = without(self._state.pending, [file for file in listing if file.name not in shown])
        return _split(self._trust_inodes(observations), self._state.known)

    def _look_at(
        self,
        named: Sequence[tuple[LogFile, LogName]],
        hints: Mapping[Hint, Checkpoint],
        checkpoints: Sequence[Checkpoint],
    ) -> list[FileObservation]:
        observations: list[FileObservation] = []
        named = [one for one in named if self._state.flawed.kind(one[0]) is not PendingKind.PASSED or not one[0].size]
        found = [hints.get(hint_of(file, name)) for file, name in named]
        self._state.source.expect([file for (file, _), hint in zip(named, found, strict=True) if not hint])
        for (file, name), hint in zip(named, found, strict=True):
            if hint:
                observations.append(FileObservation(file, name, frozenset([hint.generation]), ContentState.UNCHANGED))
            elif not file.size:
                self._look_at_nothing(file, name)
                observations.append(FileObservation(file, name))
            elif file_key(file) in self._state.unreadable or self._is_refused(file):
                observations.append(_blocked(file, name, checkpoints))
            elif observed := self._look_into(file, name, checkpoints, self._find_original(file, name)):
                observations.append(observed)
        return observations

    def _find_original(self, file: LogFile, name: LogName) -> LogFile | None:
        """Return the file of which this one may be a copy that is being made.

        Of a `.gz` the plain file beside it, of a rotated one the active file.
        """
        original = None if name.active else self._plain.get(name.plain if name.compressed else name.family)
        return original if original and original.name != file.name else None

    def _look_into(
        self, file: LogFile, name: LogName, checkpoints: Sequence[Checkpoint], original: LogFile | None = None
    ) -> FileObservation | None:
        """None for a file of which nothing is to be kept."""
        try:
            with closing(self._state.open(file, name)) as content:
                if original and (name.compressed or self._begins_alike(content, original)):
                    copy = self._copies.is_copy(file, name, original)
                    if copy is None:  # a step of a rotation came between, so that only the next listing can tell
                        return FileObservation(file, name, state=ContentState.VANISHED)
                    if copy:
                        self._leave_out_copy(file, name, original)
                        return None
                return self._see(content, self._opened(content, file, name), name, checkpoints)
        except SourceVanished:
            return FileObservation(file, name, state=ContentState.VANISHED)
        except SourceFileError as error:
            self._state.fail(file, error)
            return _blocked(file, name, checkpoints)

    def _begins_alike(self, content: Content, original: LogFile) -> bool:
        """Return whether a plain file may begin with what its original begins with; both are compared then."""
        if original.name not in self._beginnings:
            self._beginnings[original.name] = self._read_beginning(original)
        beginning = self._beginnings[original.name]
        return beginning is None or beginning.startswith(content.head()[: len(beginning)])

    def _read_beginning(self, original: LogFile) -> bytes | None:
        """None where another file is there now."""
        try:
            with closing(self._state.open_named(original.name, compressed=False)) as content:
                return content.head() if content.file.size >= original.size else None
        except SourceFileError:
            return None

    def _leave_out_copy(self, file: LogFile, name: LogName, original: LogFile) -> None:
        if name.compressed:
            self._copies.remember_packed(file, original)
            return
        observed = self._look_into(file, name, ())
        if observed and observed.state is ContentState.READABLE:
            self._beside.append((observed, original.name))

    def _opened(self, content: Content, file: LogFile, name: LogName) -> LogFile:
        """Return the file as later steps identify it; raises `SourceVanished` where another one was opened."""
        shrunk = content.file.size < file.size and not (name.compressed and file.inode)
        if shrunk or not self._state.inodes.is_same(file, content.file, self._state.number):
            raise SourceVanished(f"{file.name!r} is another file now")
        content.file = content.file._replace(inode=file.inode)  # that of the open file may be a lie
        # Without an inode, or with one that was used again, a rename may have put another one under the name.
        return file if file.inode and not name.compressed else content.file

    def _see(
        self, content: Content, file: LogFile, name: LogName, checkpoints: Sequence[Checkpoint]
    ) -> FileObservation | None:
        """Compare what is in an open file with all that is known; None where nothing of it is to be kept."""
        head = content.head()
        known = fingerprint(head)
        end, last = self._find_end(content)
        if not end and not content.compressed:
            file = file._replace(size=0)  # nothing but room for what is to come
        self._state.find_retired(name, head, known)
        continues, foreign = continued(content, name, head, self._state.heads)
        matches_pending = self._held(content, name, head)
        continues, foreign, changed = self._changed.leave_out(content, name, head, continues, foreign)
        copy = 0 if continues or foreign else self._find_copied(content, name, head)
        if end:
            content.check_unchanged(end, known)
        began, ended = first_time(head), last_time(last)
        if content.compressed and len(head) == HEAD and not (began or continues or foreign):
            ended = _last_time_packed(content)  # nothing else tells where in its log it belongs, and it is read anyway
        if content.ending and content.ending.flaw:
            if content.ending.may_change and not self._state.flawed.stands(content.file):
                return self._wait_for(content, file, name, checkpoints)
            self._judge(content, name)
            if self._is_refused(file):
                return _blocked(file, name, checkpoints)
            if not continues and not foreign and self._is_of_no_use(content, name):
                return None
        return FileObservation(
            file=file,
            name=name,
            continues=continues,
            state=ContentState.READABLE,
            first_time=began,
            last_time=ended,
            lead=lead_of(head),
            size=end,
            head=known,
            tail=fingerprint(last),
            matches_pending=matches_pending,
            foreign=foreign,
            copy=copy,
            changed=changed,
        )

    def _find_end(self, content: Content) -> tuple[int, bytes]:
        """Of a plain file, without the NULs at its end, and the last bytes before it; of a compressed one nothing."""
        end = 0 if content.compressed else content.size
        last = last_bytes(content, end) if end else b""
        if last.endswith(b"\0"):
            end = self._state.find_end(content)
            last = last_bytes(content, end) if end else b""
        return end, last

    def _wait_for(
        self, content: Content, file: LogFile, name: LogName, checkpoints: Sequence[Checkpoint]
    ) -> FileObservation:
        """Leave a file that may still be being written; it is known again by what came out of it so far."""
        self._state.wait_for(file, name)
        head, came = content.head(), content.end().length if content.compressed else 0
        until = fingerprint(last_bytes(content, came)) if came else EMPTY
        return replace(
            _blocked(file, name, checkpoints), size=came, head=known_by(head, first_time(head)), tail=until
        )  # fmt: skip

    def _find_copied(self, content: Content, name: LogName, head: bytes) -> int:
        """Return the generation of which the file is a copy, 0 for none.

        It was noted as one, or it has less in it than is kept of a log that began anew since.
        """
        if known := self._copies.find_known(content, name, head):
            return known
        if name.active or not first_time(head):
            return 0
        alike = self._state.heads.fitting(content.file, name, head).own
        kept = self._find_longer(content, [c for c in alike if not (c.present and c.name == name.plain)])
        return kept.generation if kept else 0

    def _held(self, content: Content, name: LogName, head: bytes) -> frozenset[PendingFile]:
        """Return what earlier listings left pending and the content begins with."""
        found = owed_to(head, name, self._owed, timed=bool(first_time(head))) if self._owed else []
        return frozenset(one for one in sorted(found, key=lambda one: one.size) if matches_pending(content, one))

    def _trust_inodes(self, observations: Sequence[FileObservation]) -> list[FileObservation]:
        """Without those that several files have which differ."""
        inodes = {observed.file.inode for observed in observations}
        if len(inodes) == len(observations):
            return list(observations)
        count = Counter(
            observed.file.inode
            for observed in observations
            if observed.state <= ContentState.READABLE and observed.file.inode
        )
        shared = {inode for inode, number in count.items() if number > 1}
        for inode in shared:
            self._state.inodes.share(inode)
        return [
            replace(observed, file=observed.file._replace(inode="")) if observed.file.inode in shared else observed
            for observed in observations
        ]  # fmt: skip

    # Compressed files that do not end as they should ------------------------------------------------------------

    def _look_at_nothing(self, file: LogFile, name: LogName) -> None:
        """Say of a compressed file without a byte, which nobody compresses any more, that something is missing."""
        kind = self._state.flawed.kind(file)
        if not name.compressed or kind is PendingKind.PASSED:
            return
        if self._state.flawed.stands(file):
            ending = Ending(0, 0, Flaw.CUT, "it is empty, and no compressed file is")
            self._state.warn_of(file.name, name.family, ending)
            self._state.flawed.pass_over(file, name.family)
        else:
            self._state.flawed.wait_for(file, name.family)
            self.emptied = True

    def _judge(self, content: Content, name: LogName) -> None:
        """Refuse a file that cannot be read."""
        ending = content.end()
        if ending.flaw is Flaw.REFUSED and not ending.length:
            self._state.warn_of(content.file.name, name.family, ending)
            self._state.flawed.refuse(content.file, name.family)

    def _is_refused(self, file: LogFile) -> bool:
        refused = self._state.flawed.kind(file) is PendingKind.REFUSED
        if refused:
            self._state.refused.add(file.name)
        return refused

    def _is_of_no_use(self, content: Content, name: LogName) -> bool:
        """Return whether the file yields nothing that is not archived; it is then ignored."""
        ending, file = content.end(), content.file
        if ending.length and not (ending.flaw is Flaw.CUT and self._is_kept(content, name)):
            return False
        self._state.warn_of(file.name, name.family, ending)
        self._state.flawed.pass_over(file, name.family)
        return True

    def _is_kept(self, content: Content, name: LogName) -> bool:
        """Return whether a generation begins with all that the file yields and has more."""
        head = content.head()
        longer = [*self._state.heads.of(name.family), *self._state.heads.fitting(content.file, name, head).foreign]
        lead = lead_of(head)
        alike = [
            c
            for c in longer
            if (c.lead == lead if lead else c.present)
            and (c.head.length > len(head) or fingerprint(head[: c.head.length]) == c.head)
        ]
        return self._find_longer(content, alike) is not None

    def _find_longer(self, content: Content, alike: Sequence[Checkpoint]) -> Checkpoint | None:
        """Return the generation that begins with all of the file and has more; reads back what is archived."""
        if not alike:
            return None
        length = content.end().length if content.compressed else content.size
        last = content.before(length, min(HEAD, length)) or b""
        newest = sorted((c for c in alike if c.kept > length and not c.unproven), key=lambda c: -c.position)
        return next((c for c in newest[:_MOST_COMPARED] if self._read_back(c.generation, length, last)), None)

    def _read_back(self, generation: int, end: int, last: bytes) -> bool:
        """Return whether these are the archived bytes just before `end`."""
        start = end - len(last)
        target = self._state.target
        segments = self._state.catalogue.kept_segments(self._state.node, generation, start)
        with suppress(StoreError):
            return b"".join(read_range({target.bucket: target.store}, segments, start, end)) == last
        return False


def _last_time_packed(content: Content) -> str:
    """Return the time of the last record of a compressed file, '' where its bytes may be wrong; reads it through."""
    ending = content.end()
    if ending.flaw in {Flaw.DAMAGED, Flaw.REFUSED}:
        return ""
    return last_time(content.before(ending.length, min(HEAD, ending.length)) or b"")


def _blocked(file: LogFile, name: LogName, checkpoints: Sequence[Checkpoint]) -> FileObservation:
    same = [c for c in checkpoints if c.present and c.name == name.plain]
    return FileObservation(file, name, frozenset(c.generation for c in same), ContentState.BLOCKED)


def _split(observations: Sequence[FileObservation], known: Mapping[int, Checkpoint]) -> list[FileObservation]:
    """Files that a name alone proposes as rotated ones are logs of their own where their times overlap others'."""
    spans: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    fresh = [
        s for s in observations if s.name.proposed and s.state is ContentState.READABLE and not s.continues | s.foreign
    ]
    if not fresh:
        return list(observations)
    families = {observed.name.family for observed in fresh}
    for observed in observations:
        span = _span(observed, known) if observed.name.family in families else None
        if span:
            spans[observed.name.family].append((observed.file.name, *span))
    own = {
        observed.file.name
        for observed in fresh
        if (span := _span(observed, known))
        and any(
            name != observed.file.name and min(span[1], last) - max(span[0], first) >= _OVERLAP_SECONDS
            for name, first, last in spans[observed.name.family]
        )
    }
    return [
        replace(s, name=parse_name(s.file.name, (), {s.name.plain})) if s.file.name in own else s for s in observations
    ]


def _span(observed: FileObservation, known: Mapping[int, Checkpoint]) -> tuple[float, float] | None:
    """First and last time of a plain file; of a compressed one, which is no longer written to, nothing is told."""
    first, last = observed.first_time, observed.last_time
    if observed.state is ContentState.UNCHANGED:
        c = next((known[number] for number in observed.continues if number in known), None)
        first, last = (c.first_time, c.last_time) if c else ("", "")
    return (instant(first), instant(last)) if first and last else None
