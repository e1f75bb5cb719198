"""Statements on daily runs that were missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from logkeep.database.connection import delete_in_batches, upsert
from logkeep.database.tables import clusters, log_settings, missed_runs


class Overdue(NamedTuple):
    """A daily run that is due and has not started."""

    cluster_id: str
    cluster: str  # its name
    due_at: int  # Unix ms


def save_missed(connection: Connection, cluster_id: str, moments: Sequence[int], job_id: str) -> None:
    """Save the missed moments of a cluster, oldest first; the job is the one that was started late for the last."""
    if not moments:
        return
    rows = [{"cluster_id": cluster_id, "due_at": moment, "job_id": None} for moment in moments]
    rows[-1]["job_id"] = job_id
    # A moment comes twice where the clock was set back between.
    insert = upsert(connection.dialect)(missed_runs)
    again = {"job_id": insert.excluded.job_id}
    connection.execute(insert.on_conflict_do_update(index_elements=["cluster_id", "due_at"], set_=again), rows)


def fetch_overdue(connection: Connection, project_id: str, cluster_id: str, before: int) -> list[Overdue]:
    """Return the runs of a project, or of one of its clusters, that were due before a moment and have not started."""
    c = log_settings.c
    statement = select(clusters.c.id, clusters.c.name, c.due_at).join_from(clusters, log_settings)
    statement = statement.where(clusters.c.project_id == project_id, c.due_at < before)
    if cluster_id:
        statement = statement.where(clusters.c.id == cluster_id)
    return [Overdue(*row) for row in connection.execute(statement)]


def delete_missed(engine: Engine, before: int) -> None:
    """Delete those that were due before a moment, some at each call."""
    delete_in_batches(engine, missed_runs.c.cluster_id, missed_runs.c.due_at < before, missed_runs.c.due_at)
