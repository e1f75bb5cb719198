"""End of a job: its record, what it says of failures, and its metrics."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from logkeep.database import findings, jobs
from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.errors import JobCancelled, JobSuperseded
from logkeep.service.forecasts import look_ahead
from logkeep.service.job_log import log_end
from logkeep.service.meter import EndedJob
from logkeep.service.runtime import Runtime

_MAX_MESSAGE = 2000  # characters


def end_job(runtime: Runtime, job: BackupJob, failures: Sequence[str]) -> BackupJob:
    """Return the record of the ended job: SUCCESS if nothing failed."""
    status = JobStatus.FAIL if failures else JobStatus.SUCCESS
    message = _message(failures) if failures else None
    finished_at = max(runtime.clock.now_ms(), job.created_at)
    return msgspec.structs.replace(job, status=status, finished_at=finished_at, failed_msg=message)


def record_end(
    connection: Connection, ended: BackupJob, now: int, *, attempt: int, manifest_job_id: str | None = None
) -> None:
    """Write the record, and warnings of what the next backups may be too late for.

    `now` (Unix ms) is earlier than the record tells where the clock was ahead before. Raises `JobSuperseded` if the job
    has ended, or another attempt has begun.
    """
    if not jobs.finish_job(connection, ended, now, attempt=attempt, manifest_job_id=manifest_job_id):
        raise JobSuperseded()
    for one in look_ahead(connection, ended, now):
        findings.insert_findings(connection, ended.job_id, one.node, [one])


def count_job(
    runtime: Runtime,
    ended: BackupJob,
    found: findings.Findings,
    failures: Sequence[str],
    kept: tuple[int, int],
    *,
    cluster_name: str,
) -> None:
    """Count the ended job in the metrics, and log what became of it. It `kept` plain and stored bytes."""
    raw, stored = kept
    counted = EndedJob(
        job=ended,
        raw=raw,
        stored=stored,
        lost=[gap.at_least for gap in found.gaps],
        codes=[failure.partition(":")[0] for failure in failures],
        warnings=[warning.code for warning in found.warnings],
    )
    runtime.meter.count_job(counted)
    log_end(counted, cluster_name, cancelled=JobCancelled.code in counted.codes)


def _message(failures: Sequence[str]) -> str:
    shown: list[str] = []
    for failure in failures:
        if shown and len("; ".join([*shown, failure])) > _MAX_MESSAGE:
            break
        shown.append(failure[:_MAX_MESSAGE])
    more = len(failures) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
