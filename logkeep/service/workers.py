"""The processes of an installation: which there are, and which of them live."""

from __future__ import annotations

from logkeep.database import workers
from logkeep.database.connection import reading, writing
from logkeep.domain.worker import Worker
from logkeep.service.context import Context

_FORGOTTEN_AFTER_MS = 3_600_000  # until then a worker that died is shown


def beat(context: Context, worker: Worker) -> None:
    """Raises `CatalogueError` where the database does not take it."""
    with writing(context.database) as connection:
        workers.save_beat(connection, worker)


def list_workers(context: Context) -> list[Worker]:
    """Those that live, and those that died within the last hour."""
    with reading(context.database) as connection:
        return workers.fetch_workers(connection)


def leave(context: Context, worker_id: str) -> None:
    with writing(context.database) as connection:
        workers.delete_worker(connection, worker_id)


def forget_others(context: Context) -> None:
    """For a process that is alone with its database: whoever else there was is gone."""
    with writing(context.database) as connection:
        workers.delete_workers(connection, silent_ms=-1)


def forget_dead(context: Context) -> None:
    with writing(context.database) as connection:
        workers.delete_workers(connection, _FORGOTTEN_AFTER_MS)
