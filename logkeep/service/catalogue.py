"""Catalogue in the database, as one attempt of one job may write it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from logkeep.backup.catalogue import Kept, LastListing
from logkeep.backup.identity import fingerprint, lead_of
from logkeep.database import clusters, findings, forecasts, generations, job_nodes, jobs, segments
from logkeep.database.connection import reading, writing
from logkeep.database.retired import Log, RetiredGenerations
from logkeep.database.warnings import save_warnings
from logkeep.domain.manifest import LEAD, Checkpoint, Gap, PendingFile, Segment, Sighting
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.errors import CatalogueError, JobHandedOver, JobSuperseded, TurnOver, writable
from logkeep.service.turns import ENDLESS, Turn

_NEVER = Event()
_MOST_WARNINGS = 1000  # per node and attempt; further ones are only counted
_MOST_ALIKE = 100  # retired generations with the same head that a file is compared with
_FLOW_SECONDS = 1.0  # between two updates of what was read
_Key = tuple[str, str, str, str]


@dataclass(slots=True)
class _Flow:
    """Plain bytes of a node that are read and not committed yet."""

    read: int = 0
    shown: int = 0  # of them in the database
    next_at: float = field(default_factory=lambda: time.monotonic() + _FLOW_SECONDS)


class JobCatalogue:
    """Implements `backup.catalogue.Catalogue` over the database."""

    def __init__(
        self,
        database: Engine,
        cluster_id: str,
        job_id: str,
        attempt: int,
        stopping: Event = _NEVER,
        turn: Turn = ENDLESS,
    ) -> None:
        """Make the next commit raise `JobHandedOver` once `stopping` is set, and `TurnOver` once the turn is over."""
        self._database = database
        self._cluster_id = cluster_id
        self._job_id = job_id
        self._attempt = attempt
        self._stopping = stopping
        self._turn = turn
        self._any_retired: dict[str, bool] = {}  # by node; each node is written by one thread
        # By node: keys of its warnings, how many more were only counted, and what is not written yet.
        self._said: defaultdict[str, set[_Key]] = defaultdict(set)
        self._unnamed: defaultdict[str, int] = defaultdict(int)
        self._flows: defaultdict[str, _Flow] = defaultdict(_Flow)
        self._warnings: defaultdict[str, dict[_Key, JobWarning]] = defaultdict(dict)
        self._writes: defaultdict[str, list[Callable[[Connection], None]]] = defaultdict(list)

    @contextmanager
    def _writing(self, node: str) -> Generator[Connection]:
        """Open a transaction that first writes what waits for the node's next one.

        Raises `JobSuperseded` if another attempt of the job has begun.
        """
        with writing(self._database) as connection:
            if not jobs.is_current_attempt(connection, self._job_id, self._attempt):
                raise JobSuperseded()
            for write in self._writes.pop(node, ()):
                write(connection)
            if warnings := self._warnings.pop(node, None):
                save_warnings(connection, self._cluster_id, self._job_id, list(warnings.values()))
            yield connection

    def flush(self, node: str) -> None:
        """Write now what waits for the node's next transaction."""
        if self._writes[node] or self._warnings[node]:
            with self._writing(node):
                pass

    def warn(self, warning: JobWarning) -> None:
        """Queue a warning for the node's next transaction; warnings beyond `_MOST_WARNINGS` are only counted."""
        node = warning.node
        warning = replace(warning, message=writable(warning.message))
        if warning.key not in self._said[node] and len(self._said[node]) >= _MOST_WARNINGS:
            self._unnamed[node] += 1
            warning = _more(node, self._unnamed[node])
        else:
            self._said[node].add(warning.key)
        self._warnings[node][warning.key] = warning

    def record_warnings(self, warnings: Sequence[JobWarning]) -> None:
        """Write warnings now. Not for nodes on which a thread of the job is at work."""
        for warning in warnings:
            self.warn(warning)
        for node in {warning.node for warning in warnings}:
            self.flush(node)

    def checkpoints(self, node: str) -> list[Checkpoint]:
        with reading(self._database) as connection:
            return generations.fetch_checkpoints(connection, self._cluster_id, node)

    def retired_alike(self, node: str, family: str, head: bytes) -> list[Checkpoint]:
        if not self._any_retired.get(node, True):  # a node that has deleted nothing has none
            return []
        with reading(self._database) as connection:
            retired = RetiredGenerations(connection, self._cluster_id, node)
            if node not in self._any_retired:
                self._any_retired[node] = retired.any()
            return _alike(retired, family, head) if self._any_retired[node] else []

    def recall(self, node: str, family: str) -> list[Checkpoint]:
        with self._writing(node) as connection:
            return RetiredGenerations(connection, self._cluster_id, node).recall(family)

    def kept_segments(self, node: str, generation: int, start: int) -> Iterable[Segment]:
        return segments.fetch_segments_from(self._database, self._cluster_id, node, generation, start)

    def last_segments(self, node: str) -> dict[int, int]:
        if self._attempt == 1:
            return {}
        with reading(self._database) as connection:
            return generations.fetch_last_segments(connection, self._cluster_id, node, self._job_id)

    def last_listing(self, node: str) -> LastListing:
        with reading(self._database) as connection:
            return LastListing(*clusters.fetch_listing(connection, self._cluster_id, node))

    def record_plan(self, node: str, remaining: int, pending: Sequence[PendingFile] | None = None) -> None:
        with self._writing(node) as connection:
            if pending is not None:
                clusters.save_listing(connection, self._cluster_id, node, unread=pending)
            job_nodes.plan_node(connection, self._job_id, node, remaining, -self._flows.pop(node, _Flow()).shown)

    def record_flow(self, node: str, read: int) -> None:
        flow = self._flows[node]
        flow.read += read
        now = time.monotonic()
        if now < flow.next_at:
            return
        flow.next_at = now + _FLOW_SECONDS
        with suppress(CatalogueError), writing(self._database) as connection:  # the next commit is what counts
            if jobs.is_current_attempt(connection, self._job_id, self._attempt):
                job_nodes.advance_node(connection, self._job_id, node, flow.read - flow.shown)
                flow.shown = flow.read

    def commit(self, kept: Sequence[Kept], remaining: int = 0) -> None:
        node, numbers = kept[0].segment.node, [after.generation for _, after in kept]
        try:
            with self._writing(node) as connection:
                archived = generations.fetch_kept(connection, self._cluster_id, node, numbers)
                if any((archived.get(after.generation) or after.start) != segment.start for segment, after in kept):
                    raise JobSuperseded()  # another attempt has moved a checkpoint
                segments.insert_segments(connection, self._cluster_id, self._job_id, [one.segment for one in kept])
                generations.save_checkpoints(connection, self._cluster_id, node, [one.after for one in kept])
                done = sum(segment.end - segment.start for segment, _ in kept) - self._flows.pop(node, _Flow()).shown
                job_nodes.plan_node(connection, self._job_id, node, remaining, done)
        except IntegrityError as error:  # another attempt inserted a segment with this start at the same time
            raise JobSuperseded() from error
        self._give_way()

    def settle(self, segment: Segment, read_at: int) -> None:
        """Record what became of a segment that was to be kept again."""
        with self._writing(segment.node) as connection:
            segments.settle_asked(connection, self._cluster_id, segment, read_at)
        self._give_way()

    def _give_way(self) -> None:
        """Called after a commit, so that the segment counts and the next attempt goes on behind it."""
        if self._stopping.is_set():
            raise JobHandedOver()
        if self._turn.is_over():
            raise TurnOver()

    def record_node(
        self,
        node: str,
        seen: Sequence[Checkpoint] = (),
        found: Sequence[Gap | Sighting] = (),
        digest: str | None = None,
        pending: Sequence[PendingFile] | None = None,
        retired: Collection[int] = (),
    ) -> None:
        def write(connection: Connection) -> None:
            generations.save_checkpoints(connection, self._cluster_id, node, seen)
            RetiredGenerations(connection, self._cluster_id, node).add(retired)
            findings.insert_findings(connection, self._job_id, node, found)
            clusters.save_listing(connection, self._cluster_id, node, digest=digest, unread=pending)

        self._writes[node].append(write)

    def begin_node(self, node: str, started_at: int) -> None:
        """Record that the node is begun, and forget the failures of an earlier attempt on it."""
        with self._writing(node) as connection:
            if self._attempt > 1:
                findings.delete_failures(connection, self._job_id, node)
            job_nodes.begin_node(connection, self._job_id, node, started_at)

    def end_node(self, node: str, finished_at: int, failures: Sequence[str]) -> None:
        with self._writing(node) as connection:
            findings.insert_findings(connection, self._job_id, node, list(map(writable, failures)))
            uncommitted = self._flows.pop(node, _Flow()).shown
            job_nodes.end_node(connection, self._job_id, node, finished_at, uncommitted)

    def record_margins(self, node: str, kept_at: int, margins: Mapping[str, int | None] | None) -> None:
        """Record how long (ms) each log may wait from `kept_at` (Unix ms) on; None if nothing on the node changed.

        It is written with the node's end.
        """
        if margins is None:
            save = partial(forecasts.renew_margins, kept_at=kept_at)
        else:
            save = partial(forecasts.save_margins, kept_at=kept_at, margins=margins)
        self._writes[node].append(partial(save, cluster_id=self._cluster_id, node=node))


