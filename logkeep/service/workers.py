"""Worker processes of an installation, and which of them are alive."""

from __future__ import annotations

from logkeep.database import workers
from logkeep.database.connection import reading, writing
from logkeep.domain.worker import Worker
from logkeep.service.runtime import Runtime

_FORGOTTEN_AFTER_MS = 3_600_000  # how long a dead worker is still listed


def beat(runtime: Runtime, worker: Worker) -> None:
    """Record a heartbeat. Raises `CatalogueError` if the database does not accept it."""
    with writing(runtime.database) as connection:
        workers.save_beat(connection, worker)


def list_workers(runtime: Runtime) -> list[Worker]:
    """Return the workers that are alive, and those that died within the last hour."""
    with reading(runtime.database) as connection:
        return workers.fetch_workers(connection)


def leave(runtime: Runtime, worker_id: str) -> None:
    with writing(runtime.database) as connection:
        workers.delete_worker(connection, worker_id)


def forget_others(runtime: Runtime) -> None:
    """Delete all workers. Called at the start of the only process of a SQLite database: any others are gone."""
    with writing(runtime.database) as connection:
        workers.delete_workers(connection, silent_ms=-1)


def forget_dead(runtime: Runtime) -> None:
    with writing(runtime.database) as connection:
        workers.delete_workers(connection, _FORGOTTEN_AFTER_MS)
