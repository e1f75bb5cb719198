"""What nobody works on goes back into the queue. Every process looks, again and again, at how things are."""

from __future__ import annotations

from collections.abc import Collection

from logkeep.service import backups, workers
from logkeep.service.context import Context
from logkeep.work.queue import Queue

_SELDOM = 3  # looks


class Takeover:
    def __init__(self, context: Context, queue: Queue, worker_id: str, carried_out: Collection[str]) -> None:
        """`carried_out` are the ids of the workflows that this process works on, at any time."""
        self._context = context
        self._queue = queue
        self._worker_id = worker_id
        self._carried_out = carried_out
        self._looks = 0

    def look(self) -> None:
        alive = [worker for worker in workers.list_workers(self._context) if worker.alive]
        self._queue.take_over({self._worker_id, *(worker.id for worker in alive)})
        self._queue.give_back_lost(self._worker_id, self._carried_out)
        if self._looks % _SELDOM == 0:
            served = {worker.queue_version for worker in alive if worker.jobs_at_once}
            running = [job_id for job_id, _ in backups.list_running(self._context)]
            self._queue.enqueue_stranded(running, served)
        self._looks += 1
