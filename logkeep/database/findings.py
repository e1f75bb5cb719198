"""Statements on what a job met on a node besides segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from logkeep.database.bodies import decode_body, encode_body
from logkeep.database.connection import of
from logkeep.database.tables import findings, jobs
from logkeep.database.warnings import fetch_warnings
from logkeep.domain.forecast import Forecast
from logkeep.domain.manifest import Gap, Sighting
from logkeep.domain.warning import JobWarning

_KINDS = {Gap: "gap", Sighting: "sighting", Forecast: "forecast", str: "failure"}


_CLUSTER = select(jobs.c.cluster_id).where(*of(jobs.c.job_id)).scalar_subquery()
_INSERT = findings.insert().values(cluster_id=_CLUSTER)
_FOUND = select(findings.c.kind, findings.c.body).where(*of(findings.c.job_id)).order_by(findings.c.id)


def insert_findings(
    connection: Connection, job_id: str, node: str, found: Sequence[Gap | Sighting | Forecast | str]
) -> None:
    """Insert gaps, sightings, forecasts, and failures as text."""
    of_node = {"job_id": job_id, "of_job_id": job_id, "node": node}
    rows = [of_node | {"kind": _KINDS[type(one)], "body": encode_body(one)} for one in found]
    if rows:
        connection.execute(_INSERT, rows)


def delete_failures(connection: Connection, job_id: str, node: str) -> None:
    """Delete the read failures of an earlier attempt."""
    connection.execute(
        findings.delete().where(findings.c.job_id == job_id, findings.c.node == node, findings.c.kind == "failure")
    )


@dataclass(frozen=True, slots=True)
class Findings:
    gaps: tuple[Gap, ...]
    sightings: tuple[Sighting, ...]
    failures: tuple[str, ...]
    warnings: tuple[JobWarning, ...] = ()


def fetch_findings(connection: Connection, job_id: str) -> Findings:
    rows = connection.execute(_FOUND, {"of_job_id": job_id}).all()

    def all_of(kind: str, of_type: Any) -> Any:
        return tuple(decode_body(row.body, of_type) for row in rows if row.kind == kind)

    told = fetch_warnings(connection, job_id)
    return Findings(all_of("gap", Gap), all_of("sighting", Sighting), all_of("failure", str), told)
