"""The catalogue that the engine writes to, as one attempt of one job sees it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from logkeep.database import archive, forecasts, job_nodes, jobs
from logkeep.database.connection import reading, writing
from logkeep.domain.manifest import Checkpoint, Gap, Segment, Sighting, Unread
from logkeep.errors import JobHandedOver, JobSuperseded

_NEVER = Event()


class JobCatalogue:
    """Implements `engine.catalogue.Catalogue` over the database."""

    def __init__(self, database: Engine, cluster_id: str, job_id: str, attempt: int, stopping: Event = _NEVER) -> None:
        """Once `stopping` is set, the next commit is the last: it raises `JobHandedOver`."""
        self._database = database
        self._cluster_id = cluster_id
        self._job_id = job_id
        self._attempt = attempt
        self._stopping = stopping

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        with writing(self._database) as connection:
            if not jobs.is_current_attempt(connection, self._job_id, self._attempt):
                raise JobSuperseded()
            yield connection

    def checkpoints(self, node: str) -> list[Checkpoint]:
        with reading(self._database) as connection:
            return archive.fetch_checkpoints(connection, self._cluster_id, node)

    def last_segments(self, node: str) -> dict[int, int]:
        with reading(self._database) as connection:
            return archive.fetch_last_segments(connection, self._cluster_id, node, self._job_id)

    def listing_digest(self, node: str) -> str:
        with reading(self._database) as connection:
            return archive.fetch_listing_digest(connection, self._cluster_id, node)

    def record_plan(self, node: str, remaining: int) -> None:
        with self._writing() as connection:
            job_nodes.plan_node(connection, self._job_id, node, remaining)

    def commit(self, segment: Segment, after: Checkpoint, remaining: int = 0) -> None:
        try:
            with self._writing() as connection:
                kept = archive.fetch_kept(connection, self._cluster_id, segment.node, segment.generation)
                if kept != segment.start:
                    raise JobSuperseded()
                archive.insert_segment(connection, self._cluster_id, self._job_id, segment)
                archive.save_checkpoints(connection, self._cluster_id, segment.node, [after])
                done = segment.end - segment.start
                job_nodes.plan_node(connection, self._job_id, segment.node, remaining, done)
        except IntegrityError as error:
            raise JobSuperseded() from error
        if self._stopping.is_set():
            raise JobHandedOver()

    def unread(self, node: str) -> list[Unread]:
        with reading(self._database) as connection:
            return archive.fetch_unread(connection, self._cluster_id, node)

    def record_node(
        self,
        node: str,
        seen: Sequence[Checkpoint] = (),
        found: Sequence[Gap | Sighting] = (),
        digest: str | None = None,
        unread: Sequence[Unread] | None = None,
    ) -> None:
        with self._writing() as connection:
            archive.save_checkpoints(connection, self._cluster_id, node, seen)
            archive.insert_findings(connection, self._job_id, node, found)
            if digest is not None:
                archive.save_listing_digest(connection, self._cluster_id, node, digest)
            if unread is not None:
                archive.save_unread(connection, self._cluster_id, node, unread)

    def begin_node(self, node: str, started_at: int) -> None:
        """What an earlier attempt could not read is forgotten."""
        with self._writing() as connection:
            archive.delete_failures(connection, self._job_id, node)
            job_nodes.begin_node(connection, self._job_id, node, started_at)

    def end_node(self, node: str, finished_at: int, failures: Sequence[str]) -> None:
        with self._writing() as connection:
            archive.insert_findings(connection, self._job_id, node, failures)
            job_nodes.end_node(connection, self._job_id, node, finished_at)

    def record_margins(self, node: str, kept_at: int, margins: Mapping[str, int | None] | None) -> None:
        """How long each log may wait from `kept_at` on; None where nothing of the node had changed."""
        with self._writing() as connection:
            if margins is None:
                forecasts.renew_margins(connection, self._cluster_id, node, kept_at)
            else:
                forecasts.save_margins(connection, self._cluster_id, node, kept_at, margins)
