"""`/api/v1` on notices and their targets: what each caller may see and change, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from logkeep.clock import FixedClock
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.notice_target import MOST_TARGETS, NewTarget
from logkeep.service import audit, notice_targets, notices
from tests.contract.service import SETTING, Service, running_service
from tests.contract.test_api import assert_error
from tests.support.notices import deliver

NOTICES, NOTIFY = "/api/v1/notices", "/api/v1/notify"
HOOK = {"name": "hook", "url": "https://127.0.0.1:9/a-secret-place", "clusters": ["*"], "events": ["backup_failed"]}


@pytest.fixture(scope="module")
def clock() -> FixedClock:
    return FixedClock(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clock: FixedClock) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("notices"), clock=clock) as service:
        yield service


@pytest.fixture(autouse=True)
def time_as_it_is(clock: FixedClock) -> None:
    """Each test begins now, so that what it signs is signed now."""
    clock.value = time.time_ns() // 1_000_000


@pytest.fixture
def hook(service: Service) -> Iterator[str]:
    """The name of a webhook that no notice may reach; its secret is not kept."""
    service.call("POST", NOTIFY, HOOK, key=service.admin)
    yield "hook"
    service.call("DELETE", f"{NOTIFY}/hook", key=service.admin)


@pytest.fixture
def failed(service: Service, cluster: Cluster, hook: str) -> Cluster:
    """A cluster whose failure was told."""
    service.call("POST", service.path(cluster, "/logs/open"), SETTING)
    service.add_records(cluster, JobStatus.FAIL)
    notices.look(service.runtime)
    return cluster


def test_notices_of_a_cluster_are_listed_page_by_page(service: Service, failed: Cluster) -> None:
    whole = service.call("GET", f"{NOTICES}?cluster={failed.id.upper()}").json
    failures = [one for one in whole["notices"] if one["event"] == "backup_failed"]
    assert [(one["cluster"], one["code"]) for one in failures] == [(failed.name, "LK-SOURCE-UNREACHABLE")]
    assert "--status FAIL" in failures[0]["remedy"]
    assert [one["target"] for one in failures[0]["deliveries"]] == ["hook"]
    assert whole["totalSize"] == len(whole["notices"])
    pages = [
        service.call("GET", f"{NOTICES}?cluster={failed.id}&limit=1&offset={at}").json["notices"]
        for at in range(1, whole["totalSize"] + 2)
    ]
    assert [one for page in pages for one in page] == whole["notices"]
    assert service.call("GET", NOTICES, key=service.stranger).json == {"notices": [], "totalSize": 0}


@pytest.mark.parametrize(
    ("query", "field"), [("cluster=prod", "cluster"), ("limit=0", "limit"), ("offset=x", "offset")]
)
def test_what_is_no_filter_is_refused(service: Service, query: str, field: str) -> None:
    assert_error(service.call("GET", f"{NOTICES}?{query}"), 400, "CSS.0001", f"{field}: ")


def test_a_secret_is_told_once_and_a_url_never(service: Service) -> None:
    added = service.call("POST", NOTIFY, HOOK, key=service.admin)
    assert added.json["secret"].startswith("whsec_")
    assert (added.json["address"], added.json["events"]) == ("https://127.0.0.1", ["backup_failed"])
    listed = service.call("GET", NOTIFY)
    (shown,) = listed.json["targets"]
    assert shown == {name: value for name, value in added.json.items() if name != "secret"}
    for reply in (added, listed):
        assert b"a-secret-place" not in reply.body
    assert_error(service.call("POST", NOTIFY, HOOK, key=service.admin), 409, "CSS.0031", "hook")
    assert service.call("DELETE", f"{NOTIFY}/hook", key=service.admin).body == b"{}"
    assert service.call("GET", NOTIFY).json == {"targets": []}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "ftp://example.com/secret-word"}, "url"),
        ({"url": "http://example.com/secret-word"}, "url"),
        ({"url": "https://secret-word:x@example.com/"}, "url"),
        ({"url": 5}, "url"),
        ({"name": "a/b"}, "name"),
        ({"name": None}, "name"),
        ({"secret": "secret-word"}, "secret"),
        ({"events": ["secret-words-are-no-events"]}, "events"),
        ({"clusters": ["x" * 65]}, "clusters"),
        ({"quiet": "22-7"}, "quiet"),
        ({"zone": "Nowhere/Land"}, "zone"),
    ],
)
def test_a_wrong_target_is_refused_by_its_field(service: Service, change: dict[str, object], field: str) -> None:
    reply = service.call("POST", NOTIFY, HOOK | change, key=service.admin)
    assert_error(reply, 400, "CSS.0001", f"^{field}: ")
    if field in {"url", "secret"}:
        assert b"secret-word" not in reply.body


def test_a_project_has_a_bounded_number_of_targets(service: Service) -> None:
    names = [f"t{number}" for number in range(MOST_TARGETS)]
    for name in names:
        new = NewTarget(name=name, url=HOOK["url"])  # type: ignore[arg-type]
        notice_targets.add_target(service.runtime, service.project.id, new)
    assert_error(service.call("POST", NOTIFY, HOOK, key=service.admin), 409, "CSS.0001", f"{MOST_TARGETS} targets")
    for name in names:
        notice_targets.remove_target(service.runtime, service.project.id, name)


def test_a_target_of_another_project_is_not_there(service: Service, hook: str) -> None:
    assert service.call("GET", NOTIFY, key=service.stranger).json == {"targets": []}
    for method, path in (("DELETE", f"{NOTIFY}/{hook}"), ("POST", f"{NOTIFY}/{hook}/test")):
        assert_error(service.call(method, path, key=service.stranger), 404, "CSS.0015", "no target")
        assert_error(service.call(method, path), 403, "APIGW.0302", "not for the role operator")
    assert [one["name"] for one in service.call("GET", NOTIFY).json["targets"]] == [hook]


def test_a_test_tells_what_came_back_and_is_recorded(service: Service, hook: str) -> None:
    tried = service.call("POST", f"{NOTIFY}/{hook}/test", key=service.admin).json
    assert (tried["state"], tried["attempts"], tried["deliveredAt"]) == ("given_up", 1, None)
    assert "tenants may not reach" in tried["error"]
    entries, _ = audit.list_entries(service.runtime, project_id=service.project.id)
    assert [(one.operation, one.status) for one in entries[:2]] == [("TestNoticeTarget", 200), ("AddNoticeTarget", 200)]


def test_status_names_targets_that_cannot_be_reached(service: Service, clock: FixedClock, failed: Cluster) -> None:
    def undelivered() -> list[dict[str, object]]:
        return service.call("GET", "/api/v1/status", skew_ms=clock.value - time.time_ns() // 1_000_000).json[
            "undelivered"
        ]

    deliver(service.runtime)
    assert undelivered() == []
    began = clock.value
    clock.advance(16 * 60_000)
    (found,) = undelivered()
    assert (found["name"], found["failingSince"]) == ("hook", began)
    assert "tenants may not reach" in str(found["lastError"])
