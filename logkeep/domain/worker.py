"""Worker processes that share one database."""

from __future__ import annotations

from dataclasses import dataclass

QUEUE_VERSION = "2"  # raise it when workers of an older release must not take new jobs
# With the interval at which workers look for jobs to take over, a dead worker's job resumes within 15 seconds.
BEAT_SECONDS = 2.0
DEAD_AFTER_MS = 9_000


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of an installation; a process that only answers the API runs no jobs."""

    id: str
    host: str
    pid: int
    version: str  # of Logkeep
    queue_version: str  # a job can only be taken over by a worker of the same queue version
    revision: str  # schema revision of the database that it expects
    jobs_at_once: int  # 0: it only answers the API
    started_at: int  # Unix ms, by the database's clock
    silent_ms: int = 0  # since its last heartbeat, by the database's clock

    @property
    def alive(self) -> bool:
        return self.silent_ms < DEAD_AFTER_MS
