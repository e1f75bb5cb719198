"""Logs that a search goes through: what is kept of each, and what its node has written since."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from math import inf

from logkeep.archive.frame_reader import FrameReader
from logkeep.database import generations, segments
from logkeep.database.connection import reading
from logkeep.database.removed_spans import fetch_removed_spans
from logkeep.domain.archive_search import ArchiveQuery
from logkeep.domain.cluster import Cluster, Node
from logkeep.domain.manifest import EMPTY, Checkpoint, Frame, Segment
from logkeep.domain.removed_span import RemovedSpan
from logkeep.errors import InvalidField, SourceError
from logkeep.search.heads import RecordHeads
from logkeep.search.plan import KeptFrame
from logkeep.service.live_logs import LiveLog, find_live_logs
from logkeep.service.runtime import Runtime

_SHOWN = 100  # characters of a name that somebody sent
_NAMED = 10  # of those that are known, where an unknown one was asked for
_NODES_AT_ONCE = 8
AHEAD = 12 * 1024 * 1024  # plain bytes of frames that are read ahead
_MOST_FRAMES = 20_000  # that are held; what has more is asked for log by log


@dataclass(slots=True)
class SearchedLog:
    """A generation that may hold what is looked for."""

    node: str
    family: str
    generation: int
    name: str
    start: int
    kept: int
    first: float = inf  # in the order of the search, of all of its records
    segments: list[Segment] | None = None  # None where they are not held
    live: LiveLog | None = None
    heads: RecordHeads | None = None

    def live_segment(self) -> Segment | None:
        """Return what is not kept as a segment of one frame, of which nothing is known but where it begins."""
        if self.live is None:
            return None
        size = max(1, self.live.size)
        frame = Frame(offset=0, stored=0, start=self.kept, raw=size, first_time="", last_time="", levels=None, lines=0)
        return Segment(
            node=self.node,
            family=self.family,
            generation=self.generation,
            position=0,
            name=self.name,
            start=self.kept,
            end=self.kept + size,
            bucket="",
            object="",
            stored=0,
            sha256="",
            head=EMPTY,
            tail=EMPTY,
            frames=(frame,),
        )


class LogText:
    """The bytes of a log, of which the last frame that was read is held."""

    def __init__(self, log: SearchedLog, frames: Sequence[KeptFrame], read: Callable[[KeptFrame], bytes]) -> None:
        self._log = log
        self._frames = frames
        self._read = read
        self.first = log.start
        self._last: tuple[int, bytes] = (-1, b"")

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes [start, end), fewer where the log ends. Raises a `StoreError` or a `SourceError`."""
        found = list[bytes]()
        at = start
        first = bisect_right(self._frames, start, key=lambda one: one.frame.start) - 1
        for number in range(max(0, first), len(self._frames)):
            one = self._frames[number]
            if at >= end:
                break
            piece = self._live(at, end) if is_live(one) else self._kept(number)[at - one.frame.start :]
            found.append(piece[: end - at])
            at += len(found[-1])
        return b"".join(found)

    def _kept(self, number: int) -> bytes:
        if self._last[0] != number:
            self._last = (number, self._read(self._frames[number]))
        return self._last[1]

    def _live(self, start: int, end: int) -> bytes:
        assert self._log.live
        found = bytearray()
        with closing(self._log.live.pieces(start)) as pieces:
            for piece in pieces:
                found += piece
                if len(found) >= end - start:
                    break
        return bytes(found)


def is_live(one: KeptFrame) -> bool:
    """Return whether a frame stands for what is not kept yet."""
    return not one.segment.object


class Reads:
    """Frames of a log, of which the next ones are being read."""

    def __init__(self, reader: FrameReader, frames: Iterable[KeptFrame], most: int = AHEAD) -> None:
        """Begin to read frames of at most `most` plain bytes, or one."""
        self._reader = reader
        self._left = iter(frames)
        self._most = most
        self._begun: deque[tuple[int, Future[bytes] | None]] = deque()
        self.held = 0  # plain bytes
        self._begin()

    def __iter__(self) -> Iterator[Future[bytes] | None]:
        """Yield a frame that is being read for each, None for what is not kept."""
        while self._begun:
            size, read = self._begun.popleft()
            yield read
            self.held -= size
            self._begin()

    def _begin(self) -> None:
        while self.held < self._most and (one := next(self._left, None)):
            if is_live(one):
                self._begun.append((0, None))
                continue
            self.held += one.frame.raw
            self._begun.append((one.frame.raw, self._reader.begin(one.segment, one.frame)))


@dataclass(slots=True)
class Survey:
    """The generations of the node and log that are asked for, with where each begins in the order."""

    logs: list[SearchedLog]
    frames: int = 0
    bytes: int = 0
    unread: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # nodes, and why they are not


