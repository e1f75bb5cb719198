"""What a job says although it did not fail is told everywhere, once, and survives a kill and a lost database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.service import backups, coverage, job_details, log_settings
from logkeep.service.backup_run import begin_run
from logkeep.service.catalogue import JobCatalogue
from logkeep.service.rebuild import rebuild
from tests.integration.test_rebuild import forget
from tests.support.installation import Installation

CUT = JobWarning("n1", "es.log", "es-1.log.gz", WarningCode.LOG_CUT, "file 'es-1.log.gz' ends in its middle")
OTHER = JobWarning("n1", "", "", WarningCode.LOG_CUT, "something of the node")


@pytest.fixture(autouse=True)
def a_log(logs: Path) -> None:
    """An empty directory would be warned of."""
    (logs / "other.log").write_bytes(b"line\n")


def begin(installation: Installation, cluster: Cluster) -> tuple[BackupJob, JobCatalogue]:
    """A job, and what its first attempt writes to."""
    installation.clock.advance(1000)
    job = backups.start_backup(installation.runtime, cluster)
    return job, take_up(installation, cluster, job)


def take_up(installation: Installation, cluster: Cluster, job: BackupJob) -> JobCatalogue:
    run = begin_run(installation.runtime, job.job_id)
    assert run
    return JobCatalogue(installation.runtime.database, cluster.id, job.job_id, run.attempt)


def warned(installation: Installation, job: BackupJob) -> tuple[JobWarning, ...]:
    return job_details.get_detail(installation.runtime, installation.project.id, job.job_id).warnings


def newest_manifest(installation: Installation) -> dict[str, object]:
    document: dict[str, object] = json.loads(max(installation.bucket.rglob("_manifests/*.json")).read_bytes())
    return document


def test_a_job_that_warns_is_success_and_its_manifest_tells_it(installation: Installation, cluster: Cluster) -> None:
    job, catalogue = begin(installation, cluster)
    catalogue.record_warnings([CUT, OTHER])
    ended = installation.run(job)
    assert (ended.status, ended.failed_msg) == (JobStatus.SUCCESS, None)
    assert warned(installation, job) == (CUT, OTHER)
    assert newest_manifest(installation)["warnings"] == [
        {"node": "n1", "family": "es.log", "file": "es-1.log.gz", "code": "LK-LOG-CUT", "message": CUT.message},
        {"node": "n1", "family": "", "file": "", "code": "LK-LOG-CUT", "message": OTHER.message},
    ]


def test_what_an_attempt_that_was_killed_warned_of_is_neither_lost_nor_said_twice(
    installation: Installation, cluster: Cluster
) -> None:
    job, catalogue = begin(installation, cluster)
    catalogue.warn(CUT)
    catalogue.flush("n1")
    catalogue.warn(OTHER)  # killed before the next one
    again = take_up(installation, cluster, job)
    assert warned(installation, job) == (CUT,)
    again.record_warnings([CUT])
    installation.run(job)
    assert warned(installation, job) == (CUT,)


def test_a_node_with_a_hundred_thousand_warnings_names_a_thousand_and_counts_the_rest(
    installation: Installation, cluster: Cluster
) -> None:
    _, catalogue = begin(installation, cluster)
    for number in range(100_000):
        catalogue.warn(JobWarning("n1", "", f"{number}.log.gz", WarningCode.LOG_CUT, "it is cut"))
    catalogue.flush("n1")
    job = backups.list_running(installation.runtime)[0][0]
    told = job_details.get_detail(installation.runtime, installation.project.id, job).warnings
    with_all = installation.run(installation.job(job))
    assert with_all.status is JobStatus.SUCCESS
    assert (len(told), told[0].file) == (1000, "0.log.gz")
    assert newest_manifest(installation)["warnings"][-1] == {  # type: ignore[index]
        "node": "n1", "family": "", "file": "", "code": "LK-MORE-WARNINGS",
        "message": "99000 more warnings like those that are named",
    }  # fmt: skip


def test_coverage_tells_what_the_last_job_said_of_each_log(installation: Installation, cluster: Cluster) -> None:
    jobs: list[str] = []
    for _ in range(2):
        job, catalogue = begin(installation, cluster)
        catalogue.record_warnings([CUT, OTHER])
        installation.run(job)
        jobs.append(job.job_id)
    held = [one for one in coverage.list_held(installation.runtime, cluster) if one.family == "es.log"]
    assert [(told.warning, told.job_id) for one in held for told in one.warnings] == [(CUT, jobs[1])]


def test_warnings_come_back_from_the_bucket_with_those_of_a_job_without_a_manifest(
    installation: Installation, cluster: Cluster
) -> None:
    failed, catalogue = begin(installation, cluster)
    catalogue.record_warnings([OTHER])
    away = installation.bucket.rename(installation.bucket.with_name("away"))
    assert installation.run(failed).status is JobStatus.FAIL
    away.rename(installation.bucket)
    job, catalogue = begin(installation, cluster)
    catalogue.record_warnings([CUT])
    installation.run(job)
    rebuilt = forget(installation)
    rebuild(rebuilt.runtime, ["logs"])
    assert (warned(rebuilt, failed), warned(rebuilt, job)) == ((OTHER,), (CUT,))


def test_warnings_stay_known_when_the_record_that_told_them_is_cleared(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    logs.rename(logs.with_name("away"))
    job, catalogue = begin(installation, cluster)
    catalogue.record_warnings([CUT])
    assert installation.run(job).status is JobStatus.FAIL
    log_settings.close_backup(installation.runtime, cluster)
    held = [one for one in coverage.list_held(installation.runtime, cluster) if one.warnings]
    assert [told.warning for one in held for told in one.warnings] == [CUT]
