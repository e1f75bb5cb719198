"""`/api/v1` on tasks: the list and its pages, exports, and retrying what failed."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import quote

import pytest

from logkeep.database.connection import writing
from logkeep.database.missed_runs import save_missed
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service import backups
from tests.contract.service import Service
from tests.contract.test_api import assert_error

TASKS = "/api/v1/tasks"


@pytest.fixture
def mixed(service: Service, cluster: Cluster) -> Cluster:
    """A cluster with a missed run, and a job of each status, the running one the newest."""
    service.add_records(cluster, JobStatus.SUCCESS, JobStatus.FAIL, JobStatus.FAIL, JobStatus.RUNNING)
    with writing(service.runtime.database) as connection:
        save_missed(connection, cluster.id, [1000, 2000], "0" * 32)
    return cluster


def test_tasks_are_listed_page_by_page_with_their_counts(service: Service, mixed: Cluster) -> None:
    first = service.call("GET", f"{TASKS}?cluster={mixed.id}&limit=4").json
    assert [task["state"] for task in first["tasks"]] == ["RUNNING", "FAIL", "FAIL", "SUCCESS"]
    assert first["counts"] == {"all": 6, "running": 1, "success": 1, "fail": 2, "missed": 2}
    assert (first["countedAll"], "partly" in first) == (True, False)
    last = service.call("GET", f"{TASKS}?cluster={mixed.id.upper()}&limit=4&cursor={first['next']}").json
    assert [(task["at"], task["lateJobId"], task["jobId"]) for task in last["tasks"]] == [
        (2000, "0" * 32, None),
        (1000, None, None),
    ]
    assert "next" not in last


def test_the_filters_of_the_query_hold(service: Service, mixed: Cluster) -> None:
    def states(query: str) -> list[str]:
        return [task["state"] for task in service.call("GET", f"{TASKS}?cluster={mixed.id}&{query}").json["tasks"]]

    assert states("state=MISSED") == ["MISSED", "MISSED"]
    assert states("state=MISSED&since=1500") == ["MISSED"]
    assert states("until=1500") == ["MISSED"]
    assert states(f"text={quote(mixed.name.upper())}&state=SUCCESS") == ["SUCCESS"]
    assert states("text=none-of-it") == []
    assert states("type=Manual&state=MISSED") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=failed", "state"),
        ("type=auto", "type"),
        ("since=x", "since"),
        ("since=2&until=1", "since"),
        ("cursor=x", "cursor"),
        (f"cursor={'f' * 48}", "cursor"),
        ("cluster=x", "cluster"),
        ("limit=1001", "limit"),
        (f"text={'x' * 201}", "text"),
    ],
)
def test_what_is_no_filter_is_refused_by_name(service: Service, query: str, field: str) -> None:
    assert_error(service.call("GET", f"{TASKS}?{query}"), 400, "CSS.0001", f"{field}: ")


def test_tasks_of_a_cluster_of_another_project_are_not_told(service: Service, mixed: Cluster) -> None:
    for path in (TASKS, f"{TASKS}/export"):
        reply = service.call("GET", f"{path}?cluster={mixed.id}", key=service.stranger)
        assert_error(reply, 403, "CSS.0015")
    assert service.call("GET", TASKS, key=service.stranger).json["tasks"] == []


def test_an_export_is_all_that_the_filter_finds_as_json_or_csv(service: Service, mixed: Cluster) -> None:
    reply = service.call("GET", f"{TASKS}/export?cluster={mixed.id}&state=FAIL")
    assert reply.headers["content-type"] == "application/x-ndjson"
    told = [json.loads(line) for line in reply.body.splitlines()]
    assert [task["state"] for task in told] == ["FAIL", "FAIL"]
    reply = service.call("GET", f"{TASKS}/export?cluster={mixed.id}&state=FAIL&format=csv")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(reply.body.decode(), newline="")))
    assert [(row["cluster"], row["state"], row["job_id"]) for row in rows] == [
        (mixed.name, "FAIL", task["jobId"]) for task in told
    ]


def test_what_failed_is_retried_and_what_did_not_is_refused(service: Service, opened: Cluster) -> None:
    job = backups.start_backup(service.runtime, opened)
    path = f"/api/v1/jobs/{job.job_id}"
    assert_error(service.call("POST", f"{path}/retry"), 409, "CSS.0001", "wait until it has ended, or cancel it")
    service.call("POST", f"{path}/cancel")
    retried = service.call("POST", f"{path}/retry").json
    assert (retried["status"], retried["clusterId"], retried["jobTypes"]) == ("RUNNING", opened.id, "Manual")
    assert_error(service.call("POST", f"{path}/retry"), 409, "CSS.3004")
    assert_error(service.call("POST", f"{path}/retry", key=service.stranger), 400, "CSS.0001", "no such job")
