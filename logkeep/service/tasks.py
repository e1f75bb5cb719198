"""The tasks of a project: its backups and the daily runs that it missed; and starting what failed again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice
from operator import attrgetter

from sqlalchemy import Connection, Engine

from logkeep.database import jobs, missed_runs, tasks
from logkeep.database.connection import reading
from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.cluster import Cluster
from logkeep.domain.policy import LATE_MS, missed_moments
from logkeep.domain.task import LONGEST_TEXT, Task, TaskFilter, TaskPage, TaskPosition, TaskState, find_text, fold
from logkeep.errors import InvalidField, NothingToRetry
from logkeep.service import backups
from logkeep.service.clusters import get_cluster
from logkeep.service.runtime import Runtime

MOST_COUNTED = 10_000  # of a state, where no sum is kept
_LOOKED_AT = 10_000  # by a search of text; read at once
_PAGE = 5000  # tasks read at a time where many are
_SUMMED = 500  # of them at a time: what their jobs did is read as they are given out
_DAY_MS = 24 * 60 * 60 * 1000
_POSITION = attrgetter("position")


def list_tasks(
    runtime: Runtime, project_id: str, wanted: TaskFilter, *, after: TaskPosition | None = None, limit: int = 50
) -> TaskPage:
    """Return one page of tasks, newest first and ties by id, and how many there are of each state.

    Raises `ClusterNotFound` if the project has no such cluster. New tasks move no page that begins after a position.
    """
    if wanted.cluster_id:
        get_cluster(runtime, project_id, wanted.cluster_id)
    _check_text(wanted.text)
    lister = _Lister(runtime.database, project_id, runtime.clock.now_ms())
    page = lister.search(wanted, after, limit) if wanted.text else lister.read(wanted, after, limit)
    return replace(page, tasks=lister.add_sums(page.tasks))


def find_late(runtime: Runtime, cluster: Cluster, due_at: int) -> Task | None:
    """Return the run of a cluster that was due at a moment and missed; None where it is not known any more."""
    wanted = TaskFilter(cluster_id=cluster.id, state=TaskState.MISSED, since=due_at, until=due_at + 1)
    with reading(runtime.database) as connection:
        found = tasks.fetch_missed(connection, cluster.project_id, wanted, None, 1)
    return _missed_task(*found[0]) if found else None


def iterate_tasks(runtime: Runtime, project_id: str, wanted: TaskFilter) -> Iterator[Task]:
    """Yield all tasks that the filter finds, in pages; a search of text looks at all of them.

    Raises `ClusterNotFound` at once if the project has no such cluster.
    """
    if wanted.cluster_id:
        get_cluster(runtime, project_id, wanted.cluster_id)
    _check_text(wanted.text)
    return _Lister(runtime.database, project_id, runtime.clock.now_ms()).iterate(wanted)


def retry_job(runtime: Runtime, project_id: str, job_id: str) -> BackupJob:
    """Start a backup of the cluster whose job failed: it keeps what is new, and so what failed as well.

    Raises `NothingToRetry` for a job that did not fail, or after which another succeeded, `InvalidField` if the project
    has no such job, and what `start_backup` raises.
    """
    with reading(runtime.database) as connection:
        found = jobs.fetch_project_job(connection, project_id, job_id)
        if found is None:
            raise InvalidField("job_id", "the project has no such job")
        job, _ = found
        later = jobs.fetch_success_after(connection, job)
    if job.status is JobStatus.SUCCESS:
        raise NothingToRetry(f"Job {job_id} succeeded, there is nothing to retry; start a backup to keep what is new.")
    if job.status is JobStatus.RUNNING:
        raise NothingToRetry(f"Job {job_id} is running; wait until it has ended, or cancel it.")
    if later is not None:
        raise NothingToRetry(
            f"What job {job_id} could not keep, job {later.job_id} kept since, as far as nodes still had it; there is "
            "nothing to retry. Start a backup to keep what is new."
        )
    return backups.start_backup(runtime, get_cluster(runtime, project_id, job.cluster_id))


def find_version(runtime: Runtime, project_id: str, cluster_id: str = "") -> str:
    """Return a short token that changes when the list may have. It is cheap, for who asks again and again."""
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        numbers = tasks.fetch_version(connection, project_id, cluster_id)
        overdue = missed_runs.fetch_overdue(connection, project_id, cluster_id, now - LATE_MS)
    missed = sorted((one.cluster_id, missed_moments(one.due_at, now)[-1]) for one in overdue)
    return hashlib.sha256(repr((numbers, missed)).encode()).hexdigest()[:16]


def remove_old_missed(runtime: Runtime, keep_days: int) -> None:
    """Delete missed runs of so many days ago, some at each call."""
    missed_runs.delete_missed(runtime.database, runtime.clock.now_ms() - keep_days * _DAY_MS)


def _check_text(text: str) -> None:
    """Raise `InvalidField` for a text that takes too long to look for."""
    if len(text) > LONGEST_TEXT:
        raise InvalidField("text", f"has {len(text)} characters; at most {LONGEST_TEXT} are allowed")


@dataclass(frozen=True, slots=True)
class _Lister:
    """Reads the tasks of a project as they are at one moment."""

    database: Engine
    project_id: str
    now: int  # Unix ms

    def read(self, wanted: TaskFilter, after: TaskPosition | None, limit: int) -> TaskPage:
        with reading(self.database) as connection:
            found = self._fetch(connection, wanted, after, limit + 1)
            counts, counted_all = self._count(connection, wanted)
        return TaskPage(found[:limit], counts, counted_all, _more(found, limit), None)

    def search(self, wanted: TaskFilter, after: TaskPosition | None, limit: int) -> TaskPage:
        """Find a text in the newest tasks, `_LOOKED_AT` of those that pass the rest; and as many for the counts."""
        found, partly = self._find(replace(wanted, state=TaskState.ALL))
        counts, counted_all = Counter(task.state for task in found), partly is None
        if wanted.state is not TaskState.ALL:
            found = [task for task in found if task.state is wanted.state]
            if partly is not None:
                found, partly = self._find(wanted)
                counts[wanted.state] = len(found)
        if after is not None:
            found = [task for task in found if task.position < after]
        return TaskPage(found[:limit], _with_all(counts), counted_all, _more(found, limit), partly)

    def iterate(self, wanted: TaskFilter) -> Iterator[Task]:
        text, after = fold(wanted.text), None
        while True:
            with reading(self.database) as connection:
                page = self._fetch(connection, wanted, after, _PAGE)
            found = [task for task in page if not text or find_text(text, task)]
            for at in range(0, len(found), _SUMMED):
                yield from self.add_sums(found[at : at + _SUMMED])
            if len(page) < _PAGE:
                return
            after = page[-1].position

    def add_sums(self, found: Sequence[Task]) -> list[Task]:
        """Return the tasks with what their jobs did so far."""
        with reading(self.database) as connection:
            sums = tasks.fetch_sums(connection, [task.job.job_id for task in found if task.job])
        return [_with_sums(task, sums.get(task.job.job_id)) if task.job else task for task in found]

    def _find(self, wanted: TaskFilter) -> tuple[list[Task], int | None]:
        """Return what contains the text, and the moment (Unix ms) of the last one looked at; None for the end."""
        text = fold(wanted.text)
        with reading(self.database) as connection:
            looked = self._fetch(connection, wanted, None, _LOOKED_AT + 1)
        stopped = len(looked) > _LOOKED_AT
        found = [task for task in looked[:_LOOKED_AT] if find_text(text, task)]
        return found, looked[_LOOKED_AT - 1].at if stopped else None

    def _fetch(self, connection: Connection, wanted: TaskFilter, after: TaskPosition | None, limit: int) -> list[Task]:
        """Return the newest tasks after a position; text is not looked at."""
        found = [_job_task(*row) for row in tasks.fetch_jobs(connection, self.project_id, wanted, after, limit)]
        found = sorted(found, key=_POSITION, reverse=True)[:limit]
        if _asks_missed(wanted):
            if len(found) == limit:  # older ones are not of this page
                wanted = replace(wanted, since=found[-1].at)
            overdue = self._fetch_overdue(connection, wanted)
            found += islice(merge(*(_overdue_tasks(one, after) for one in overdue), key=_POSITION, reverse=True), limit)
            stored = tasks.fetch_missed(connection, self.project_id, wanted, after, limit)
            found += [_missed_task(*row) for row in stored]
        return sorted(found, key=_POSITION, reverse=True)[:limit]

    def _fetch_overdue(self, connection: Connection, wanted: TaskFilter) -> list[tuple[missed_runs.Overdue, range]]:
        """Return the runs that are due and have not started, with those of their missed moments that are asked for."""
        before = self.now - LATE_MS
        overdue = missed_runs.fetch_overdue(connection, self.project_id, wanted.cluster_id, before)
        spans = ((one, missed_moments(one.due_at, self.now)) for one in overdue)
        return [(one, _within(moments, wanted.since, wanted.until)) for one, moments in spans]

    def _count(self, connection: Connection, wanted: TaskFilter) -> tuple[dict[TaskState, int], bool]:
        """Count by state, and whether all were counted."""
        counted = tasks.count_jobs(connection, self.project_id, wanted, MOST_COUNTED)
        counts = {TaskState(status.value): number for status, number in counted.items()}
        bounded = set[TaskState]() if tasks.is_summed(wanted) else set(counts)
        if wanted.type is not JobType.MANUAL:
            overdue = sum(len(moments) for _, moments in self._fetch_overdue(connection, wanted))
            stored = tasks.count_missed(connection, self.project_id, wanted, MOST_COUNTED)
            counts[TaskState.MISSED] = stored + overdue
            bounded.add(TaskState.MISSED)
        stopped = {state for state in bounded if counts[state] > MOST_COUNTED}
        return _with_all(counts | dict.fromkeys(stopped, MOST_COUNTED)), not stopped


def _asks_missed(wanted: TaskFilter) -> bool:
    return wanted.state in {TaskState.ALL, TaskState.MISSED} and wanted.type is not JobType.MANUAL


def _within(moments: range, since: int | None, until: int | None) -> range:
    """Return the moments from `since` on and before `until`."""
    if not moments:
        return moments
    days = max(0, since - moments.start + _DAY_MS - 1) // _DAY_MS if since is not None else 0
    stop = moments.stop if until is None else min(moments.stop, until)
    return range(moments.start + days * _DAY_MS, stop, _DAY_MS)


def _more(found: Sequence[Task], limit: int) -> TaskPosition | None:
    return found[limit - 1].position if len(found) > limit else None


def _with_all(counts: Mapping[TaskState, int]) -> dict[TaskState, int]:
    return {state: counts.get(state, 0) for state in TaskState} | {TaskState.ALL: sum(counts.values())}


def _with_sums(task: Task, sums: tasks.Sums | None) -> Task:
    return replace(task, **sums._asdict()) if sums else task


def _job_task(job: BackupJob, cluster: str) -> Task:
    return Task(
        cluster_id=job.cluster_id,
        cluster=cluster,
        state=TaskState(job.status.value),
        type=job.type,
        at=job.created_at,
        job=job,
    )


def _missed_task(
    cluster_id: str, cluster: str, due_at: int, late_job_id: str = "", started_at: int | None = None
) -> Task:
    return Task(
        cluster_id=cluster_id,
        cluster=cluster,
        state=TaskState.MISSED,
        type=JobType.AUTO,
        at=due_at,
        job=None,
        late_job_id=late_job_id,
        late_ms=None if started_at is None else max(0, started_at - due_at),
    )


def _overdue_tasks(overdue: tuple[missed_runs.Overdue, range], after: TaskPosition | None) -> Iterator[Task]:
    """Yield the moments of a run that is overdue after a position, newest first."""
    one, moments = overdue
    tasks_ = (_missed_task(one.cluster_id, one.cluster, moment) for moment in reversed(moments))
    return (task for task in tasks_ if after is None or task.position < after)
