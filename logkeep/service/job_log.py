"""Log lines about jobs, one for each step of their lives."""

from __future__ import annotations

import structlog

from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service.meter import EndedJob

_LONGEST_ERROR = 500  # characters; the record has all
_log = structlog.get_logger("logkeep.backups")


def log_attempt(job: BackupJob, cluster: Cluster, attempt: int) -> None:
    """Log that this process carries out a job, from its beginning or from where another attempt stopped."""
    names = {"cluster": cluster.name, "cluster_id": cluster.id, "job_id": job.job_id, "type": job.type.value}
    if attempt == 1:
        _log.info("backup started", **names)
    else:
        _log.info("backup continued", **names, attempt=attempt)


def log_end(ended: EndedJob, cluster_name: str, *, cancelled: bool = False) -> None:
    """Log what became of a job: one line, whatever it did."""
    job = ended.job
    failed = job.status is JobStatus.FAIL
    found = {
        "cluster": cluster_name,
        "cluster_id": job.cluster_id,
        "job_id": job.job_id,
        "type": job.type.value,
        "status": job.status.value,
        **({"code": ended.codes[0] if ended.codes else ""} if failed else {}),
        "bytes": ended.raw,
        "stored": ended.stored,
        "gaps": len(ended.lost),
        "warnings": len(ended.warnings),
        "seconds": round(((job.finished_at or job.created_at) - job.created_at) / 1000, 1),
        **({"error": _shortened(job.failed_msg or "")} if failed else {}),
    }
    if cancelled:
        _log.info("backup cancelled", **found)
    elif failed:
        _log.error("backup ended", **found)
    else:
        _log.info("backup ended", **found)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_ERROR else text[: _LONGEST_ERROR - 1] + "…"
