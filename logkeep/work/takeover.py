"""Takeover of abandoned jobs: every process looks for them periodically, and puts them back into the queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from logkeep.domain.worker import QUEUE_VERSION, Worker
from logkeep.service import backups, workers
from logkeep.service.runtime import Runtime

if TYPE_CHECKING:  # DBOS is slow to import: `bootstrap` does it when the queue starts
    from logkeep.work.queue import Queue

_SEARCH_SECONDS = 5.0  # between searches for jobs without a workflow
_REST = 19  # pause as a multiple of the last search; a search of 10,000 queued jobs takes about half a second


class Takeover:
    """Search for abandoned jobs, run by every process."""

    def __init__(
        self,
        runtime: Runtime,
        queue: Queue,
        worker_id: str,
        running: Collection[str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep `running`, which always contains the ids of the workflows that this process runs."""
        self._runtime = runtime
        self._queue = queue
        self._worker_id = worker_id
        self._running = running
        self._now = now
        self._next_search = 0.0

    def look(self) -> None:
        """Requeue the jobs of dead workers, and now and then those without a workflow."""
        alive = [worker for worker in workers.list_workers(self._runtime) if worker.alive]
        self._queue.take_over(self._worker_id, self._running, {worker.id for worker in alive})
        if self._now() >= self._next_search:
            self._search(alive)

    def _search(self, alive: list[Worker]) -> None:
        """Search the whole queue for jobs without a workflow.

        It is done rarely enough that all processes together do not keep the database busy.
        """
        began = self._now()
        served = {worker.queue_version for worker in alive if worker.jobs_at_once}
        if served:  # includes this process's version: enqueueing such a job again would not change its version
            served.add(QUEUE_VERSION)
        running = [job_id for job_id, _ in backups.list_running(self._runtime)]
        self._queue.enqueue_stranded(running, served)
        ended = self._now()
        self._next_search = ended + max(_SEARCH_SECONDS, _REST * (ended - began))