def survey_logs(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> Survey:
    """Return what is to be searched. What nodes have written is found by what is known to be kept before.

    So a line that is kept meanwhile is neither left out nor told twice.
    """
    checkpoints: dict[str, list[Checkpoint]] = {}
    logs: dict[tuple[str, int], SearchedLog] = {}
    family = "" if query.live else query.family  # all of a node must be known to tell what is new
    for node, one in generations.fetch_generations(runtime.database, cluster.id, node=query.node, family=family):
        if query.live:
            checkpoints.setdefault(node, []).append(one)
        if one.kept > one.first and query.family in {"", one.family}:
            logs[node, one.generation] = SearchedLog(node, one.family, one.generation, one.name, one.first, one.kept)
    survey = Survey([])
    if logs:
        _add_kept(runtime, cluster, query, logs, survey)
    if query.live:
        _add_live(runtime, cluster, query, logs, checkpoints, survey)
    survey.logs = list(logs.values())
    return survey


def _add_kept(
    runtime: Runtime,
    cluster: Cluster,
    query: ArchiveQuery,
    logs: dict[tuple[str, int], SearchedLog],
    survey: Survey,
) -> None:
    for segment in segments.fetch_segments(runtime.database, cluster.id, query.node):
        log = logs.get((segment.node, segment.generation))
        if log is None or segment.start >= log.kept:  # what was kept since
            continue
        survey.frames += len(segment.frames)
        survey.bytes += segment.end - segment.start
        log.first = min(log.first, min((first_of(query, frame) for frame in segment.frames), default=-inf))
        if survey.frames > _MOST_FRAMES:
            log.segments = None
        elif log.segments is not None or segment.start == log.start:
            log.segments = log.segments or []
            log.segments.append(segment)


def is_any_kept(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> bool:
    """Return whether something is kept of the node and log that are asked for."""
    kept = generations.fetch_generations(runtime.database, cluster.id, node=query.node, family=query.family)
    return any(one.kept > one.first for _, one in kept)


def _add_live(
    runtime: Runtime,
    cluster: Cluster,
    query: ArchiveQuery,
    logs: dict[tuple[str, int], SearchedLog],
    checkpoints: dict[str, list[Checkpoint]],
    survey: Survey,
) -> None:
    nodes = [node for node in cluster.nodes if node.gone_at is None and query.node in {"", node.name}]

    def look(node: Node) -> tuple[list[LiveLog], list[str]]:
        try:
            return find_live_logs(runtime, cluster, node, checkpoints.get(node.name, []))
        except SourceError as error:
            return [], [str(error)]

    with ThreadPoolExecutor(_NODES_AT_ONCE, thread_name_prefix="search") as pool:
        looks = list(pool.map(look, nodes))
    for node, (found, problems) in zip(nodes, looks, strict=True):
        survey.unread += [(node.name, problem) for problem in problems]
        for live in found:
            one = live.checkpoint
            if query.family in {"", one.family}:
                log = logs.setdefault(
                    (node.name, one.generation),
                    SearchedLog(node.name, one.family, one.generation, one.name, one.kept, one.kept),
                )
                log.live, log.first = live, -inf  # of which no time is known before it is read
                survey.frames += 1
                survey.bytes += live.size


def fetch_frames(runtime: Runtime, cluster: Cluster, log: SearchedLog) -> Iterator[KeptFrame | str]:
    """Yield the frames of a log in order, and what is missing between them in words."""
    at = log.start
    of_log = log.segments
    if of_log is None and log.kept > log.start:
        of_log = segments.fetch_segments_from(runtime.database, cluster.id, log.node, log.generation, log.start)
    for segment in of_log or ():
        if segment.start >= log.kept:
            break
        if segment.start != at:
            yield f"bytes {at} to {segment.start} are not in the catalogue"
        yield from (KeptFrame(segment, number) for number in range(len(segment.frames)))
        at = segment.end
    if at < log.kept:
        yield f"bytes {at} to {log.kept} are not in the catalogue"
    if live := log.live_segment():
        yield KeptFrame(live, 0)


def find_removed(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> list[RemovedSpan]:
    """Return what rules of retention removed that may have held what is looked for."""
    nodes = [query.node] if query.node else None
    with reading(runtime.database) as connection:
        found = fetch_removed_spans(connection, cluster.id, nodes=nodes, family=query.family)
    return [one for one in found if one.may_hold(query.wanted.span)]


def first_of(query: ArchiveQuery, frame: Frame) -> float:
    """Return where the first record of a frame stands in the order of the search, -inf where that is not known."""
    return query.order(frame.last_time if query.newest_first else frame.first_time)


def last_of(query: ArchiveQuery, frame: Frame) -> float:
    """Return where the last one stands, inf where that is not known."""
    return query.order(frame.first_time if query.newest_first else frame.last_time) if frame.first_time else inf


def expect_known(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> None:
    """Raise `InvalidField` for a node or a log of which nothing is known, with those that are."""
    if query.live and query.node in {"", *(node.name for node in cluster.nodes)} and not query.family:
        return
    nodes, families = dict[str, None](), dict[str, None]()
    for node, log in generations.fetch_generations(runtime.database, cluster.id):
        if log.kept > log.first:
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
