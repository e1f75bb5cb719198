"""What the buckets lost is kept again by a backup that was asked to, as far as the nodes still have it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from logkeep.archive.verify import read_back
from logkeep.backup.repair import NodeRepair
from logkeep.database import segments
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Segment
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.errors import SourceError, StoreError
from logkeep.service.catalogue import JobCatalogue
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import find_store

_AT_ONCE = 100  # segments looked for at a time, each with its frame table
_GONE = "no file of the node has these bytes"
_OTHERWISE = (
    "a file of the node has what may be these bytes, but the zstd of this Logkeep compresses them otherwise, which "
    "proves nothing: repair with the version that stored them"
)
_FAILURES = 3  # in a row, after which a bucket is left to the next backup


class SegmentRepair:
    """Keeps lost segments of one node again. The attempt of the job alone may record what came of it."""

    def __init__(self, runtime: Runtime, cluster_id: str, node: str, catalogue: JobCatalogue) -> None:
        self._runtime = runtime
        self._cluster_id = cluster_id
        self._node = node
        self._catalogue = catalogue
        self._stores = cluster_stores(runtime, cluster_id)
        self._failed = 0  # segments in a row at which the store failed
        self._problems: dict[str, str] = {}  # by object: what is wrong with it

    def run(self, files: NodeRepair) -> None:
        """Look for the segments that are to be kept again; those that cannot be tried now stay so for the next job.

        Raises `JobSuperseded`, `JobHandedOver`, `TurnOver`.
        """
        try:
            for lost in self._lost():
                for segment in files.mend(lost, self._put):
                    self._lose(segment, _OTHERWISE if segment.object in files.otherwise else _GONE, files.doubts)
        except SourceError as error:  # the backup that follows fails with it if it lasts
            told = f"not all that the bucket lost was looked for on the node, the next backup goes on: {error}"
            self._warn(WarningCode.SEGMENT_LOST, "", told)

    def give_up(self) -> None:
        """Tell that the node is not there to look for the segments."""
        for lost in self._lost():
            for segment in lost:
                self._lose(segment, "its node is no longer registered")
        self._catalogue.flush(self._node)

    def _lost(self) -> Iterator[list[Segment]]:
        """Yield the segments whose objects are still missing or damaged, some at a time."""
        for asked in self._asked():
            if lost := [segment for segment in asked if self._is_lost(segment)]:
                yield lost
            if self._failed >= _FAILURES:
                return

    def _asked(self) -> Iterator[list[Segment]]:
        after = (0, 0)
        while True:
            with reading(self._runtime.database) as connection:
                found = segments.fetch_asked(connection, self._cluster_id, self._node, after, _AT_ONCE)
            if not found:
                return
            yield found
            after = found[-1].generation, found[-1].start

    def _is_lost(self, segment: Segment) -> bool:
        """Return whether the object is missing or damaged, as far as its store can tell."""
        if self._failed >= _FAILURES:
            return False
        try:
            damages = read_back(find_store(self._stores, segment.bucket), segment)
        except StoreError as error:
            self._fail(segment, error)
            return False
        if damages:
            self._problems[segment.object] = damages[0].problem
        else:
            self._catalogue.settle(segment, 0)
        return bool(damages)

    def _put(self, segment: Segment, frames: Iterator[bytes]) -> None:
        if self._failed >= _FAILURES:
            return
        try:
            find_store(self._stores, segment.bucket).put(segment.object, frames)
        except StoreError as error:
            self._fail(segment, error)
            return
        self._failed = 0
        self._warn(
            WarningCode.SEGMENT_REPAIRED,
            segment.family,
            f"{_what(segment)} was lost in the bucket ({self._problems.pop(segment.object)}), and was kept again from "
            f"the node's file, byte for byte, as its hash proves: {segment.object}",
            segment.object,
        )
        self._catalogue.settle(segment, 0)

    def _fail(self, segment: Segment, error: StoreError) -> None:
        self._failed += 1
        self._warn(
            WarningCode.SEGMENT_LOST,
            segment.family,
            f"{_what(segment)} could not be kept again, the next backup tries it once more: {error}",
            segment.object,
        )

    def _lose(self, segment: Segment, why: str, doubts: str = "") -> None:
        """Tell that a segment is lost; while there are doubts, the next backup looks for it again."""
        remedy = f"copy {segment.object} back from a replica of the bucket"
        if doubts:
            remedy = f"but not all could be looked at, and the next backup does so again: {doubts}"
        problem = self._problems.pop(segment.object)
        told = f"{_what(segment)} is lost in the bucket ({problem}), and {why}; {remedy}"
        self._warn(WarningCode.SEGMENT_LOST, segment.family, told, segment.object)
        if not doubts:
            self._catalogue.settle(segment, segments.LOST)

    def _warn(self, code: WarningCode, family: str, message: str, file: str = "") -> None:
        self._catalogue.warn(JobWarning(node=self._node, family=family, file=file, code=code, message=message))


def give_up_removed(runtime: Runtime, cluster: Cluster, catalogue: JobCatalogue, asked: Collection[str]) -> None:
    """Tell of the `asked` nodes that are no longer registered; they have segments that are to be kept again."""
    for node in sorted(set(asked) - {node.name for node in cluster.nodes}):
        SegmentRepair(runtime, cluster.id, node, catalogue).give_up()


def _what(segment: Segment) -> str:
    span = f" ({segment.first_time} to {segment.last_time})" if segment.first_time else ""
    return f"generation {segment.generation} of {segment.name!r}, bytes {segment.start} to {segment.end}{span},"
