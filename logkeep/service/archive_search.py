"""Search of kept logs, in the bucket: in the order of time, frames that can hold nothing left out."""

from __future__ import annotations

import heapq
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import inf

from logkeep.archive.frame_reader import FrameReader
from logkeep.database import generations, segments
from logkeep.domain.archive_search import (
    ArchiveQuery,
    Hit,
    Position,
    SearchDamage,
    SearchEnd,
    SearchEvent,
    SearchProgress,
)
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Frame, Segment
from logkeep.errors import InvalidField, StoreCorrupt, StoreMissing
from logkeep.search.heads import RecordHeads
from logkeep.search.lines import Line, LineSearch
from logkeep.search.order import HitOrder
from logkeep.search.pattern import Pattern, compile_pattern
from logkeep.search.plan import KeptFrame, Stretch, plan_log
from logkeep.service.runtime import Runtime
from logkeep.service.search_index import SearchIndex
from logkeep.service.stores import cluster_stores

_TELL_SECONDS = 0.5  # between two steps of progress
_SHOWN = 100  # characters of a name that somebody sent
_NAMED = 10  # of those that are known, where an unknown one was asked for
_MOST_FRAMES = 20_000  # that are held; what has more is asked for log by log
_AHEAD = 12 * 1024 * 1024  # plain bytes of frames that are read ahead


