"""Processes that share one database."""

from __future__ import annotations

from dataclasses import dataclass

QUEUE_VERSION = "2"  # raise it where workers of before must not take the jobs of now
# Beats come every two seconds. Together with the look for what is to be taken over, a job goes on within 15 seconds.
BEAT_SECONDS = 2.0
DEAD_AFTER_MS = 9_000


@dataclass(frozen=True, slots=True)
class Worker:
    """A process of an installation; one that only answers the API carries out no jobs."""

    id: str
    host: str
    pid: int
    version: str  # of Logkeep
    queue_version: str  # of the steps of a job, which only workers of the same one go on with
    revision: str  # of the tables that it expects
    jobs_at_once: int  # 0: it only answers
    started_at: int  # Unix ms, by the database's clock
    silent_ms: int = 0  # since its last beat, by the database's clock

    @property
    def alive(self) -> bool:
        return self.silent_ms < DEAD_AFTER_MS
