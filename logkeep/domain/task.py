"""Tasks: the backups of a project and the daily runs that it missed, as one list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from logkeep.domain.backup_job import BackupJob, JobType

LONGEST_TEXT = 200  # characters that are looked for


class TaskState(StrEnum):
    """What became of a task; ALL only asks."""

    ALL = ""
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"
    MISSED = "MISSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks are asked for."""

    cluster_id: str = ""  # '' for all clusters of the project
    state: TaskState = TaskState.ALL
    type: JobType | None = None  # missed runs are of JobType.AUTO
    since: int | None = None  # Unix ms: created, or due, from then on
    until: int | None = None  # before
    text: str = ""  # in the cluster's name, job id, path or failure message; the case of ASCII letters is ignored


class TaskPosition(NamedTuple):
    """Place of a task in the list, which is newest first and ties by id: what comes first is greater."""

    at: int  # Unix ms
    id: str  # of the job's record; of a missed run that of its cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One row of the list."""

    cluster_id: str
    cluster: str  # its name
    state: TaskState  # never ALL
    type: JobType
    at: int  # Unix ms: when the job was created, or the run was due
    job: BackupJob | None  # None for a missed run
    late_job_id: str = ""  # of a missed run: the job that was started late for it
    late_ms: int | None = None  # by how much it was; None where no record tells
    nodes: int = 0  # that the job has begun
    nodes_done: int = 0  # and ended, also those that failed
    nodes_failed: int = 0
    raw: int = 0  # plain bytes kept
    stored: int = 0  # bytes in the bucket
    gaps: int = 0  # that the job met
    warnings: int = 0  # that it gave

    @property
    def position(self) -> TaskPosition:
        return TaskPosition(self.at, self.job.id if self.job else self.cluster_id)


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some of the tasks that a filter finds."""

    tasks: list[Task]
    counts: dict[TaskState, int]  # by state, of all that the filter finds without its state; ALL included
    counted_all: bool  # False where a count stopped at its bound
    more: TaskPosition | None  # after which the next page begins; None at the end
    partly: int | None  # Unix ms: a search of text stopped at its bound there, and looked at no older ones


def find_text(text: str, task: Task) -> bool:
    """Return whether the cluster's name, the job's id, its path or its failure message contains a folded text."""
    job = task.job
    if job is None:
        return text in fold(task.cluster) or text in task.late_job_id
    return any(text in fold(part) for part in (task.cluster, job.job_id, job.log_path, job.failed_msg or ""))


def fold(text: str) -> str:
    """Write ASCII letters small."""
    return text.lower() if text.isascii() else text.translate(_SMALL)


_SMALL = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
