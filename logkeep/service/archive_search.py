"""Search of kept logs, in the bucket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import chain

from logkeep.archive.restore import FrameCount, Stores, read_records
from logkeep.database import generations, segments
from logkeep.domain.archive_search import (
    ArchiveQuery,
    Hit,
    SearchDamage,
    SearchEnd,
    SearchEvent,
    SearchProgress,
)
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Checkpoint
from logkeep.errors import InvalidField, StoreCorrupt, StoreMissing
from logkeep.search.lines import Line, LineSearch
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores

_TELL_SECONDS = 0.5  # between two steps of progress
_SHOWN = 100  # characters of a name that somebody sent
_NAMED = 10  # of those that are known, where an unknown one was asked for


def search_archive(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> Iterator[SearchEvent]:
    """Yield lines log by log, by node and family, each in the order of writing; progress between them, the end last.

    Raises `InvalidField` immediately for a node or a log of which nothing is kept, and a `StoreError` while searching
    where the bucket fails. A log that is damaged is told, and the others are searched.
    """
    kept = generations.fetch_generations(runtime.database, cluster.id, node=query.node, family=query.family)
    first = next(kept, None)
    if first is None and (query.node or query.family):
        _expect_known(runtime, cluster, query)
    return _Search(runtime, cluster, query).run(chain([first] if first else [], kept))


class _Search:
    def __init__(self, runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._query = query
        self._stores: Stores = cluster_stores(runtime, cluster.id)
        self._count = FrameCount()
        self._hits = self._logs = 0
        self._told_at = time.monotonic()

    def run(self, kept: Iterator[tuple[str, Checkpoint]]) -> Iterator[SearchEvent]:
        whole = True
        for node, log in kept:
            if log.kept == log.start:
                continue
            self._logs += 1
            try:
                for event in self._look_through(node, log):
                    if isinstance(event, Hit) and self._hits > self._query.limit and not self._query.count:
                        self._hits -= 1  # it is there, but not told
                        yield SearchEnd(False, self._progress())
                        return
                    yield event
            except (StoreCorrupt, StoreMissing) as error:
                whole = False
                yield SearchDamage(node, log.family, log.generation, str(error))
        yield SearchEnd(whole, self._progress())

    def _look_through(self, node: str, log: Checkpoint) -> Iterator[SearchEvent]:
        stored = partial(
            segments.fetch_segments_from, self._runtime.database, self._cluster.id, node, log.generation, log.start
        )
        runs = read_records(self._stores, stored, self._query.wanted, log.start, log.kept, log.start, self._count)
        search = LineSearch(self._query.text, ignore_case=self._query.ignore_case)
        for at, piece in runs:
            for line in search.feed(at, piece):
                yield from self._tell(node, log, line)
            if time.monotonic() - self._told_at > _TELL_SECONDS:
                self._told_at = time.monotonic()
                yield self._progress()
        for line in search.finish():
            yield from self._tell(node, log, line)

    def _tell(self, node: str, log: Checkpoint, line: Line) -> Iterator[Hit]:
        self._hits += 1
        if self._query.count:
            return
        yield Hit(
            node=node,
            family=log.family,
            generation=log.generation,
            name=log.name,
            start=line.at,
            time=line.head.time if line.head else "",
            level=(line.head.level if line.head else None) or "",
            text=line.text.decode("utf-8", "replace"),
            cut=line.cut,
        )

    def _progress(self) -> SearchProgress:
        return SearchProgress(
            hits=self._hits,
            logs=self._logs,
            frames=self._count.frames,
            frames_read=self._count.read,
            bytes_read=self._count.bytes,
        )


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
