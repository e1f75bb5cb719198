"""A log backup job: the record listed by the API."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class JobStatus(StrEnum):
    """State of a backup: RUNNING becomes SUCCESS or FAIL, once."""

    # `database.jobs.finish_job` alone carries that out.

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"


class JobType(StrEnum):
    """Who started a backup: somebody, or the policy of the cluster."""

    MANUAL = "Manual"
    AUTO = "Auto"


class StatusFilter(StrEnum):
    """Values of the `status` query parameter of the record list."""

    ALL = ""
    FAIL = "FAIL"
    NOT_FAIL = "NOT_FAIL"  # RUNNING or SUCCESS


class BackupJob(msgspec.Struct, frozen=True):  # not a dataclass: each page creates many, five times as fast
    """One run of log backup for one cluster."""

    id: str  # UUID of the record
    job_id: str  # 32 hex digits, the id that clients use
    cluster_id: str
    type: JobType
    status: JobStatus
    bucket: str
    base_path: str
    created_at: int  # Unix ms
    finished_at: int | None = None  # Unix ms, None while RUNNING
    failed_msg: str | None = None  # None unless FAIL

    @property
    def log_path(self) -> str:
        return f"{self.bucket}/{self.base_path}"


def split_failures(failed_msg: str) -> list[str]:
    """Return the failures that the message of a record names, each led by its code."""
    return failed_msg.replace("; LK-", "\nLK-").split("\n") if failed_msg else []
