"""What nodes have written that is not kept yet: the same that a backup would read now."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from logkeep.backup.catalogue import Kept
from logkeep.backup.content import Incomplete, open_content
from logkeep.backup.identity import fingerprint
from logkeep.backup.node_backup import NodeBackup
from logkeep.backup.node_state import Target
from logkeep.backup.plan import Read
from logkeep.backup.read_ahead import ReadAhead
from logkeep.database import generations, log_settings
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster, Node
from logkeep.domain.manifest import Checkpoint, Gap, PendingFile, Sighting
from logkeep.domain.warning import JobWarning
from logkeep.errors import JobSuperseded, SourceUnreadable, SourceVanished
from logkeep.service.catalogue import JobCatalogue
from logkeep.service.runtime import Runtime
from logkeep.service.sources import find_tenant, open_source
from logkeep.service.stores import agency_stores
from logkeep.sources.base import LogSource
from logkeep.stores.base import find_store
from logkeep.stores.layout import cluster_folder


class _Snapshot(JobCatalogue):
    """The catalogue as it was when a search began, of one node; nothing is written to it."""

    def __init__(self, runtime: Runtime, cluster: Cluster, known: Sequence[Checkpoint]) -> None:
        super().__init__(runtime.database, cluster.id, "", 1)
        self._known = known

    def checkpoints(self, node: str) -> list[Checkpoint]:  # noqa: ARG002  it is of one
        return list(self._known)

    def recall(self, node: str, family: str) -> list[Checkpoint]:
        found = generations.fetch_generations(self._database, self._cluster_id, node=node, family=family)
        return [one for _, one in found]

    def record_plan(self, node: str, remaining: int, pending: Sequence[PendingFile] | None = None) -> None:
        pass

    def record_node(
        self,
        node: str,
        seen: Sequence[Checkpoint] = (),
        found: Sequence[Gap | Sighting] = (),
        digest: str | None = None,
        pending: Sequence[PendingFile] | None = None,
        retired: Collection[int] = (),
    ) -> None:
        pass

    def warn(self, warning: JobWarning) -> None:
        pass

    def commit(self, kept: Sequence[Kept], remaining: int = 0) -> None:  # noqa: ARG002  none is kept
        raise JobSuperseded


@dataclass(frozen=True, slots=True)
class LiveLog:
    """What of a file is not kept yet."""

    source: LogSource
    read: Read

    @property
    def checkpoint(self) -> Checkpoint:
        """Return the generation that the file has; `kept` is where what is not kept begins."""
        return self.read.checkpoint

    @property
    def size(self) -> int:
        """Return how many bytes are not kept; of a compressed file of which that is not known, all."""
        observed = self.read.observed
        if observed.name.compressed and not observed.size:
            return observed.file.size
        return max(0, (observed.size or observed.file.size) - self.checkpoint.kept)

    def pieces(self, start: int | None = None) -> Generator[bytes]:
        """Yield the plain bytes that are not kept, or those from `start` on.

        Raises `SourceVanished` where the file is another one by now.
        """
        observed, begun = self.read.observed, self.checkpoint
        name = observed.file.name
        with closing(open_content(self.source, name, compressed=observed.name.compressed)) as content:
            head = observed.head if observed.head.length else begun.head
            if fingerprint(content.head()[: head.length]) != head:
                raise SourceVanished(f"{name!r} was rotated while it was searched; search again")
            try:
                yield from content.pieces(begun.kept if start is None else start, as_it_ends=False)
            except Incomplete:
                raise SourceUnreadable(
                    f"{name!r} does not end as it should, and may still be being compressed; what it holds was searched"
                ) from None


def find_live_logs(
    runtime: Runtime, cluster: Cluster, node: Node, known: Sequence[Checkpoint]
) -> tuple[list[LiveLog], list[str]]:
    """Return what is not kept yet of a node of which `known` is kept, and which files could not be looked into.

    Raises a `SourceError` where the node cannot be read.
    """
    source = open_source(runtime, find_tenant(runtime, cluster.project_id), node.source)
    with reading(runtime.database) as connection:
        setting = log_settings.fetch_setting(connection, cluster.id)
    if setting:
        store = find_store(agency_stores(runtime, setting.agency), setting.bucket)
        target = Target(store, setting.bucket, cluster_folder(setting.base_path, cluster.name), "", 1)
    else:  # nothing is kept with which a file could be compared
        bucket, store = next(iter(runtime.stores.items()))
        target = Target(store, bucket, cluster_folder("", cluster.name), "", 1)
    with ThreadPoolExecutor(1) as executor:  # nothing is stored
        backup = NodeBackup(
            node=node.name,
            source=ReadAhead(source, runtime.clock) if source.remote else source,
            target=target,
            catalogue=_Snapshot(runtime, cluster, known),
            clock=runtime.clock,
            executor=executor,
            settle_ns=runtime.limits.settle_ns,
            max_file_bytes=runtime.limits.max_file_bytes,
        )
        reads, outcome = backup.find_new()
    found = [LiveLog(source, read) for read in reads]
    return [one for one in found if one.size], outcome.all_failures()
