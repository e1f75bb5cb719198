"""Statements on heartbeats."""

from __future__ import annotations

from sqlalchemy import Connection

from logkeep.database.connection import upsert
from logkeep.database.tables import heartbeats


def save_heartbeat(connection: Connection, worker: str, at: int) -> None:
    insert = upsert(connection.dialect)(heartbeats).values(worker=worker, at=at)
    connection.execute(insert.on_conflict_do_update(index_elements=["worker"], set_={"at": at}))
