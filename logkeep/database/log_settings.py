"""Statements on log settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, literal_column, or_, select, update

from logkeep.database.connection import of, upsert
from logkeep.database.records import read_row, values
from logkeep.database.tables import clusters, job_counts, jobs, log_settings
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.policy import PolicyHistory


class PlannedRuns(NamedTuple):
    """When (Unix ms) the next runs of a cluster start; None for none."""

    daily: int | None = None
    extra: int | None = None
    adaptive: bool = False  # extra runs are planned, as log backup is open

    def moments(self) -> list[int]:
        return [moment for moment in (self.daily, self.extra) if moment is not None]


_SETTING = select(log_settings).where(*of(log_settings.c.cluster_id))
_PLANNED = select(
    log_settings.c.due_at,
    log_settings.c.extra_due,
    and_(log_settings.c.enabled, log_settings.c.adaptive).label("adaptive"),
).where(*of(log_settings.c.cluster_id))


def fetch_setting(connection: Connection, cluster_id: str) -> LogSetting | None:
    row = connection.execute(_SETTING, {"of_cluster_id": cluster_id}).first()
    return read_row(LogSetting, row) if row else None


def lock_setting(connection: Connection, cluster_id: str) -> LogSetting | None:
    """Return the setting, and lock it against changes and backups by others until the transaction ends."""
    statement = select(log_settings).where(log_settings.c.cluster_id == cluster_id)
    row = connection.execute(statement.with_for_update()).first()
    return read_row(LogSetting, row) if row else None


def save_setting(connection: Connection, setting: LogSetting) -> None:
    """Insert or replace a setting; drop the plans of a policy that it no longer has."""
    changes = values(log_settings, setting)
    if setting.period is None:
        changes |= {"policy_since": None, "due_at": None, "missed_at": None}
    if not setting.adaptive:
        changes["extra_due"] = None
    insert = upsert(connection.dialect)(log_settings).values(**changes)
    del changes["id"], changes["cluster_id"]
    connection.execute(insert.on_conflict_do_update(index_elements=["cluster_id"], set_=changes))


def plan_policy(connection: Connection, cluster_id: str, since: int, due_at: int) -> None:
    """Set a new period, whose first run starts at `due_at`."""
    statement = update(log_settings).where(log_settings.c.cluster_id == cluster_id)
    connection.execute(statement.values(policy_since=since, due_at=due_at, missed_at=None))


def fetch_due(connection: Connection, now: int, most: int) -> list[tuple[LogSetting, int]]:
    """Return the settings whose daily run is due, and since when; omit clusters that have a running job."""
    c = log_settings.c
    statement = select(log_settings).where(c.due_at <= now, _idle()).order_by(c.due_at)
    return [(read_row(LogSetting, row), row.due_at) for row in connection.execute(statement.limit(most))]


def fetch_planned_after(connection: Connection, moment: int, most: int) -> list[tuple[LogSetting, int]]:
    """Return the settings whose next daily run is planned for later than `moment`, and for when."""
    c = log_settings.c
    statement = select(log_settings).where(c.due_at > moment).order_by(c.due_at.desc())
    return [(read_row(LogSetting, row), row.due_at) for row in connection.execute(statement.limit(most))]


def move_due(connection: Connection, cluster_id: str, due_at: int, next_due: int, missed_at: int | None) -> bool:
    """Claim the run of `due_at` for this process and plan the next one; False if another process claimed it."""
    statement = update(log_settings).where(log_settings.c.cluster_id == cluster_id, log_settings.c.due_at == due_at)
    return connection.execute(statement.values(due_at=next_due, missed_at=missed_at)).rowcount > 0


def fetch_runs(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, PolicyHistory]:
    """Return what is known of the runs of each policy, by cluster; omit clusters without a policy."""
    rows = connection.execute(RUNS.where(log_settings.c.cluster_id.in_(list(cluster_ids))))
    return {row[0]: policy_runs(row) for row in rows}


def fetch_project_runs(connection: Connection, project_id: str) -> dict[str, PolicyHistory]:
    """Return the same of each policy of a project."""
    mine = select(clusters.c.id).where(clusters.c.project_id == project_id)
    rows = connection.execute(RUNS.where(log_settings.c.cluster_id.in_(mine)))
    return {row[0]: policy_runs(row) for row in rows}


def policy_runs(row: Sequence[Any]) -> PolicyHistory:
    """Make the record of a row of `RUNS`."""
    _, since, due_at, missed_at, ran, last_success = row
    return PolicyHistory(since=since, due_at=due_at, missed_at=missed_at, ran=bool(ran), last_success=last_success)


def _runs() -> Select[*tuple[Any, ...]]:
    c, counted = log_settings.c, job_counts.alias("counted")
    any_job = exists().where(counted.c.cluster_id == c.cluster_id, counted.c.jobs > literal_column("0"))
    ran = or_(job_counts.c.last_at.is_not(None), any_job)
    succeeded = and_(job_counts.c.cluster_id == c.cluster_id, job_counts.c.status == literal_column("'SUCCESS'"))
    statement = select(c.cluster_id, c.policy_since, c.due_at, c.missed_at, ran.label("ran"), job_counts.c.last_at)
    return statement.outerjoin_from(log_settings, job_counts, succeeded).where(c.due_at.is_not(None))


RUNS = _runs()  # of every policy; without parameters, so that the driver can be asked by itself


def _idle() -> ColumnElement[bool]:
    running = jobs.c.status == str(JobStatus.RUNNING)
    return ~exists().where(jobs.c.cluster_id == log_settings.c.cluster_id, running)


def save_extra_due(connection: Connection, cluster_id: str, due: int | None) -> None:
    """Set the time (Unix ms) of a run besides the daily one; None for none."""
    connection.execute(update(log_settings).where(log_settings.c.cluster_id == cluster_id).values(extra_due=due))


def fetch_planned(connection: Connection, cluster_id: str) -> PlannedRuns:
    row = connection.execute(_PLANNED, {"of_cluster_id": cluster_id}).first()
    return PlannedRuns(row.due_at, row.extra_due, adaptive=bool(row.adaptive)) if row else PlannedRuns()


def fetch_extra_runs(connection: Connection, now: int, most: int) -> list[tuple[LogSetting, int]]:
    """Return the settings whose extra run is due, and its time (Unix ms)."""
    c = log_settings.c
    statement = select(log_settings).where(c.extra_due <= now, _idle()).order_by(c.extra_due)
    return [(read_row(LogSetting, row), row.extra_due) for row in connection.execute(statement.limit(most))]


def claim_extra(connection: Connection, cluster_id: str, due: int) -> bool:
    """Claim the extra run of `due` for this process; False if another one claimed it."""
    statement = update(log_settings).where(log_settings.c.cluster_id == cluster_id, log_settings.c.extra_due == due)
    return connection.execute(statement.values(extra_due=None)).rowcount > 0
