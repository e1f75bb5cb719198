"""Keep what is new of one file: read it from its checkpoint on, store segments, commit each."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

from logkeep.backup.bandwidth import Bandwidth
from logkeep.backup.below import Below
from logkeep.backup.catalogue import Kept
from logkeep.backup.changed import ChangedBytes
from logkeep.backup.comparison import continued, has_tail, is_planned, last_bytes, matches
from logkeep.backup.compressed import Ending
from logkeep.backup.content import HEAD, Content, Incomplete, open_content
from logkeep.backup.hints import with_hints
from logkeep.backup.identity import fingerprint, lead_of
from logkeep.backup.node_state import NodeState
from logkeep.backup.observation import FileObservation
from logkeep.backup.padding import Dense
from logkeep.backup.plan import Read
from logkeep.backup.segment import LineFrames, SegmentWriter, Sizes, Written
from logkeep.backup.uploads import SMALL, Uploads
from logkeep.domain.manifest import Checkpoint, Fingerprint, Flaw, Segment
from logkeep.domain.warning import WarningCode
from logkeep.errors import SourceError, SourceUnreachable, SourceUnreadable, SourceVanished, StoreError
from logkeep.sources.base import LogFile
from logkeep.stores.layout import segment_object


class FileKeeper:
    """Reads files from their checkpoints to their ends, a segment at a time: source -> store -> commit.

    Small segments of several files are stored at the same time and committed together, by `flush` at the latest.
    """

    def __init__(
        self, state: NodeState, changed: ChangedBytes, executor: Executor, sizes: Sizes, bandwidth: Bandwidth
    ) -> None:
        self._state = state
        self._changed = changed
        self._executor = executor
        self._sizes = sizes
        self._bandwidth = bandwidth
        self._uploads = Uploads(state.target.store, executor)
        self._named = 0  # uploads
        self.read: set[int] = set()  # generations that this job has read to their end
        self.nothing: set[LogFile] = set()  # read by this job, and nothing came of them
        self.kept_in: dict[int, int] = {}  # generation -> number of the listing after which it was read first

    def keep(self, read: Read) -> Checkpoint:
        """Read one file to its end; returns its checkpoint as it is then, with hints where they can be trusted."""
        checkpoint, file = read.checkpoint, read.observed.file
        with closing(self._state.open(file, read.observed.name)) as content:
            same = self._state.inodes.is_same(file, content.file, self._state.number)
            content.file = content.file._replace(inode=file.inode)  # that of the open file may be a lie
            head = content.head()
            if not same or not matches(content, head, checkpoint) or not is_planned(content, head, read.pending):
                raise SourceVanished(f"{file.name!r} is another file now")
            if not checkpoint.kept and self._goes_on_elsewhere(content, head, read.observed):
                raise SourceVanished(f"{file.name!r} has grown into a log that is known")
            self._check_rivals(read)
            checkpoint = self._changed.compare_older(content, checkpoint)
            if not content.compressed:
                self._state.find_end(content)
            stands = self._state.flawed.stands(content.file)
            pieces = self._meanwhile(content.pieces(checkpoint.kept, as_it_ends=stands))
            foreign = bool(content.ending) and not content.compressed
            stands_still = content.compressed or self._state.stands_still(content.file, checkpoint)
            dense = Dense(pieces, stands=stands_still, padded=not foreign)
            below = Below(dense, self._state.max_file_bytes - checkpoint.kept)
            frames = LineFrames(self._flowing(self._bandwidth.limit(below)), self._sizes)
            while not frames.ended():
                checkpoint = self._keep_segment(content, head, frames, checkpoint)
            if frames.broken:
                raise frames.broken
            checkpoint = self._flaw_told(content, checkpoint)
            if checkpoint.kept:
                self.read.add(checkpoint.generation)
            else:  # its number is given to another file
                self.nothing.add(file)
            if below.cut:
                self._warn_large(file, checkpoint)
            if dense.hole:
                self._warn_hole(file, checkpoint)
            settled = not below.cut and not dense.hole and (stands or self._state.is_settled(content.file))
            self.kept_in.setdefault(checkpoint.generation, self._state.number)
            return with_hints(checkpoint, content.file, settled)

    def _meanwhile(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Commit what was stored of other files, while one is read that takes long."""
        for piece in pieces:
            yield piece
            if self._uploads.late:
                self._turn()

    def _flowing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._state.catalogue.record_flow(self._state.node, len(piece))

    def _goes_on_elsewhere(self, content: Content, head: bytes, observed: FileObservation) -> bool:
        """Return whether a new generation has grown into one that is known."""
        self._state.find_retired(observed.name, head, fingerprint(head))
        continues, foreign = continued(content, observed.name, head, self._state.heads)
        changed = {observed.changed.generation} if observed.changed else set[int]()
        return bool((continues | foreign) - observed.continues - observed.foreign - changed)

    def _check_rivals(self, read: Read) -> None:
        for observed, checkpoint in read.rivals:
            name = observed.file.name
            with closing(self._state.open(observed.file, observed.name)) as content:
                same = self._state.inodes.is_same(observed.file, content.file, self._state.number)
                if not same or not matches(content, content.head(), checkpoint):
                    raise SourceVanished(f"{name!r} is another file now")

    def _keep_segment(self, content: Content, head: bytes, frames: LineFrames, before: Checkpoint) -> Checkpoint:
        target, node = self._state.target, self._state.node
        object_name = segment_object(
            target.folder, node, before.family, before.generation, before.kept, target.job_id, self._upload()
        )
        writer, small = SegmentWriter(frames, before.kept, self._executor, HEAD), b""
        if frames.fits(min(SMALL, self._sizes.frame)):
            small, written = writer.compress()
        else:
            written = writer.write(target.store, object_name)
        try:
            after = self._checked_anyhow(content, head, frames, before, written)
            # Nothing is committed of a compressed file before it is known whether it can be believed.
            if frames.ended() or (content.compressed and self._believed(content).flaw is Flaw.DAMAGED):
                after = self._flaw_told(content, after)
        except SourceError:
            with suppress(StoreError):  # no manifest names it: it is swept away later
                if not small:
                    target.store.delete(object_name)
            raise
        self._state.remaining.take(content.file.name, written.raw)
        kept = Kept(self._segment(before, after, object_name, written), after)
        if not small:
            self.flush([kept])
            return after
        self._uploads.add(kept, small)
        if self._uploads.late:
            self.flush()
        elif self._uploads.full:
            self._turn()
        return after

    @contextmanager
    def committing(self) -> Generator[None]:
        """Commit at the end what was kept within, also where an error ends it: a bad link must make progress."""
        try:
            yield
        except Exception:
            self.flush()
            raise
        self.flush()

    def flush(self, kept: Sequence[Kept] = ()) -> None:
        """Commit what the uploads have stored, and what was `kept` besides. Raises the error of one that failed."""
        stored, error = self._uploads.end()
        self._commit(stored)
        self._uploads.begin()
        more, later = self._uploads.end()
        self._commit([*more, *kept], error or later)

    def _turn(self) -> None:
        """Commit the batch that was begun, and begin the next one."""
        self._commit(*self._uploads.end())
        self._uploads.begin()

    def _commit(self, stored: Sequence[Kept], error: StoreError | None = None) -> None:
        if stored:
            self._state.catalogue.commit(stored, self._state.remaining.bytes + self._uploads.raw)
            self._state.known |= {one.after.generation: one.after for one in stored}
        if error:
            raise error

    def _checked_anyhow(
        self, content: Content, head: bytes, frames: LineFrames, before: Checkpoint, written: Written
    ) -> Checkpoint:
        """Return the checkpoint after a segment, also where the source failed behind it: a bad link must make progress.

        Nothing of a compressed file can be believed before its end was seen.
        """
        try:
            if frames.broken:
                raise frames.broken
            return _checked(content, head, before, written)
        except (SourceUnreachable, SourceUnreadable):
            if content.compressed:
                raise
        with closing(open_content(self._state.source, content.file.name, compressed=False)) as again:
            end, last = before.kept + written.raw, written.last_bytes
            same = self._state.inodes.is_same(content.file, again.file, self._state.number)
            if not same or not last_bytes(again, end).endswith(last):
                raise SourceVanished(f"{content.file.name!r} is another file now")
            return _checked(again, head, before, written)

    def _believed(self, content: Content) -> Ending:
        """Return how the file ends; raises `Incomplete` where that is not final."""
        ending = content.end()
        if ending.may_change and not self._state.flawed.stands(content.file):
            raise Incomplete(content.file.name)
        return ending

    def _upload(self) -> str:
        """A part of the object's name that no other upload has, whatever becomes of this one."""
        self._named += 1
        return f"{self._state.target.attempt}-{self._named}"

    def _segment(self, before: Checkpoint, after: Checkpoint, object_name: str, written: Written) -> Segment:
        return Segment(
            node=self._state.node,
            family=before.family,
            generation=before.generation,
            position=before.position,
            name=before.name,
            start=before.kept,
            end=after.kept,
            bucket=self._state.target.bucket,
            object=object_name,
            stored=written.stored,
            sha256=written.sha256,
            head=after.head,
            tail=after.tail,
            frames=written.frames,
            lead=after.lead,
            flaw=after.flaw,
        )

    def _flaw_told(self, content: Content, checkpoint: Checkpoint) -> Checkpoint:
        """Return the checkpoint with its file's flaw, and warn where that is new."""
        flaw = content.end().flaw if content.compressed or content.ending else Flaw.NONE
        if flaw is checkpoint.flaw:
            return checkpoint
        if flaw:
            self._state.warn_of(content.file.name, checkpoint.family, content.end())
        return replace(checkpoint, flaw=flaw)

    def _warn_large(self, file: LogFile, checkpoint: Checkpoint) -> None:
        message = (
            f"file {file.name!r} holds more than {checkpoint.kept} plain bytes, and what lies above is not kept; raise "
            "sources.max_file_bytes, or let the node rotate earlier"
        )
        self._state.warn(WarningCode.LOG_LARGE, message, family=checkpoint.family, file=file.name)

    def _warn_hole(self, file: LogFile, checkpoint: Checkpoint) -> None:
        self._state.warn(
            WarningCode.LOG_WAITING,
            f"{file.name!r} has NULs behind byte {checkpoint.kept}, where something may still be written; the next "
            "backup keeps what stands there, once nothing has changed for a minute",
            family=checkpoint.family,
            file=file.name,
        )


def _checked(content: Content, head: bytes, before: Checkpoint, written: Written) -> Checkpoint:
    """Return the checkpoint after a segment; raise `SourceVanished` where the file is not what was stored of it.

    `head` is what the file began with when it was compared, before it was read. A file that is emptied and written
    to again may be as long as before in no time: what was stored is held against that, not what the file begins with.
    """
    end = before.kept + written.raw
    if before.kept < HEAD and head[:end] != (head[: before.kept] + written.first_bytes)[:HEAD]:
        raise SourceVanished(f"{content.file.name!r} was written anew while it was read")
    after = replace(
        before,
        kept=end,
        lead=before.lead or lead_of(head[:end]),
        head=before.head if before.head.length == HEAD else fingerprint(head[:end]),
        tail=_tail(content, end, written.last_bytes),
        first_time=before.first_time or written.first_time,
        last_time=written.last_time or before.last_time,
        size=-1,
    )
    content.check_unchanged(end, after.head)
    if not content.compressed and not has_tail(content, before):
        raise SourceVanished(f"{content.file.name!r} was written anew while it was read")
    return after


def _tail(content: Content, end: int, last: bytes) -> Fingerprint:
    return fingerprint(last if len(last) == min(HEAD, end) else last_bytes(content, end))
