"""Search of logs, kept and live: in the order of time, frames that can hold nothing left out."""

from __future__ import annotations

import heapq
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count
from math import inf

from logkeep.archive.frame_reader import FrameReader
from logkeep.domain.archive_search import (
    ArchiveQuery,
    Hit,
    HitSource,
    Position,
    SearchDamage,
    SearchEnd,
    SearchEvent,
    SearchProgress,
)
from logkeep.domain.cluster import Cluster
from logkeep.errors import SourceError, StoreCorrupt, StoreMissing
from logkeep.search.context import read_lines_after, read_lines_before
from logkeep.search.heads import RecordHeads
from logkeep.search.lines import Line, LineSearch, parse_line
from logkeep.search.order import HitOrder
from logkeep.search.pattern import Pattern, compile_pattern
from logkeep.search.plan import KeptFrame, Stretch, plan_log
from logkeep.service.runtime import Runtime
from logkeep.service.search_index import SearchIndex
from logkeep.service.searched_logs import (
    AHEAD,
    LogText,
    Reads,
    SearchedLog,
    Survey,
    expect_known,
    fetch_frames,
    find_removed,
    first_of,
    is_any_kept,
    is_live,
    last_of,
    survey_logs,
)
from logkeep.service.stores import cluster_stores

TELL_SECONDS = 0.5  # between two steps of progress


Tally = Callable[[str, str | None], None]  # takes time and level of the record of each line


def search_archive(
    runtime: Runtime, cluster: Cluster, query: ArchiveQuery, tally: Tally | None = None
) -> Iterator[SearchEvent]:
    """Yield lines in the order of time; progress between them, the end last. What is only counted goes to `tally`.

    Raises `InvalidField` immediately for a node or a log that is not known, and for a text that is no regular
    expression; and a `StoreError` while searching where the bucket fails. What is damaged, and nodes that cannot be
    read, are told, and all else is searched.
    """
    pattern = compile_pattern(query.text, regex=query.regex, ignore_case=query.ignore_case)
    survey = None  # looking at nodes takes a while, and is done once the answer has begun
    if (query.node or query.family) and not is_any_kept(runtime, cluster, query):
        survey = survey_logs(runtime, cluster, query)
        if not survey.logs:
            expect_known(runtime, cluster, query)
    return _Search(runtime, cluster, query, pattern, tally).run(survey)


