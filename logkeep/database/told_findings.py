"""Statements that delete findings which nobody asks for any more. Gaps and failures stay, as long as their record."""

from __future__ import annotations

from sqlalchemy import Engine, and_, delete, func, or_, select

from logkeep.database.connection import reading, writing
from logkeep.database.tables import findings, jobs

_LOOKED_AT = 500  # rows of one call
_f = findings.c


def delete_told(engine: Engine, ended_before: int, after: int) -> int:
    """Look at the next rows after an id; delete what is of no use. Return the last id looked at, 0 at the end.

    Sightings are of use until a manifest tells of them, forecasts until their job ended before a moment.
    """
    some = select(_f.id).where(_f.id > after).order_by(_f.id).limit(_LOOKED_AT).subquery()
    with reading(engine) as connection:
        last = connection.execute(select(func.max(some.c.id))).scalar()
        if last is None:
            return 0
        told = and_(_f.kind == "sighting", jobs.c.manifest_job_id.is_not(None))
        past = and_(_f.kind == "forecast", jobs.c.finished_at < ended_before)
        statement = select(_f.id).join(jobs, jobs.c.job_id == _f.job_id)
        ids = connection.execute(statement.where(_f.id > after, _f.id <= last, or_(told, past))).scalars().all()
    if ids:
        with writing(engine) as connection:
            connection.execute(delete(findings).where(_f.id.in_(ids)))
    return last
