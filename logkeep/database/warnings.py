"""Statements on what jobs say although they did not fail."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, func, select

from logkeep.database.connection import of, upsert
from logkeep.database.records import read_row, read_rows, values
from logkeep.database.tables import job_warnings
from logkeep.domain.coverage import ToldWarning
from logkeep.domain.warning import JobWarning

_Log = tuple[str, str]  # node, family
_WARNINGS = select(job_warnings).where(*of(job_warnings.c.job_id)).order_by(job_warnings.c.id)


def save_warnings(connection: Connection, cluster_id: str, job_id: str, warnings: Sequence[JobWarning]) -> None:
    """Insert warnings; one that the job has given before gets the new text."""
    rows = [{"cluster_id": cluster_id, "job_id": job_id, **_row(warning)} for warning in warnings]
    if rows:
        insert = upsert(connection.dialect)(job_warnings)
        changes = {"message": insert.excluded.message}
        connection.execute(insert.on_conflict_do_update(index_elements=["job_id", "key"], set_=changes), rows)


def fetch_warnings(connection: Connection, job_id: str, limit: int | None = None) -> tuple[JobWarning, ...]:
    """Return the warnings of a job in the order in which they were first given."""
    return tuple(read_rows(JobWarning, connection.execute(_WARNINGS.limit(limit), {"of_job_id": job_id})))


def fetch_told(
    connection: Connection, cluster_id: str, nodes: Sequence[str], family: str = ""
) -> dict[_Log, list[ToldWarning]]:
    """Return the warnings on logs of these nodes, by node and log; of equal ones of several jobs the last."""
    c = job_warnings.c
    of_logs = (c.cluster_id == cluster_id, c.node.in_(nodes), c.family == family if family else c.family != "")
    last = select(func.max(c.id)).where(*of_logs).group_by(c.node, c.key)
    found: dict[_Log, list[ToldWarning]] = defaultdict(list)
    for row in connection.execute(select(job_warnings).where(c.id.in_(last)).order_by(c.id)):
        found[row.node, row.family].append(ToldWarning(read_row(JobWarning, row), row.job_id))
    return found


def _row(warning: JobWarning) -> dict[str, str]:
    key = hashlib.sha256(msgspec.msgpack.encode(warning.key)).hexdigest()  # names of files are too long for an index
    return {**values(job_warnings, warning), "key": key}
