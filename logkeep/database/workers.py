"""Statements on the processes that share the database. All times are by its clock, as machines may differ."""

from __future__ import annotations

from sqlalchemy import Connection, select

from logkeep.database.connection import clock_ms, upsert
from logkeep.database.records import read_rows, values
from logkeep.database.tables import workers
from logkeep.domain.worker import Worker


def save_beat(connection: Connection, worker: Worker) -> None:
    """Save a heartbeat: the worker runs, and the database accepts its writes."""
    now = clock_ms(connection.dialect)
    row = {**values(workers, worker), "started_at": now, "seen_at": now}
    insert = upsert(connection.dialect)(workers).values(**row)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))


def fetch_workers(connection: Connection) -> list[Worker]:
    """Return all workers, dead ones included, the longest running first."""
    silent = (clock_ms(connection.dialect) - workers.c.seen_at).label("silent_ms")
    statement = select(workers, silent).order_by(workers.c.started_at, workers.c.id)
    return list(read_rows(Worker, connection.execute(statement)))


def delete_worker(connection: Connection, worker_id: str) -> None:
    connection.execute(workers.delete().where(workers.c.id == worker_id))


def delete_workers(connection: Connection, silent_ms: int) -> None:
    """Delete the workers whose last heartbeat is older than `silent_ms`."""
    connection.execute(workers.delete().where(workers.c.seen_at < clock_ms(connection.dialect) - silent_ms))
