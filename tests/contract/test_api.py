"""The CSS operations over HTTP, signed as clients sign."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service import backups, identity
from tests.contract.service import SETTING, Reply, Service

FAIL, RUNNING, SUCCESS = JobStatus.FAIL, JobStatus.RUNNING, JobStatus.SUCCESS
CAMEL = {"agency": "css_obs_agency", "logBasePath": "css/log", "logBucket": "logs"}
DOCUMENTED = {"agency": "css_obs_agency", "log_base_path": "css/log", "log_Bucket": "logs"}
PERIOD = "00:00 GMT+08:00"
OPERATIONS = [
    ("POST", "/logs/open", SETTING),
    ("PUT", "/logs/close", None),
    ("GET", "/logs/records", None),
    ("GET", "/logs/settings", None),
    ("POST", "/logs/settings", SETTING),
    ("POST", "/logs/policy/update", {"period": PERIOD}),
    ("PUT", "/logs/policy/close", None),
    ("POST", "/logs/collect", None),
    ("GET", "", None),
]


def settings(service: Service, cluster: Cluster) -> dict[str, object]:
    return service.call("GET", service.path(cluster, "/logs/settings")).json["logConfiguration"]


def records(service: Service, cluster: Cluster, query: str = "", agent: str = "") -> dict[str, list[dict[str, object]]]:
    reply = service.call("GET", service.path(cluster, f"/logs/records{query}"), headers={"User-Agent": agent or "test"})
    assert reply.status == 200
    return reply.json


def assert_error(reply: Reply, status: int, code: str, text: str = "") -> None:
    """Both pairs, the same request id in body and header, and JSON."""
    assert (reply.status, reply.code) == (status, code)
    assert reply.json["errCode"] == code
    assert reply.json["externalMessage"] == f"{code} : {reply.message}"
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    assert reply.headers["content-type"] == "application/json"
    assert re.search(text, reply.message)


@pytest.mark.parametrize("body", [SETTING, CAMEL, DOCUMENTED])
@pytest.mark.parametrize("action", ["", "?action=base_log_collect"])
def test_log_backup_is_opened_in_every_spelling(
    service: Service, cluster: Cluster, body: dict[str, str], action: str
) -> None:
    reply = service.call("POST", service.path(cluster, "/logs/open" + action), body)
    assert (reply.status, reply.body) == (200, b"{}")
    found = settings(service, cluster)
    assert (found["obsBucket"], found["basePath"], found["agency"]) == ("logs", "css/log", "css_obs_agency")
    assert (found["logSwitch"], found["autoEnable"], found["period"]) == (True, False, None)
    assert found["clusterId"] == cluster.id
    assert abs(int(str(found["updateAt"])) - time.time() * 1000) < 60_000


@pytest.mark.parametrize(
    ("members", "period"),
    [
        ({"auto_enable": True, "period": PERIOD}, PERIOD),
        ({"autoEnable": True, "period": PERIOD}, PERIOD),
        ({"period": PERIOD}, PERIOD),
        ({"auto_enable": False, "period": PERIOD}, None),
    ],
)
def test_policy_may_be_given_when_log_backup_is_opened(
    service: Service, cluster: Cluster, members: dict[str, object], period: str | None
) -> None:
    assert service.call("POST", service.path(cluster, "/logs/open"), SETTING | members).status == 200
    found = settings(service, cluster)
    assert (found["autoEnable"], found["period"]) == (period is not None, period)


@pytest.mark.parametrize("body", [SETTING, CAMEL, DOCUMENTED])
def test_setting_is_changed_in_every_spelling(service: Service, opened: Cluster, body: dict[str, str]) -> None:
    changed = {name: "other/path" if "path" in name.lower() else value for name, value in body.items()}
    reply = service.call("POST", service.path(opened, "/logs/settings"), changed)
    assert (reply.status, reply.body) == (200, b"{}")
    assert settings(service, opened)["basePath"] == "other/path"


def test_policy_is_set_changed_and_ended(service: Service, opened: Cluster) -> None:
    for period in (PERIOD, "13:00 GMT-05:00"):
        assert service.call("POST", service.path(opened, "/logs/policy/update"), {"period": period}).body == b"{}"
        assert settings(service, opened)["period"] == period
    assert service.call("PUT", service.path(opened, "/logs/policy/close")).body == b"{}"
    assert settings(service, opened)["autoEnable"] is False


def test_setting_is_null_before_the_first_open_and_stays_after_close(service: Service, cluster: Cluster) -> None:
    reply = service.call("GET", service.path(cluster, "/logs/settings"))
    assert reply.json == {"logConfiguration": None, "realTimeLogCollectRecord": None}
    service.call("POST", service.path(cluster, "/logs/open"), SETTING)
    assert service.call("PUT", service.path(cluster, "/logs/close")).body == b"{}"
    assert settings(service, cluster)["logSwitch"] is False


def test_real_time_collection_reads_as_off_and_cannot_be_switched(service: Service, opened: Cluster) -> None:
    action = "?action=real_time_log_collect"
    reply = service.call("GET", service.path(opened, "/logs/settings" + action))
    assert reply.json == {"logConfiguration": None, "realTimeLogCollectRecord": None}
    for method, path, body in (
        ("POST", "/logs/open", {"index_prefix": "a", "keep_days": 1, "target_cluster_id": opened.id}),
        ("PUT", "/logs/close", None),
        ("POST", "/logs/settings", SETTING),
    ):
        reply = service.call(method, service.path(opened, path + action), body)
        assert_error(reply, 400, "CSS.0001", "^action: .*real-time collection is not offered")


def test_collect_leaves_a_record_that_runs(service: Service, opened: Cluster) -> None:
    reply = service.call("POST", service.path(opened, "/logs/collect"))
    assert (reply.status, reply.body) == (200, b"{}")
    (record,) = records(service, opened, "?limit=10&start=1")["clusterLogRecord"]
    assert (record["status"], record["jobTypes"], record["logPath"]) == ("RUNNING", "Manual", "logs/css/log")
    assert (record["finishedAt"], record["failedMsg"], record["clusterId"]) == (None, None, opened.id)
    assert re.fullmatch("[0-9a-f]{32}", str(record["jobId"]))


def test_records_come_newest_first_in_pages_until_one_is_empty(service: Service, cluster: Cluster) -> None:
    jobs = service.add_records(cluster, *[SUCCESS] * 23)
    found: list[object] = []
    for start in (1, 11, 21, 31):
        page = records(service, cluster, f"?limit=10&start={start}")
        assert page["totalSize"] == 23
        found += [record["jobId"] for record in page["clusterLogRecord"]]
    assert found == [job.job_id for job in reversed(jobs)]
    assert page["clusterLogRecord"] == []


def test_offset_wins_over_start_and_ten_is_the_default(service: Service, cluster: Cluster) -> None:
    jobs = service.add_records(cluster, *[SUCCESS] * 12)
    assert len(records(service, cluster)["clusterLogRecord"]) == 10
    (record,) = records(service, cluster, "?start=1&offset=12&limit=1")["clusterLogRecord"]
    assert record["jobId"] == jobs[0].job_id
    assert records(service, cluster, "?offset=9223372036854775807")["clusterLogRecord"] == []


def test_records_are_filtered_by_status(service: Service, cluster: Cluster) -> None:
    service.add_records(cluster, SUCCESS, FAIL, RUNNING)
    for query, statuses in (
        ("?status=FAIL", ["FAIL"]),
        ("?status=NOT_FAIL", ["RUNNING", "SUCCESS"]),
        ("?status=", ["RUNNING", "FAIL", "SUCCESS"]),
    ):
        page = records(service, cluster, query)
        assert [record["status"] for record in page["clusterLogRecord"]] == statuses
        assert page["totalSize"] == len(statuses)


def test_ended_record_has_its_time_as_a_number_and_its_reason(service: Service, cluster: Cluster) -> None:
    service.add_records(cluster, SUCCESS, FAIL)
    failed, succeeded = records(service, cluster)["clusterLogRecord"]
    assert (failed["finishedAt"], failed["failedMsg"]) == (1_700_000_001_500, "LK-SOURCE-UNREACHABLE: node-0")
    assert (succeeded["finishedAt"], succeeded["failedMsg"]) == (1_700_000_000_500, None)


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("huaweicloud-usdk-go/3.0; linux", str),
        ("huaweicloud-usdk-java/3.0", str),
        ("huaweicloud-usdk-python/3.0", int),
        ("terraform-provider-iac golangsdk/2.0.0", int),
    ],
)
def test_time_of_creation_has_the_type_that_the_client_needs(
    service: Service, cluster: Cluster, agent: str, kind: type
) -> None:
    service.add_records(cluster, SUCCESS)
    (record,) = records(service, cluster, agent=agent)["clusterLogRecord"]
    assert type(record["createAt"]) is kind
    assert int(str(record["createAt"])) == 1_700_000_000_000
    assert type(record["finishedAt"]) is int


def test_clusters_are_listed_newest_first_and_shown(service: Service) -> None:
    added = [service.add_cluster(service.stranger, kind="elasticsearch", version="7.17.29") for _ in range(3)]
    path = f"/v1.0/{service.stranger.key.project_id}/clusters"
    page = service.call("GET", path + "?limit=2&start=1", key=service.stranger).json
    assert page["totalSize"] >= 3
    assert {cluster["id"] for cluster in page["clusters"]} < {cluster.id for cluster in added}
    assert service.call("GET", path + "?datastoreType=logstash", key=service.stranger).json["clusters"] == []
    shown = service.call("GET", f"{path}/{added[0].id}", key=service.stranger).json
    assert shown["datastore"] == {"type": "elasticsearch", "version": "7.17.29"}
    assert [instance["name"] for instance in shown["instances"]] == ["node-0"]
    assert "file://" not in str(shown)


def test_project_is_found_by_its_region(service: Service) -> None:
    reply = service.call("GET", "/v3/projects?name=cn-north-4")
    (project,) = reply.json["projects"]
    assert (project["id"], project["name"]) == (service.project.id, "cn-north-4")
    assert reply.json["links"]["self"] == f"http://127.0.0.1:{service.port}/v3/projects"
    assert service.call("GET", "/v3/projects?name=cn-south-1").json["projects"] == []
    assert len(service.call("GET", "/v3/projects").json["projects"]) == 1


def test_chunked_body_is_read(service: Service, cluster: Cluster) -> None:
    reply = service.call("POST", service.path(cluster, "/logs/open"), SETTING, chunked=True)
    assert reply.status == 200
    assert settings(service, cluster)["logSwitch"] is True


def test_path_with_two_slashes_at_its_beginning_is_accepted_and_signed_so(service: Service, cluster: Cluster) -> None:
    assert service.call("GET", "/" + service.path(cluster, "/logs/records")).json["totalSize"] == 0


def test_every_answer_is_json_with_a_request_id_of_its_own(service: Service, opened: Cluster) -> None:
    replies = [service.call(method, service.path(opened, path), body) for method, path, body in OPERATIONS]
    replies += [service.send("GET", path) for path in ("/healthz", "/readyz", "/nothing", service.path(opened))]
    assert {reply.headers["content-type"] for reply in replies} == {"application/json"}
    ids = {reply.headers["x-request-id"] for reply in replies}
    assert len(ids) == len(replies)
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in ids)


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_unknown_cluster_is_403_everywhere(service: Service, method: str, path: str, body: object) -> None:
    foreign = service.add_cluster(service.stranger)
    for cluster_id in ("5c77b71c-5b35-4f50-8984-76387e42451a", "no-uuid", "%00", "%2e%2e", foreign.id, "x" * 5000):
        assert_error(service.call(method, service.path(cluster_id, path), body), 403, "CSS.0015", "access is denied")


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_path_of_another_project_is_403_everywhere(
    service: Service, cluster: Cluster, method: str, path: str, body: object
) -> None:
    for target in (service.path(cluster, path), service.path("x", path)):
        assert_error(service.call(method, target, body, key=service.stranger), 403, "CSS.0015")
    assert_error(service.call("GET", "/v1.0/no-project/clusters"), 403, "CSS.0015")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=1001", r'^limit: "1001" came; a whole number from 1 to 1000 is allowed'),
        ("offset=0", "^offset: "),
        ("start=-1", "^start: "),
        ("offset=9223372036854775808", "^offset: "),
        ("status=RUNNING", r"^status: \"RUNNING\" came; '' or 'FAIL' or 'NOT_FAIL' is allowed"),
        ("limit=1&limit=2", "^limit: came twice"),
        ("limit=%00", "^limit: "),
        ("limit=%FF", "^limit: is not valid UTF-8"),
        ("limit=" + "9" * 10_000, "^limit: "),
    ],
)
def test_wrong_query_is_refused_by_its_field(service: Service, cluster: Cluster, query: str, text: str) -> None:
    reply = service.call("GET", service.path(cluster, f"/logs/records?{query}"))
    assert_error(reply, 400, "CSS.0001", text)
    assert len(reply.message) < 500


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"agency": None}, 400, "CSS.5130"),
        ({"agency": "no agency!"}, 400, "CSS.5130"),
        ({"log_bucket": ""}, 400, "CSS.0001"),
        ({"log_bucket": 5}, 400, "CSS.0001"),
        ({"log_bucket": "a\x00b"}, 400, "CSS.0001"),
        ({"log_bucket": "nowhere"}, 400, "CSS.0048"),
        ({"log_bucket": "unreachable"}, 412, "CSS.0048"),
        ({"log_base_path": ""}, 400, "CSS.0001"),
        ({"log_base_path": "/css"}, 400, "CSS.0001"),
        ({"log_base_path": "a" * 513}, 400, "CSS.0001"),
        ({"logBasePath": "another"}, 400, "CSS.0001"),
        ({"auto_enable": "true"}, 400, "CSS.0001"),
        ({"auto_enable": True}, 400, "CSS.5020"),
        ({"period": "25:00 GMT+08:00"}, 400, "CSS.5020"),
        ({"period": "00:00 CET"}, 400, "CSS.5178"),
        ({"period": "00:00 GMT+15:00"}, 400, "CSS.5178"),
    ],
)
def test_wrong_setting_is_refused_and_nothing_changes(
    service: Service, opened: Cluster, members: dict[str, object], status: int, code: str
) -> None:
    before = settings(service, opened)
    for path in ("/logs/open", "/logs/settings"):
        if members == {"auto_enable": True} and path == "/logs/settings":
            continue
        assert_error(service.call("POST", service.path(opened, path), SETTING | members), status, code)
    assert settings(service, opened) == before


@pytest.mark.parametrize("body", [b"", b"  ", b"[]", b"null", b'"x"', b"{", b'{"a": NaN}', b"\xff", b"agency=x"])
def test_body_that_is_no_json_object_is_refused(service: Service, opened: Cluster, body: bytes) -> None:
    for path in ("/logs/open", "/logs/settings", "/logs/policy/update"):
        assert_error(service.call("POST", service.path(opened, path), body), 400, "CSS.0006")


def test_period_of_the_policy_is_checked(service: Service, opened: Cluster) -> None:
    path = service.path(opened, "/logs/policy/update")
    assert_error(service.call("POST", path, {}), 400, "CSS.5020")
    assert_error(service.call("POST", path, {"period": "24:00 GMT+08:00"}), 400, "CSS.5020")
    assert_error(service.call("POST", path, {"period": "00:00 UTC"}), 400, "CSS.5178")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/logs/close", None),
        ("POST", "/logs/settings", SETTING),
        ("POST", "/logs/policy/update", {"period": PERIOD}),
        ("PUT", "/logs/policy/close", None),
        ("POST", "/logs/collect", None),
    ],
)
def test_what_needs_open_log_backup_is_415_without(
    service: Service, cluster: Cluster, method: str, path: str, body: object
) -> None:
    assert_error(service.call(method, service.path(cluster, path), body), 415, "CSS.0004")


def test_second_collect_is_409_while_one_runs(service: Service, opened: Cluster) -> None:
    assert service.call("POST", service.path(opened, "/logs/collect")).status == 200
    assert_error(service.call("POST", service.path(opened, "/logs/collect")), 409, "CSS.3004")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v4"),
        ("GET", "/v1.0"),
        ("GET", "/v3/auth"),
        ("POST", "/v1.0/p/clusters/c/logs/connectivity"),
        ("DELETE", "/v1.0/p/clusters/c/logs/records"),
        ("OPTIONS", "/v1.0/p/clusters"),
        ("PATCH", "/healthz"),
    ],
)
def test_unknown_path_or_method_is_404_signed_or_not(service: Service, method: str, path: str) -> None:
    assert_error(service.send(method, path), 404, "APIGW.0101")
    assert_error(service.call(method, path), 404, "APIGW.0101")


def test_request_without_a_signature_is_401(service: Service, cluster: Cluster) -> None:
    text = "^Incorrect IAM authentication information: "
    for headers, reason in (
        ({}, "x-auth-token not found$"),
        ({"X-Auth-Token": "x"}, "decrypt token fail$"),
        ({"Authorization": "Bearer x"}, "Authorization must be"),
        ({"Authorization": "Basic " + "x" * 5000}, "Authorization must be"),
    ):
        assert_error(service.send("GET", service.path(cluster), headers=headers), 401, "APIGW.0301", text + reason)


def test_wrong_secret_unknown_key_and_wrong_clock_are_401(service: Service, cluster: Cluster) -> None:
    path = service.path(cluster, "/logs/records")
    forged = identity.NewKey(service.tenant.key, "not the secret")
    reply = service.call("GET", path, key=forged)
    assert_error(reply, 401, "APIGW.0301", r"verify aksk signature fail, canonicalRequest:GET\|/v1.0/")
    unknown = identity.NewKey(replace(service.tenant.key, ak="LKUNKNOWN"), "secret")
    assert_error(service.call("GET", path, key=unknown), 401, "APIGW.0301", "ak LKUNKNOWN not exist$")
    for skew in (-901_500, 901_500):
        reply = service.call("GET", path, skew_ms=skew)
        assert_error(reply, 401, "APIGW.0301", "signature expired, signature time:.*,server time:")
    assert service.call("GET", path, skew_ms=-890_000).status == 200


def test_revoked_key_is_refused_within_a_second(service: Service, cluster: Cluster) -> None:
    key = identity.add_key(service.runtime, service.project)
    path = service.path(cluster)
    assert service.call("GET", path, key=key).status == 200
    identity.revoke_key(service.runtime, key.key.ak)
    time.sleep(1.1)
    assert_error(service.call("GET", path, key=key), 401, "APIGW.0301", "not exist")


def test_body_that_was_changed_on_the_way_is_401(service: Service, cluster: Cluster) -> None:
    path = service.path(cluster, "/logs/open")
    reply = service.send("POST", path, b'{"agency": "other"}', service.signed("POST", path, b'{"agency": "one"}'))
    assert_error(reply, 401, "APIGW.0301", "verify aksk signature fail")


def test_header_that_comes_twice_is_covered_by_the_signature_or_refused(service: Service, cluster: Cluster) -> None:
    path = service.path(cluster)
    headers = service.signed("GET", path)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for twice, status in (("X-Sdk-Date", b"401"), ("Authorization", b"401"), ("Accept", b"200")):
        request = f"GET {path} HTTP/1.1\r\n{lines}{twice}: {headers.get(twice, 'a')}\r\nAccept: b\r\nConnection: close\r\n\r\n"
        assert service.raw(request.encode()).split(b" ")[1] == status


def test_unexpected_error_is_500_and_tells_nothing(
    service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password=hidden")

    monkeypatch.setattr(backups, "list_jobs", broken)
    reply = service.call("GET", service.path(cluster, "/logs/records"))
    assert_error(reply, 500, "CSS.0005", r"^Server error\.$")
    assert b"hidden" not in reply.body


def test_health_is_constant_and_readiness_asks(service: Service) -> None:
    assert service.send("GET", "/healthz").json == {"status": "ok"}
    assert service.send("GET", "/readyz").json == {"status": "ready"}
    service.problems.append("the queue does not run")
    try:
        reply = service.send("GET", "/readyz")
        assert (reply.status, reply.json["problems"]) == (503, ["the queue does not run"])
        assert service.send("GET", "/healthz").status == 200
    finally:
        service.problems.clear()


def test_node_of_logstash_is_told_as_one(service: Service) -> None:
    for kind, role in (("logstash", "lgs"), ("opensearch", "ess")):
        cluster = service.add_cluster(kind=kind)
        [node] = service.call("GET", service.path(cluster), key=service.admin).json["instances"]
        assert node["type"] == role