class _Search:
    """A search: logs are opened, and stretches of them read, in the order of the first line that each may give."""

    def __init__(
        self, runtime: Runtime, cluster: Cluster, query: ArchiveQuery, pattern: Pattern, tally: Tally | None
    ) -> None:
        self._runtime = runtime
        self._tally = tally
        self._cluster = cluster
        self._query = query
        self._pattern = pattern
        stores = cluster_stores(runtime, cluster.id)
        self._reader = FrameReader(stores)
        self._index = SearchIndex(runtime, cluster, stores, pattern.literals if query.use_index else ())
        # A heap; without a stretch the log is to be opened.
        self._due: list[tuple[float, int, SearchedLog, Stretch | None]] = []
        self._turns = count()
        self._order = HitOrder(query)
        self._texts: dict[tuple[str, int], LogText] = {}  # of logs around whose lines is read
        self._problems: list[SearchDamage] = []
        self._damaged: set[SearchDamage] = set()
        self._partly: dict[tuple[str, int, int], int] = {}  # by node, generation and first frame: lines
        self._unplanned = False  # where a dry run had to end before all was looked at
        self._hits = self._logs = self._frames = self._bytes = self._frames_read = self._bytes_read = 0
        self._told_at = self._begun = time.monotonic()

    def run(self, survey: Survey | None) -> Iterator[SearchEvent]:
        if survey is None:
            yield self._progress()
            survey = survey_logs(self._runtime, self._cluster, self._query)
        self._logs, self._frames, self._bytes = len(survey.logs), survey.frames, survey.bytes
        for node, problem in survey.unread:
            self._note(SearchDamage(node, "", 0, problem, live=True))
        with closing(self._reader):
            ended_at = yield from self._pass(survey)
            while ended_at is None and self._order.can_go_on:
                self._order.go_on()
                ended_at = yield from self._pass(survey)
        yield from self._problems
        yield from find_removed(self._runtime, self._cluster, self._query)
        cut = self._order.left_out or ended_at is not None
        after = self._order.last if cut else None
        if after and ended_at is not None:  # all before it was told
            after = max(after, Position(ended_at, "", -1, -1))
        whole = not (self._damaged or any(self._partly.values()) or cut or self._unplanned)
        yield SearchEnd(whole, self._progress(), after, self._index.missing)

    def _pass(self, survey: Survey) -> Generator[SearchEvent, None, float | None]:
        """Go through all that may come next; return where in the order it had to end, None if it had not."""
        self._due = [(log.first, next(self._turns), log, None) for log in survey.logs]
        heapq.heapify(self._due)
        ended_at: float | None = None
        for first, log, stretch, reads in self._in_turn():
            yield from self._tell(first)
            if self._order.has_ended(first):
                break
            if first > self._query.after.time and self._has_spent_all():  # so that each part goes on
                ended_at = first
                break
            yield from self._look_through(log, stretch, reads)
        yield from self._tell(inf if ended_at is None else ended_at)
        return ended_at

    def _has_spent_all(self) -> bool:
        """Return whether as much was read, or as long, as is allowed."""
        query = self._query
        late = query.max_seconds and time.monotonic() - self._begun > query.max_seconds
        return bool(late or (query.max_bytes and self._bytes_read >= query.max_bytes))

    def _tell(self, first: float) -> Iterator[SearchEvent]:
        """Yield what is damaged, and the hits before a place in the order."""
        yield from self._problems
        self._problems.clear()
        for hit in self._order.before(first):
            self._hits += 1
            yield self._with_context(_parsed(hit)) if self._query.context else _parsed(hit)

    def _with_context(self, hit: Hit) -> Hit:
        """Return a hit with the lines around it, as far as they can be read."""
        text, count = self._texts[hit.node, hit.generation], self._query.context
        try:
            return replace(
                hit,
                before=read_lines_before(text.read, text.first, hit.start, count),
                after=read_lines_after(text.read, hit.start, count),
            )
        except (StoreCorrupt, StoreMissing, SourceError) as error:
            self._note(SearchDamage(hit.node, hit.family, hit.generation, f"lines around a hit: {error}"))
            return hit

    def _in_turn(self) -> Iterator[tuple[float, SearchedLog, Stretch, Reads]]:
        """Yield stretches in their order, of which the next ones are being read."""
        ahead: deque[tuple[float, SearchedLog, Stretch, Reads]] = deque()
        while True:
            while self._due and sum(reads.held for *_, reads in ahead) < AHEAD:
                if self._query.dry_run and self._has_spent_all():
                    self._unplanned = True
                    return
                first, _, log, stretch = heapq.heappop(self._due)
                if stretch is None:
                    self._open(log)
                elif self._query.dry_run:
                    self._count(stretch.frames)
                else:
                    ahead.append((first, log, stretch, Reads(self._reader, stretch.frames)))
            if not ahead:
                return
            yield ahead.popleft()

    def _open(self, log: SearchedLog) -> None:
        """Plan a log; what of it must be read is due then."""
        frames = list[KeptFrame]()
        for one in fetch_frames(self._runtime, self._cluster, log):
            if isinstance(one, KeptFrame):
                frames.append(one)
            else:
                self._note(SearchDamage(log.node, log.family, log.generation, one))
        log.segments, log.heads = None, RecordHeads(frames, partial(self._read, log))
        if self._query.context:
            self._texts[log.node, log.generation] = LogText(log, frames, self._read_again)
        for stretch in plan_log(frames, self._query.wanted, partial(self._index.consult, log.node)):
            around = [one.frame for one in frames[max(0, stretch.first - 1) : stretch.first + len(stretch.frames)]]
            if max(last_of(self._query, frame) for frame in around) >= self._order.last.time:
                first = min(first_of(self._query, frame) for frame in around)
                heapq.heappush(self._due, (first, next(self._turns), log, stretch))

    def _read(self, log: SearchedLog, one: KeptFrame) -> bytes:
        """Return the bytes of a frame in which heads are looked for, of what is not kept the first ones."""
        self._count([one])
        if is_live(one):
            assert log.live
            with closing(log.live.pieces()) as pieces:
                return next(pieces, b"")
        return self._reader.read(one.segment, one.frame)

    def _read_again(self, one: KeptFrame) -> bytes:
        """Return the bytes of a kept frame, which has been counted."""
        return self._reader.read(one.segment, one.frame)

    def _count(self, frames: Sequence[KeptFrame]) -> None:
        self._frames_read += len(frames)
        self._bytes_read += sum(one.frame.raw for one in frames)

    def _look_through(self, log: SearchedLog, stretch: Stretch, reads: Reads) -> Iterator[SearchEvent]:
        # Where nobody asks for records, their heads are not looked for.
        search = LineSearch(self._pattern, count=self._query.count and not self._query.wanted and not self._tally)
        for one, read in zip(stretch.frames, reads, strict=True):
            self._count([one])
            try:
                for at, piece in _pieces(log, one, read):
                    for line in search.feed(at, piece):
                        self._take(log, stretch, line)
                    if time.monotonic() - self._told_at > TELL_SECONDS:
                        self._told_at = time.monotonic()
                        yield self._progress()
            except (StoreCorrupt, StoreMissing, SourceError) as error:
                self._note(SearchDamage(log.node, log.family, log.generation, str(error), live=is_live(one)))
        for line in search.finish():
            self._take(log, stretch, line)
        self._hits += search.counted
        self._partly[log.node, log.generation, stretch.first] = search.partly

    def _take(self, log: SearchedLog, stretch: Stretch, line: Line) -> None:
        query = self._query
        written, level = line.head or self._find_head(log, stretch, line.at)
        if not query.wanted.holds(written, level):
            return
        if query.count:
            self._hits += 1
            if self._tally:
                self._tally(written, level)
            return
        position = Position(query.order(written), log.node, log.generation, line.at)
        if not self._order.takes(position):
            return
        text = line.text.decode("utf-8", "replace")
        hit = Hit(
            node=log.node,
            family=log.family,
            generation=log.generation,
            name=log.name,
            start=line.at,
            time=written,
            level=level or "",
            text=text,
            cut=line.cut,
            source=_source(log, stretch.frames[_frame_at(stretch, line.at)], line.at),
        )
        self._order.add(position, hit)

    def _find_head(self, log: SearchedLog, stretch: Stretch, at: int) -> tuple[str, str | None]:
        """Return time and level of the record of a line before which its stretch has none."""
        assert log.heads
        try:
            return log.heads.find_before(stretch.first + _frame_at(stretch, at)) or ("", None)
        except (StoreCorrupt, StoreMissing, SourceError):
            return "", None  # its damage is told where it is searched, if it is

    def _note(self, damage: SearchDamage) -> None:
        if damage not in self._damaged:  # a part of a log may be gone through more than once
            self._damaged.add(damage)
            self._problems.append(damage)

    def _progress(self) -> SearchProgress:
        return SearchProgress(
            hits=self._hits + self._order.waiting,
            logs=self._logs,
            frames=self._frames,
            frames_read=self._frames_read,
            bytes=self._bytes,
            bytes_read=self._bytes_read,
            partly=sum(self._partly.values()),
        )


def _start(one: KeptFrame) -> int:
    return one.frame.start


def _frame_at(stretch: Stretch, at: int) -> int:
    """Return which frame of a stretch holds a byte of its log."""
    return max(0, bisect_right(stretch.frames, at, key=_start) - 1)


def _parsed(hit: Hit) -> Hit:
    """Return a hit with what its line shows besides time and level."""
    record = parse_line(hit.text.encode())
    return replace(hit, component=record.component or "", message=record.message)


def _source(log: SearchedLog, one: KeptFrame, at: int) -> HitSource:
    """Return where the line lies that begins at a byte of its log."""
    if not is_live(one):
        return HitSource(bucket=one.segment.bucket, object=one.segment.object, offset=at - one.segment.start)
    assert log.live
    return HitSource(file=log.live.read.observed.file.name, offset=at)


def _pieces(log: SearchedLog, one: KeptFrame, read: Future[bytes] | None) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of a frame, and where they are; of what is not kept, those that are there now."""
    if read:
        yield one.frame.start, read.result()
        return
    assert log.live
    at = one.frame.start
    for piece in log.live.pieces():
        yield at, piece
        at += len(piece)