def _alike(retired: RetiredGenerations, family: str, head: bytes) -> list[Checkpoint]:
    """Return the retired generations that `Heads` needs to identify a file of this family that begins with `head`."""
    found = [*_with_head(retired, Log(family, ""), head[: LEAD - 1])]
    lead = lead_of(head)
    logs = set(retired.fetch_families(lead, 2)) if lead else set[str]()
    for one in logs:  # generations that begin alike may make the match ambiguous
        found += retired.fetch_longer(Log(one, lead), 0, 2)
    # If several families have this beginning, only generations of the file's own family can match.
    for one in ({family} | logs if len(logs) == 1 else {family}) if logs else ():
        found += _with_head(retired, Log(one, lead), head)
        found += retired.fetch_longer(Log(one, lead), len(head), _MOST_ALIKE)
    return list({c.generation: c for c in found}.values())


def _with_head(retired: RetiredGenerations, log: Log, head: bytes) -> Iterator[Checkpoint]:
    """Yield the generations whose stored head is a prefix of `head`."""
    for length in retired.fetch_lengths(log, len(head)):
        yield from retired.fetch_with_head(log, fingerprint(head[:length]), _MOST_ALIKE)


def _more(node: str, number: int) -> JobWarning:
    return JobWarning(
        node=node,
        family="",
        file="",
        code=WarningCode.MORE,
        message=f"{number} more warnings like those that are named",
    )
