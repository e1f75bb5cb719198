"""The tasks of a project: backups and missed runs as one list, its filters and pages, and retrying what failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select

from logkeep.database import tables
from logkeep.database.connection import reading, writing
from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.cluster import Cluster
from logkeep.domain.policy import LATE_MS
from logkeep.domain.task import Task, TaskFilter, TaskPage, TaskState
from logkeep.domain.task_table import csv_lines
from logkeep.errors import ClusterNotFound, InvalidField, NothingToRetry
from logkeep.service import backups, log_settings, tasks
from tests.support.installation import Installation
from tests.support.left_out import leave_out

DAY = 24 * 3_600_000
PERIOD = "00:00 GMT+00:00"
ALL = TaskFilter()
MISSED = TaskFilter(state=TaskState.MISSED)


def listed(installation: Installation, wanted: TaskFilter = ALL, **asked: Any) -> TaskPage:
    return tasks.list_tasks(installation.runtime, installation.project.id, wanted, **asked)


def all_pages(installation: Installation, wanted: TaskFilter, limit: int) -> list[Task]:
    page = listed(installation, wanted, limit=limit)
    found = page.tasks
    while page.more:
        page = listed(installation, wanted, after=page.more, limit=limit)
        found += page.tasks
    return found


def add_records(installation: Installation, clusters: int, each: int, start: int = 1_000_000) -> list[BackupJob]:
    """Records put straight into the tables: of each cluster every third failed, every fifth was started by hand."""
    made: list[BackupJob] = []
    common = {"project_id": installation.project.id, "kind": "opensearch", "version": "", "endpoint": ""}
    ids = [f"00000000-0000-4000-8000-{n:012x}" for n in range(clusters)]
    with writing(installation.runtime.database) as connection:
        rows = [
            {"id": one, "name": f"Log-{n}", **common, "created_at": 1, "updated_at": 1} for n, one in enumerate(ids)
        ]
        connection.execute(insert(tables.clusters), rows)
        for number in range(clusters * each):
            failed, by_hand = number % 3 == 0, number % 5 == 0
            job = BackupJob(
                id=f"10000000-0000-4000-8000-{number:012x}",
                job_id=f"{number:032x}",
                cluster_id=ids[number % clusters],
                type=JobType.MANUAL if by_hand else JobType.AUTO,
                status=JobStatus.FAIL if failed else JobStatus.SUCCESS,
                bucket="logs",
                base_path="css/Log",
                created_at=start + number // 2 * 1000,  # two at a moment
                finished_at=start + number // 2 * 1000 + 500,
                failed_msg=f"LK-SOURCE-REFUSED: Node n{number} refuses" if failed else None,
            )
            made.append(job)
        rows = [tables_row(job) for job in made]
        connection.execute(insert(tables.jobs), rows)
        counts = {(job.cluster_id, job.status): 0 for job in made}
        for job in made:
            counts[job.cluster_id, job.status] += 1
        connection.execute(
            insert(tables.job_counts),
            [{"cluster_id": c, "status": s, "jobs": n, "last_at": start} for (c, s), n in counts.items()],
        )
    return sorted(made, key=lambda job: (job.created_at, job.id), reverse=True)


def tables_row(job: BackupJob) -> dict[str, Any]:
    names = ("id", "job_id", "cluster_id", "bucket", "base_path", "created_at", "finished_at", "failed_msg")
    return {name: getattr(job, name) for name in names} | {"type": job.type.value, "status": job.status.value}


def fail(installation: Installation, job: BackupJob) -> BackupJob:
    backups.cancel_job(installation.runtime, installation.project.id, job.job_id)
    return installation.job(job.job_id)


def jobs_of(found: list[Task]) -> list[str]:
    return [task.job.job_id for task in found if task.job]


def test_a_service_that_was_away_for_five_days_missed_five_runs_and_starts_one(
    installation: Installation, cluster: Cluster
) -> None:
    clock = installation.clock
    log_settings.start_policy(installation.runtime, cluster, PERIOD)
    first = clock.value // DAY * DAY + DAY
    clock.value = first + 4 * DAY + LATE_MS + 1
    overdue = listed(installation, MISSED)
    assert [(task.at, task.late_job_id) for task in overdue.tasks] == [(first + n * DAY, "") for n in (4, 3, 2, 1, 0)]
    [job] = backups.start_due_backups(installation.runtime)
    page = listed(installation)
    assert [(task.state, task.at) for task in page.tasks][:2] == [
        (TaskState.RUNNING, clock.value),
        (TaskState.MISSED, first + 4 * DAY),
    ]
    assert [task.late_job_id for task in page.tasks] == ["", job.job_id, "", "", "", ""]
    assert [task.late_ms for task in page.tasks] == [None, LATE_MS + 1, None, None, None, None]
    assert page.counts[TaskState.MISSED] == 5
    assert page.counts[TaskState.ALL] == 6


def test_a_policy_that_was_closed_or_changed_makes_up_no_missed_run(
    installation: Installation, cluster: Cluster
) -> None:
    log_settings.start_policy(installation.runtime, cluster, PERIOD)
    installation.clock.advance(3 * DAY)
    assert listed(installation, MISSED).counts[TaskState.MISSED] > 1
    log_settings.start_policy(installation.runtime, cluster, "03:00 GMT+00:00")
    assert listed(installation, MISSED).tasks == []
    installation.clock.advance(3 * DAY)
    log_settings.stop_policy(installation.runtime, cluster)
    backups.start_due_backups(installation.runtime)
    assert listed(installation).tasks == []


def test_a_run_on_time_is_no_missed_one(installation: Installation, cluster: Cluster) -> None:
    log_settings.start_policy(installation.runtime, cluster, PERIOD)
    installation.clock.value = installation.clock.value // DAY * DAY + DAY + LATE_MS
    backups.start_due_backups(installation.runtime)
    assert listed(installation, MISSED).tasks == []


def test_a_missed_moment_that_comes_again_after_the_clock_was_set_back_is_one(
    installation: Installation, cluster: Cluster
) -> None:
    clock, runtime = installation.clock, installation.runtime
    log_settings.start_policy(runtime, cluster, PERIOD)
    before = clock.value
    for _ in range(2):
        clock.value = before + 2 * DAY
        [job] = backups.start_due_backups(runtime)
        fail(installation, job)
        clock.value = before
        backups.start_due_backups(runtime)
    assert [task.late_job_id for task in listed(installation, MISSED).tasks if task.late_job_id] == [job.job_id]


def test_missed_runs_of_over_400_days_ago_are_removed(installation: Installation, cluster: Cluster) -> None:
    log_settings.start_policy(installation.runtime, cluster, PERIOD)
    installation.clock.advance(3 * DAY)
    backups.start_due_backups(installation.runtime)
    log_settings.stop_policy(installation.runtime, cluster)
    kept = listed(installation, MISSED).tasks
    installation.clock.value = kept[0].at + 400 * DAY
    tasks.remove_old_missed(installation.runtime, 400)
    assert listed(installation, MISSED).tasks == kept[:1]


def test_the_page_tells_what_each_job_did(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "es.log").write_bytes(b"[2026-11-24T06:40:21,123][INFO ] line\n" * 100)
    job = installation.back_up(cluster)
    [task] = listed(installation).tasks
    assert (task.job, task.cluster, task.state, task.at) == (job, "prod", TaskState.SUCCESS, job.created_at)
    assert (task.nodes, task.nodes_done, task.raw) == (1, 1, 3800)
    assert 0 < task.stored < task.raw


def test_the_page_tells_what_each_job_left_out(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "es.log").write_bytes(b"[2026-11-24T06:40:21,123][INFO ] line\n" * 100)
    whole, holed = installation.back_up(cluster), installation.back_up(cluster)
    leave_out(installation, holed, gaps=2, warnings=1)
    found = {task.job: (task.gaps, task.warnings) for task in listed(installation).tasks}
    assert found == {whole: (0, 0), holed: (2, 1)}
    [_, first, second] = csv_lines(tasks.iterate_tasks(installation.runtime, installation.project.id, ALL))
    assert (first[-9:], second[-9:]) == (",2,1,0,\r\n", ",0,0,0,\r\n")


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize(
    "wanted",
    [
        ALL,
        TaskFilter(state=TaskState.FAIL),
        TaskFilter(type=JobType.MANUAL),
        TaskFilter(type=JobType.AUTO, state=TaskState.SUCCESS),
        TaskFilter(since=1_005_000, until=1_020_000),
        TaskFilter(cluster_id="00000000-0000-4000-8000-000000000001"),
        TaskFilter(text="node N1"),
        TaskFilter(text="lOG-2", state=TaskState.SUCCESS),
    ],
)
def test_the_pages_hold_what_the_filter_finds_newest_first(
    installation: Installation, wanted: TaskFilter, limit: int
) -> None:
    made = [job for job in add_records(installation, 4, 12) if passes(job, wanted)]
    assert made
    assert jobs_of(all_pages(installation, wanted, limit)) == [job.job_id for job in made]
    assert jobs_of(list(tasks.iterate_tasks(installation.runtime, installation.project.id, wanted))) == [
        job.job_id for job in made
    ]
    page = listed(installation, wanted, limit=limit)
    counts = [TaskState(status.value) for status in JobStatus]
    every = [job for job in all_records(installation) if passes(job, replace(wanted, state=TaskState.ALL))]
    assert {state: page.counts[state] for state in counts} == {
        state: sum(job.status == state for job in every) for state in counts
    }
    assert (page.counts[TaskState.ALL], page.counted_all, page.partly) == (len(every), True, None)


def all_records(installation: Installation) -> list[BackupJob]:
    """The records that there are."""
    with reading(installation.runtime.database) as connection:
        rows = connection.execute(select(tables.jobs.c.job_id)).scalars().all()
    return [installation.job(one) for one in rows]


def passes(job: BackupJob, wanted: TaskFilter) -> bool:
    name = f"Log-{int(job.cluster_id[-4:], 16)}"
    told = f"{name}\n{job.job_id}\n{job.log_path}\n{job.failed_msg or ''}".lower()
    return (
        wanted.cluster_id in {"", job.cluster_id}
        and wanted.state in {"", job.status}
        and wanted.type in {None, job.type}
        and (wanted.since or 0) <= job.created_at < (wanted.until or 2**62)
        and wanted.text.lower() in told
    )


def test_a_page_stays_where_it_is_while_new_tasks_come(installation: Installation) -> None:
    made = [job.job_id for job in add_records(installation, 3, 6)]
    page = listed(installation, limit=5)
    with writing(installation.runtime.database) as connection:
        first = installation.job(made[0])
        newer = msgspec.structs.replace(first, id="f" * 36, job_id="f" * 32, created_at=first.created_at + 1)
        connection.execute(insert(tables.jobs), [tables_row(newer)])
    rest = listed(installation, after=page.more, limit=100)
    assert jobs_of(page.tasks + rest.tasks) == made


def test_a_search_says_where_it_stopped(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_LOOKED_AT", 20)
    monkeypatch.setattr(tasks, "_PAGE", 7)
    made = add_records(installation, 3, 10)
    page = listed(installation, TaskFilter(text="css/log"), limit=100)
    assert jobs_of(page.tasks) == [job.job_id for job in made[:20]]
    assert (page.partly, page.counted_all) == (made[19].created_at, False)
    failed = listed(installation, TaskFilter(text="css/log", state=TaskState.FAIL), limit=100)
    assert (len(failed.tasks), failed.partly, failed.counts[TaskState.FAIL]) == (10, None, 10)
    found = list(tasks.iterate_tasks(installation.runtime, installation.project.id, TaskFilter(text="css/log")))
    assert len(found) == 30, "an export looks at all"


def test_a_count_stops_at_its_bound_and_says_so(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MOST_COUNTED", 5)
    add_records(installation, 2, 12)
    page = listed(installation, TaskFilter(since=0))
    assert (page.counts[TaskState.FAIL], page.counts[TaskState.SUCCESS], page.counted_all) == (5, 5, False)
    assert listed(installation).counted_all, "the sums are kept"


def test_tasks_of_another_project_are_not_there(installation: Installation) -> None:
    made = add_records(installation, 1, 3)
    other = "0" * 32
    assert tasks.list_tasks(installation.runtime, other, ALL).tasks == []
    with pytest.raises(ClusterNotFound):
        tasks.list_tasks(installation.runtime, other, TaskFilter(cluster_id=made[0].cluster_id))
    with pytest.raises(InvalidField, match="the project has no such job"):
        tasks.retry_job(installation.runtime, other, made[0].job_id)


def test_what_failed_is_tried_again_until_a_backup_succeeded(installation: Installation, cluster: Cluster) -> None:
    runtime, project_id = installation.runtime, installation.project.id
    failed = fail(installation, backups.start_backup(runtime, cluster))
    again = tasks.retry_job(runtime, project_id, failed.job_id)
    assert (again.cluster_id, again.type, again.status) == (cluster.id, JobType.MANUAL, JobStatus.RUNNING)
    with pytest.raises(NothingToRetry, match="wait until it has ended, or cancel it"):
        tasks.retry_job(runtime, project_id, again.job_id)
    installation.run(again)
    with pytest.raises(NothingToRetry, match="succeeded"):
        tasks.retry_job(runtime, project_id, again.job_id)
    with pytest.raises(NothingToRetry, match=again.job_id):
        tasks.retry_job(runtime, project_id, failed.job_id)


def test_the_version_changes_with_what_is_listed(installation: Installation, cluster: Cluster) -> None:
    runtime, project_id = installation.runtime, installation.project.id
    versions = [tasks.find_version(runtime, project_id)]
    assert tasks.find_version(runtime, project_id) == versions[0]
    job = backups.start_backup(runtime, cluster)
    versions.append(tasks.find_version(runtime, project_id))
    installation.run(job)
    versions.append(tasks.find_version(runtime, project_id, cluster.id))
    log_settings.start_policy(runtime, cluster, PERIOD)
    versions.append(tasks.find_version(runtime, project_id))
    installation.clock.advance(2 * DAY)
    versions.append(tasks.find_version(runtime, project_id))
    assert len(set(versions)) == 4, "planning a run changes nothing that is listed"
