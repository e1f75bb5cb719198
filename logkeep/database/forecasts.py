"""Statements on how long each log may wait for its next backup."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Dialect, bindparam, delete, func, or_, select, update

from logkeep.database.connection import in_batches, of, upsert
from logkeep.database.tables import forecasts
from logkeep.domain.forecast import Forecast

_SAFE_UNTIL = forecasts.c.kept_at + forecasts.c.margin
_MOST = 1000  # warnings of one job
_SOONEST = (
    select(forecasts.c.node, forecasts.c.family, _SAFE_UNTIL.label("safe_until"))
    .where(*of(forecasts.c.cluster_id), bindparam("before", type_=BigInteger) > _SAFE_UNTIL)
    .order_by(_SAFE_UNTIL, forecasts.c.node, forecasts.c.family)
    .limit(_MOST)
)


def save_margins(
    connection: Connection, cluster_id: str, node: str, kept_at: int, margins: Mapping[str, int | None]
) -> None:
    """Record that what was written to these families before `kept_at` is archived; delete a margin (ms) of None."""
    of_node = (forecasts.c.cluster_id == cluster_id, forecasts.c.node == node)
    rows = [
        {"cluster_id": cluster_id, "node": node, "family": family, "kept_at": kept_at, "margin": margin}
        for family, margin in margins.items()
        if margin is not None
    ]
    for some in in_batches([family for family, margin in margins.items() if margin is None]):
        connection.execute(delete(forecasts).where(*of_node, forecasts.c.family.in_(some)))
    if rows:
        connection.execute(_save_margin(connection.dialect), rows)


@cache
def _save_margin(dialect: Dialect) -> Any:
    """Build the statement once: building it takes longer than running it."""
    insert = upsert(dialect)(forecasts)
    changes = {name: insert.excluded[name] for name in ("kept_at", "margin")}
    return insert.on_conflict_do_update(index_elements=["cluster_id", "node", "family"], set_=changes)


def renew_margins(connection: Connection, cluster_id: str, node: str, kept_at: int) -> None:
    """Record that everything on the node is archived, as nothing had changed there."""
    statement = update(forecasts).where(forecasts.c.cluster_id == cluster_id, forecasts.c.node == node)
    connection.execute(statement.values(kept_at=kept_at))


def fetch_soonest(connection: Connection, cluster_id: str, before: int, next_run: int | None) -> list[Forecast]:
    """Return the logs that may lose lines before a time (Unix ms), the soonest first."""
    rows = connection.execute(_SOONEST, {"of_cluster_id": cluster_id, "before": before})
    return [Forecast(row.node, row.family, row.safe_until, next_run) for row in rows]


def fetch_safe_until(connection: Connection, cluster_id: str, now: int, since: int) -> int | None:
    """Return the soonest time at which a log may lose lines.

    A time that has passed counts only if the log was archived at `since` or later. Otherwise a run before it has failed
    already, and another one would recover nothing.
    """
    statement = select(func.min(_SAFE_UNTIL)).where(
        forecasts.c.cluster_id == cluster_id, or_(now < _SAFE_UNTIL, forecasts.c.kept_at >= since)
    )
    return connection.execute(statement).scalar()
