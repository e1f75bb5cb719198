"""Statements on log settings."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from logkeep.database.connection import upsert
from logkeep.database.tables import log_settings
from logkeep.domain.log_setting import LogSetting


def fetch_setting(connection: Connection, cluster_id: str) -> LogSetting | None:
    row = connection.execute(select(log_settings).where(log_settings.c.cluster_id == cluster_id)).first()
    return _setting(row) if row else None


def lock_setting(connection: Connection, cluster_id: str) -> LogSetting | None:
    """The setting as it is now; nobody else changes it or starts a backup by it until the transaction ends."""
    statement = select(log_settings).where(log_settings.c.cluster_id == cluster_id)
    row = connection.execute(statement.with_for_update()).first()
    return _setting(row) if row else None


def save_setting(connection: Connection, setting: LogSetting, last_due: int | None = None) -> None:
    """Insert or replace; `last_due` (Unix ms) is the daily moment from which on a policy is served."""
    values = {
        "enabled": setting.enabled,
        "agency": setting.agency,
        "bucket": setting.bucket,
        "base_path": setting.base_path,
        "period": setting.period,
        "updated_at": setting.updated_at,
        "failures_cleared_at": setting.failures_cleared_at,
        "adaptive": setting.adaptive,
    }
    if last_due is not None:
        values["last_due"] = last_due
    insert = upsert(connection.dialect)(log_settings).values(id=setting.id, cluster_id=setting.cluster_id, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["cluster_id"], set_=values))


def fetch_policies(connection: Connection) -> list[tuple[LogSetting, int]]:
    """Settings with a daily policy, and the daily moment (Unix ms) that each was served last."""
    statement = select(log_settings).where(log_settings.c.enabled, log_settings.c.period.is_not(None))
    return [(_setting(row), row.last_due) for row in connection.execute(statement)]


def claim_due(connection: Connection, cluster_id: str, served: int, due: int) -> bool:
    """Take the daily moment `due` for this process; False where another one did."""
    statement = update(log_settings).where(log_settings.c.cluster_id == cluster_id, log_settings.c.last_due == served)
    return connection.execute(statement.values(last_due=due)).rowcount > 0


def save_extra_due(connection: Connection, cluster_id: str, due: int | None) -> None:
    """The moment (Unix ms) of a run besides the daily one; None for none."""
    connection.execute(update(log_settings).where(log_settings.c.cluster_id == cluster_id).values(extra_due=due))


def fetch_extra_due(connection: Connection, cluster_id: str) -> int | None:
    statement = select(log_settings.c.extra_due).where(log_settings.c.cluster_id == cluster_id)
    return connection.execute(statement).scalar()


def fetch_extra_runs(connection: Connection, now: int) -> list[tuple[LogSetting, int]]:
    """Settings whose run besides the daily one is due, and its moment (Unix ms)."""
    c = log_settings.c
    statement = select(log_settings).where(c.enabled, c.adaptive, c.extra_due <= now)
    return [(_setting(row), row.extra_due) for row in connection.execute(statement)]


def claim_extra(connection: Connection, cluster_id: str, due: int) -> bool:
    """Take the moment `due` for this process; False where another one did."""
    statement = update(log_settings).where(log_settings.c.cluster_id == cluster_id, log_settings.c.extra_due == due)
    return connection.execute(statement.values(extra_due=None)).rowcount > 0


def _setting(row: Row[*tuple[Any, ...]]) -> LogSetting:
    return LogSetting(
        row.id,
        row.cluster_id,
        row.enabled,
        row.agency,
        row.bucket,
        row.base_path,
        row.period,
        row.updated_at,
        row.failures_cleared_at,
        row.adaptive,
    )
