"""What a backup left out, put straight into the tables."""

from __future__ import annotations

from sqlalchemy import insert

from logkeep.database.bodies import encode_body
from logkeep.database.connection import writing
from logkeep.database.tables import findings, job_warnings
from logkeep.domain.backup_job import BackupJob
from logkeep.domain.manifest import Gap
from tests.support.installation import Installation


def leave_out(installation: Installation, job: BackupJob, *, gaps: int = 0, warnings: int = 0, size: int = 0) -> None:
    """Have a job tell so many gaps, each of at least so many bytes, and warnings."""
    whose = {"job_id": job.job_id, "cluster_id": job.cluster_id, "node": "n1"}
    body = encode_body(Gap("n1", "es.log", "", "", size, "truncated"))
    warning = {"family": "", "file": "", "code": "LK-WARN-TEST", "message": "look at it"}
    with writing(installation.runtime.database) as connection:
        for _ in range(gaps):
            connection.execute(insert(findings).values(**whose, kind="gap", body=body))
        for number in range(warnings):
            connection.execute(insert(job_warnings).values(**whose, **warning, key=str(number)))
