"""A line by its place, with what is around it, kept or not; and what there is to search."""

from __future__ import annotations

from contextlib import closing

from logkeep.archive.frame_reader import FrameReader
from logkeep.database import coverage
from logkeep.database.connection import reading
from logkeep.domain.archive_search import ArchiveQuery
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_place import HeldSummary, LineAround
from logkeep.domain.record_filter import RecordFilter
from logkeep.errors import InvalidField, StoreCorrupt
from logkeep.search.context import read_lines_after, read_lines_before
from logkeep.search.lines import LONGEST, parse_line
from logkeep.search.plan import KeptFrame
from logkeep.service.runtime import Runtime
from logkeep.service.searched_logs import LogText, SearchedLog, fetch_frames, survey_logs
from logkeep.service.stores import cluster_stores


def read_around(runtime: Runtime, cluster: Cluster, node: str, generation: int, start: int, count: int) -> LineAround:
    """Return the line that begins at a byte of a log, with `count` lines before and after.

    The node is asked only where what is kept does not reach so far. Raises `InvalidField` where there is no such line,
    a `StoreError` or a `SourceError` where it cannot be read.
    """
    kept = _find_log(runtime, cluster, node, generation, live=False)
    if kept and start < kept.kept:
        found = _read(runtime, cluster, kept, start, count)
        if len(found.after) == count or node not in {one.name for one in cluster.nodes if one.gone_at is None}:
            return found
    log = _find_log(runtime, cluster, node, generation, live=True)
    if log is None or start < log.start:
        raise InvalidField("generation", "nothing is kept of this log, nor has its node a file of it now")
    return _read(runtime, cluster, log, start, count)


def _find_log(runtime: Runtime, cluster: Cluster, node: str, generation: int, *, live: bool) -> SearchedLog | None:
    query = ArchiveQuery("", False, False, node, "", RecordFilter(), 1, False, live=live)
    logs = survey_logs(runtime, cluster, query).logs
    return next((log for log in logs if (log.node, log.generation) == (node, generation)), None)


def _read(runtime: Runtime, cluster: Cluster, log: SearchedLog, start: int, count: int) -> LineAround:
    frames = list[KeptFrame]()
    for one in fetch_frames(runtime, cluster, log):
        if not isinstance(one, KeptFrame):
            raise StoreCorrupt(one)
        frames.append(one)
    with closing(FrameReader(cluster_stores(runtime, cluster.id))) as reader:
        text = LogText(log, frames, lambda one: reader.read(one.segment, one.frame))
        begun = text.read(start, start + LONGEST + 1)
        if not begun or (start > log.start and text.read(start - 1, start) != b"\n"):
            raise InvalidField("start", "no line of this log begins there")
        line, _, _ = begun.partition(b"\n")
        shown = line[:LONGEST].decode("utf-8", "replace")
        record = parse_line(shown.encode())
        return LineAround(
            node=log.node,
            family=log.family,
            generation=log.generation,
            start=start,
            name=log.name,
            time=record.time or "",
            level=record.level or "",
            text=shown,
            cut=len(line) > LONGEST,
            live=start >= log.kept,
            before=read_lines_before(text.read, log.start, start, count),
            after=read_lines_after(text.read, start, count),
        )


def summarise_held(runtime: Runtime, cluster: Cluster) -> HeldSummary:
    """Return of which nodes and logs something is kept, and of what span of time."""
    with reading(runtime.database) as connection:
        nodes, families, first, last, size = coverage.fetch_summary(connection, cluster.id)
    known = sorted(nodes | {node.name for node in cluster.nodes if node.gone_at is None})
    return HeldSummary(tuple(known), tuple(sorted(families)), first, last, size)