def search_archive(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> Iterator[SearchEvent]:
    """Yield lines in the order of time; progress between them, the end last.

    Raises `InvalidField` immediately for a node or a log of which nothing is kept, and for a text that is no regular
    expression; and a `StoreError` while searching where the bucket fails. What is damaged is told, and all else is
    searched.
    """
    pattern = compile_pattern(query.text, regex=query.regex, ignore_case=query.ignore_case)
    survey = _survey(runtime, cluster, query)
    if not survey.logs and (query.node or query.family):
        _expect_known(runtime, cluster, query)
    return _Search(runtime, cluster, query, pattern).run(survey)


@dataclass(slots=True)
class _Log:
    """A generation that may hold what is looked for."""

    node: str
    family: str
    generation: int
    name: str
    start: int
    kept: int
    first: float = inf  # in the order of the search, of all of its records
    segments: list[Segment] | None = None  # None where they are not held
    heads: RecordHeads | None = None


@dataclass(slots=True)
class _Survey:
    """The generations of the node and log that are asked for, with where each begins in the order."""

    logs: list[_Log]
    frames: int = 0
    bytes: int = 0


def _survey(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> _Survey:
    kept = generations.fetch_generations(runtime.database, cluster.id, node=query.node, family=query.family)
    logs = {
        (node, one.generation): _Log(node, one.family, one.generation, one.name, one.start, one.kept)
        for node, one in kept
        if one.kept > one.start
    }
    survey = _Survey(list(logs.values()))
    for segment in segments.fetch_segments(runtime.database, cluster.id, query.node) if logs else ():
        if log := logs.get((segment.node, segment.generation)):
            survey.frames += len(segment.frames)
            survey.bytes += segment.end - segment.start
            log.first = min(log.first, min((_first(query, frame) for frame in segment.frames), default=-inf))
            if survey.frames > _MOST_FRAMES:
                log.segments = None
            elif log.segments is not None or segment.start == log.start:
                log.segments = log.segments or []
                log.segments.append(segment)
    return survey


def _first(query: ArchiveQuery, frame: Frame) -> float:
    return query.order(frame.last_time if query.newest_first else frame.first_time)


def _last(query: ArchiveQuery, frame: Frame) -> float:
    return query.order(frame.first_time if query.newest_first else frame.last_time) if frame.first_time else inf


class _Search:
    """A search: logs are opened, and stretches of them read, in the order of the first line that each may give."""

    def __init__(self, runtime: Runtime, cluster: Cluster, query: ArchiveQuery, pattern: Pattern) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._query = query
        self._pattern = pattern
        stores = cluster_stores(runtime, cluster.id)
        self._reader = FrameReader(stores)
        self._index = SearchIndex(runtime, cluster, stores, pattern.literals if query.use_index else ())
        self._due: list[tuple[float, int, _Log, Stretch | None]] = []  # a heap; without a stretch the log is unopened
        self._turns = count()
        self._order = HitOrder(query)
        self._problems: list[SearchDamage] = []
        self._damaged = False
        self._hits = self._partly = self._logs = self._frames = self._bytes = self._frames_read = self._bytes_read = 0
        self._told_at = time.monotonic()

    def run(self, survey: _Survey) -> Iterator[SearchEvent]:
        self._logs, self._frames, self._bytes = len(survey.logs), survey.frames, survey.bytes
        self._due = [(log.first, next(self._turns), log, None) for log in survey.logs]
        heapq.heapify(self._due)
        with closing(self._reader):
            for first, log, stretch, reads in self._in_turn():
                yield from self._tell(first)
                if self._order.has_ended(first):
                    break
                yield from self._look_through(log, stretch, reads)
            yield from self._tell(inf)
        cut = self._order.left_out
        after = self._order.last if cut else None
        yield SearchEnd(not (self._damaged or self._partly or cut), self._progress(), after, self._index.missing)

    def _tell(self, first: float) -> Iterator[SearchEvent]:
        """Yield what is damaged, and the hits before a place in the order."""
        yield from self._problems
        self._problems.clear()
        for hit in self._order.before(first):
            self._hits += 1
            yield hit

    def _in_turn(self) -> Iterator[tuple[float, _Log, Stretch, Reads]]:
        """Yield stretches in their order, of which the next ones are being read."""
        ahead: deque[tuple[float, _Log, Stretch, Reads]] = deque()
        while True:
            while self._due and sum(reads.held for *_, reads in ahead) < _AHEAD:
                first, _, log, stretch = heapq.heappop(self._due)
                if stretch is None:
                    self._open(log)
                elif self._query.dry_run:
                    self._count(stretch.frames)
                else:
                    ahead.append((first, log, stretch, Reads(self._reader, stretch, _AHEAD)))
            if not ahead:
                return
            yield ahead.popleft()

    def _open(self, log: _Log) -> None:
        """Plan a log; what of it must be read is due then."""
        frames = list[KeptFrame]()
        for segment in log.segments or segments.fetch_segments_from(
            self._runtime.database, self._cluster.id, log.node, log.generation, log.start
        ):
            if segment.start != (frames[-1].segment.end if frames else log.start):
                self._note(log, f"bytes before {segment.start} are not in the catalogue")
            frames += [KeptFrame(segment, number) for number in range(len(segment.frames))]
        log.segments, log.heads = None, RecordHeads(frames, self._read)
        for stretch in plan_log(frames, self._query.wanted, partial(self._index.consult, log.node)):
            around = [one.frame for one in frames[max(0, stretch.first - 1) : stretch.first + len(stretch.frames)]]
            if max(_last(self._query, frame) for frame in around) >= self._query.after.time:
                first = min(_first(self._query, frame) for frame in around)
                heapq.heappush(self._due, (first, next(self._turns), log, stretch))

    def _read(self, one: KeptFrame) -> bytes:
        self._count([one])
        return self._reader.read(one.segment, one.frame)

    def _count(self, frames: Sequence[KeptFrame]) -> None:
        self._frames_read += len(frames)
        self._bytes_read += sum(one.frame.raw for one in frames)

    def _look_through(self, log: _Log, stretch: Stretch, reads: Reads) -> Iterator[SearchEvent]:
        search = LineSearch(self._pattern)
        for one, read in zip(stretch.frames, reads, strict=True):
            self._count([one])
            try:
                plain = read.result()
            except (StoreCorrupt, StoreMissing) as error:
                self._note(log, str(error))
                continue
            for line in search.feed(one.frame.start, plain):
                self._take(log, stretch, line)
            if time.monotonic() - self._told_at > _TELL_SECONDS:
                self._told_at = time.monotonic()
                yield self._progress()
        for line in search.finish():
            self._take(log, stretch, line)
        self._partly += search.partly

    def _take(self, log: _Log, stretch: Stretch, line: Line) -> None:
        query = self._query
        written, level = line.head or self._find_head(log, stretch, line.at)
        if not query.wanted.holds(written, level):
            return
        if query.count:
            self._hits += 1
            return
        text = line.text.decode("utf-8", "replace")
        hit = Hit(log.node, log.family, log.generation, log.name, line.at, written, level or "", text, line.cut)
        self._order.add(Position(query.order(written), log.node, log.generation, line.at), hit)

    def _find_head(self, log: _Log, stretch: Stretch, at: int) -> tuple[str, str | None]:
        """Return time and level of the record of a line before which its stretch has none."""
        if self._query.count and not self._query.wanted:
            return "", None  # nobody asks
        index = bisect_right(stretch.frames, at, key=_start) - 1
        assert log.heads
        try:
            return log.heads.find_before(stretch.first + max(0, index)) or ("", None)
        except (StoreCorrupt, StoreMissing):
            return "", None  # its damage is told where it is searched, if it is

    def _note(self, log: _Log, problem: str) -> None:
        self._damaged = True
        self._problems.append(SearchDamage(log.node, log.family, log.generation, problem))

    def _progress(self) -> SearchProgress:
        return SearchProgress(
            hits=self._hits + self._order.waiting,
            logs=self._logs,
            frames=self._frames,
            frames_read=self._frames_read,
            bytes=self._bytes,
            bytes_read=self._bytes_read,
            partly=self._partly,
        )


def _start(one: KeptFrame) -> int:
    return one.frame.start


class Reads:
    """Frames of a stretch, of which the next ones are being read."""

    def __init__(self, reader: FrameReader, stretch: Stretch, most: int) -> None:
        """Begin to read frames of at most `most` plain bytes, or one."""
        self._reader = reader
        self._left = iter(stretch.frames)
        self._most = most
        self._begun: deque[tuple[int, Future[bytes]]] = deque()
        self.held = 0  # plain bytes
        self._begin()

    def __iter__(self) -> Iterator[Future[bytes]]:
        while self._begun:
            size, read = self._begun.popleft()
            yield read
            self.held -= size
            self._begin()

    def _begin(self) -> None:
        while self.held < self._most and (one := next(self._left, None)):
            self.held += one.frame.raw
            self._begun.append((one.frame.raw, self._reader.begin(one.segment, one.frame)))


def _expect_known(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> None:
    """Raise `InvalidField` for a node or a log of which nothing is kept, with those that are."""
    nodes, families = dict[str, None](), dict[str, None]()
    for node, log in generations.fetch_generations(runtime.database, cluster.id):
        if log.kept > log.start:
            nodes[node] = None
            families |= {log.family: None} if query.node in {"", node} else {}
    if query.node and query.node not in nodes:
        raise InvalidField("node", f"nothing is kept of a node {query.node[:_SHOWN]!r}; {_known('nodes', [*nodes])}")
    raise InvalidField("family", f"nothing is kept of a log {query.family[:_SHOWN]!r}; {_known('logs', [*families])}")


def _known(what: str, names: list[str]) -> str:
    if not names:
        return "nothing is kept of this cluster yet"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{what} of which something is kept: {', '.join(names[:_NAMED])}{more}"
