"""One view over all clusters: which need a hand, and the newest records of all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import event, insert, update

from logkeep.database import tables
from logkeep.database.connection import writing
from logkeep.domain.backup_job import BackupJob, JobStatus, StatusFilter
from logkeep.domain.cluster import Cluster
from logkeep.domain.cluster_status import ClusterState, ClusterStatus
from logkeep.service import backups, clusters, forecasts, log_settings
from logkeep.service.status import list_status
from tests.support.installation import Installation

HOUR = 3_600_000
LINE = b"[2026-11-24T00:00:00,000][INFO ] a line\n"


def status(installation: Installation) -> ClusterStatus:
    return list_status(installation.runtime, installation.project.id).clusters[0]


def told(installation: Installation, state: ClusterState) -> str:
    """The sentence on the only cluster, which is in this state."""
    found = status(installation)
    assert found.state is state, found
    return found.troubles[0].message


def daily(installation: Installation, cluster: Cluster) -> None:
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+00:00")


def test_a_clock_that_was_ahead_hides_nothing(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "prod.log").write_bytes(LINE)
    installation.clock.advance(30 * 24 * HOUR)
    daily(installation, cluster)
    ahead = installation.back_up(cluster)
    installation.clock.advance(-30 * 24 * HOUR)
    assert "when a backup succeeded is not known, as the clock was ahead then" in told(installation, ClusterState.STALE)
    daily(installation, cluster)
    right = installation.back_up(cluster)
    assert right.created_at > ahead.created_at, "clients take the first record of the list for the newest"
    found = status(installation)
    assert found.facts.last_success == installation.clock.now_ms()
    assert ClusterState.STALE not in [trouble.state for trouble in found.troubles]
    installation.clock.advance(27 * HOUR)
    assert "the last backup that succeeded ended 27 h ago" in told(installation, ClusterState.STALE)


def test_each_state_says_what_to_do(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "prod.log").write_bytes(LINE)
    assert "no daily backup, and no backup has succeeded yet; back up with `logkeep backup prod`" in told(
        installation, ClusterState.UNPLANNED
    )
    installation.back_up(cluster)
    assert status(installation).state is ClusterState.OK
    daily(installation, cluster)
    installation.clock.advance(27 * HOUR)
    assert "the last backup that succeeded ended 27 h ago, and none that failed is newer" in told(
        installation, ClusterState.STALE
    )
    installation.back_up(cluster)
    assert told(installation, ClusterState.OVERDUE).startswith("the daily backup should have started ")
    logs.rename(logs.with_name("away"))
    installation.back_up(cluster)
    failed = told(installation, ClusterState.FAILED)
    assert "failed: LK-SOURCE-" in failed
    assert failed.endswith("see `logkeep records prod --status FAIL`")


def test_closed_on_purpose_is_left_alone_and_never_opened_is_not(installation: Installation, cluster: Cluster) -> None:
    new = clusters.add_cluster(installation.runtime, installation.project.id, "it's new", cluster.nodes)
    log_settings.close_backup(installation.runtime, cluster)
    page = list_status(installation.runtime, installation.project.id)
    assert [(one.facts.id, one.state) for one in page.clusters] == [
        (new.id, ClusterState.UNOPENED),
        (cluster.id, ClusterState.CLOSED),
    ]
    assert (page.need_hand, page.total) == (1, 2)
    assert """`logkeep logs open 'it'"'"'s new' --at '00:00 GMT+00:00'`""" in page.clusters[0].troubles[0].message


def test_a_job_that_waits_or_runs_too_long(installation: Installation, cluster: Cluster) -> None:
    job = backups.start_backup(installation.runtime, cluster)
    assert status(installation).state is ClusterState.RUNNING
    installation.clock.advance(16 * 60_000)
    assert "no worker takes it; see `logkeep workers`" in told(installation, ClusterState.STUCK)
    with writing(installation.runtime.database) as connection:
        connection.execute(update(tables.jobs).values(attempt=1))
    assert status(installation).state is ClusterState.RUNNING
    installation.clock.advance(24 * HOUR)
    assert f"end it with `logkeep job cancel {job.job_id}`" in told(installation, ClusterState.STUCK)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("LK-NODE-EMPTY", ClusterState.NODES),
        ("LK-LOG-LARGE", ClusterState.LOGS),
        ("LK-LOG-WAITING", ClusterState.OK),
        ("LK-OF-A-LATER-VERSION", ClusterState.OK),
    ],
)
def test_warnings_that_need_a_hand(
    installation: Installation, cluster: Cluster, code: str, state: ClusterState
) -> None:
    job = installation.back_up(cluster)
    row = {"cluster_id": cluster.id, "node": "n1", "family": "", "file": "", "message": "see that it is mounted"}
    with writing(installation.runtime.database) as connection:
        connection.execute(tables.job_warnings.delete())
        connection.execute(insert(tables.job_warnings).values(**row, job_id=job.job_id, key="k", code=code))
    found = status(installation)
    assert found.state is state
    if found.troubles:
        assert found.troubles[0].message.startswith(
            f"the last backup warns: {code}: node n1: see that it is mounted; see"
        )


def test_gaps_of_the_last_backup(installation: Installation, cluster: Cluster, logs: Path) -> None:
    job = installation.back_up(cluster)
    gap = {"node": "n1", "kind": "gap", "body": b"", "cluster_id": cluster.id}
    with writing(installation.runtime.database) as connection:
        connection.execute(tables.job_warnings.delete())
        connection.execute(insert(tables.findings), [{"job_id": job.job_id, **gap}] * 2)
    assert "met 2 gaps" in told(installation, ClusterState.GAPS)
    assert "`logkeep logs policy prod --adaptive`" in told(installation, ClusterState.GAPS)
    forecasts.set_adaptive(installation.runtime, cluster, True)
    assert "let the node keep its logs for longer" in told(installation, ClusterState.GAPS)
    (logs / "prod.log").write_bytes(LINE)
    installation.back_up(cluster)
    assert (status(installation).state, status(installation).gaps) == (ClusterState.OK, 2)


def test_archives_that_are_damaged_or_not_verified(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "prod.log").write_bytes(LINE)
    installation.back_up(cluster)
    installation.verify(cluster)
    assert status(installation).state is ClusterState.OK
    installation.clock.advance(73 * HOUR)
    installation.back_up(cluster)
    assert "it was not verified for 3 d; verify it with `logkeep verify prod`" in told(
        installation, ClusterState.UNVERIFIED
    )
    installation.objects()[0].unlink()
    installation.verify(cluster)
    assert "found 1 problem: " in told(installation, ClusterState.DAMAGED)


def test_only_own_clusters_are_told_of_worst_first(installation: Installation, cluster: Cluster) -> None:
    page = list_status(installation.runtime, "0" * 32)
    assert (page.clusters, page.need_hand, page.total) == ([], 0, 0)
    assert backups.list_project_jobs(installation.runtime, "0" * 32) == ([], 0)


def test_pages_are_the_same_however_few_clusters_are_judged_at_a_time(
    installation: Installation, cluster: Cluster, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_records(installation, 3)
    installation.back_up(cluster)
    whole = list_status(installation.runtime, installation.project.id)
    order = [(one.state.rank, one.facts.name) for one in whole.clusters]
    assert order == sorted(order) and len({rank for rank, _ in order}) > 1
    monkeypatch.setattr("logkeep.database.cluster_facts._AT_ONCE", 2)
    pages = [list_status(installation.runtime, installation.project.id, offset=at, limit=3) for at in range(0, 15, 3)]
    assert [one for page in pages for one in page.clusters] == whole.clusters
    assert {(page.need_hand, page.total) for page in pages} == {(whole.need_hand, 13)}


@contextmanager
def counted_statements(installation: Installation) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(installation.runtime.database, "before_cursor_execute", note)
    yield said
    event.remove(installation.runtime.database, "before_cursor_execute", note)


def test_the_number_of_statements_does_not_grow(installation: Installation, cluster: Cluster) -> None:
    numbers: set[tuple[int, int]] = set()
    for _ in range(2):
        many_records(installation, 1)
        with counted_statements(installation) as judging:
            list_status(installation.runtime, installation.project.id)
        with counted_statements(installation) as listing:
            backups.list_project_jobs(installation.runtime, installation.project.id)
        numbers.add((len(judging), len(listing)))
    assert numbers == {(9, 5)}


def many_records(installation: Installation, seed: int) -> list[BackupJob]:
    """Clusters of which some have hundreds of records and some none, in an order of chance and with equal times."""
    chance = random.Random(seed)
    rows: list[BackupJob] = []
    counts: dict[tuple[str, JobStatus], int] = {}
    for number in range(12):
        node = clusters.NewNode("n1", f"file://{installation.folder.parent}/n1")
        cluster = clusters.add_cluster(
            installation.runtime, installation.project.id, f"c{number}-{uuid4().hex[:4]}", [node]
        )
        span = chance.choice([20, 1000, 100_000])
        for _ in range(chance.choice([0, 1, 5, 300])):
            one = rows[-1] if rows else None
            created = one.created_at if one and chance.random() < 0.2 else 1_000_000 - chance.randrange(span)
            ended = chance.choice([JobStatus.SUCCESS, JobStatus.FAIL])
            key = uuid4().hex
            rows.append(
                BackupJob(key, key, cluster.id, backups.JobType.AUTO, ended, "logs", "css/log", created, created + 1)
            )
            counts[cluster.id, ended] = counts.get((cluster.id, ended), 0) + 1
    columns = list(BackupJob.__struct_fields__)
    with writing(installation.runtime.database) as connection:
        if rows:
            connection.execute(insert(tables.jobs), [{name: getattr(one, name) for name in columns} for one in rows])
        for (cluster_id, state), jobs in counts.items():
            connection.execute(insert(tables.job_counts).values(cluster_id=cluster_id, status=state, jobs=jobs))
    return sorted(rows, key=lambda one: (one.created_at, one.id), reverse=True)


@pytest.mark.parametrize("seed", range(6))
def test_records_of_all_clusters_are_the_newest_on_every_page(installation: Installation, seed: int) -> None:
    rows = many_records(installation, seed)
    for wanted, passing in [
        (StatusFilter.ALL, rows),
        (StatusFilter.FAIL, [one for one in rows if one.status is JobStatus.FAIL]),
        (StatusFilter.NOT_FAIL, [one for one in rows if one.status is not JobStatus.FAIL]),
    ]:
        end = len(passing)
        for offset, limit in [(0, 1), (0, 10), (7, 10), (100, 50), (max(0, end - 3), 10), (end, 1)]:
            found, total = backups.list_project_jobs(
                installation.runtime, installation.project.id, offset=offset, limit=limit, status=wanted
            )
            assert total == end
            assert [job.id for job, _ in found] == [one.id for one in passing[offset : offset + limit]]
