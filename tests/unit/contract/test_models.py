"""Wire models against the published examples."""

from __future__ import annotations

import json

import pytest

from logkeep.contract import clients
from logkeep.contract.css import requests, responses
from logkeep.contract.iam import requests as iam_requests
from logkeep.contract.iam import responses as iam_responses
from logkeep.contract.parameters import Page
from logkeep.domain.backup_job import BackupJob, JobStatus, JobType, StatusFilter
from logkeep.domain.cluster import Cluster, Node, Project, Tag
from logkeep.domain.log_setting import LogSetting, LogSettingChange
from logkeep.errors import InvalidAgency, InvalidField, InvalidPeriod, InvalidZone

JOB = BackupJob(
    id="d455a541-597e-4846-a6be-baad0ea361b1",
    job_id="2c9080df7c171342017c5e0884f8011c",
    cluster_id="4213d908-f5dc-4633-8401-cfd7175fca0c",
    type=JobType.MANUAL,
    status=JobStatus.RUNNING,
    bucket="css-backup-1610678043608",
    base_path="css/log",
    created_at=1656042837000,
)
RECORD = {  # the published example of ListLogsJob
    "id": "d455a541-597e-4846-a6be-baad0ea361b1",
    "clusterId": "4213d908-f5dc-4633-8401-cfd7175fca0c",
    "createAt": 1656042837000,
    "logPath": "css-backup-1610678043608/css/log",
    "status": "RUNNING",
    "finishedAt": None,
    "jobTypes": "Manual",
    "failedMsg": None,
    "jobId": "2c9080df7c171342017c5e0884f8011c",
}
SETTING = {"agency": "css_obs_agency", "log_base_path": "css/log", "log_bucket": "000-words"}
CHANGE = LogSettingChange("css_obs_agency", "000-words", "css/log")


def body(**members: object) -> bytes:
    return json.dumps(SETTING | members).encode()


def test_record_is_that_of_the_published_example() -> None:
    assert json.loads(responses.render_records([JOB], 1, digit_strings=False)) == {
        "clusterLogRecord": [RECORD],
        "totalSize": 1,
    }


def test_time_of_creation_is_a_string_of_digits_where_the_client_needs_it() -> None:
    (record,) = json.loads(responses.render_records([JOB], 1, digit_strings=True))["clusterLogRecord"]
    assert record == RECORD | {"createAt": "1656042837000"}


@pytest.mark.parametrize(
    ("agent", "wanted"),
    [
        ("huaweicloud-usdk-go/3.0; linux", True),
        ("huaweicloud-usdk-java/3.0", True),
        ("huaweicloud-usdk-python/3.0; Linux", False),
        ("terraform-provider-iac golangsdk/2.0.0", False),
        ("Mozilla/5.0 huaweicloud-usdk-go/3.0", False),
        ("", False),
    ],
)
def test_client_is_known_by_its_agent(agent: str, wanted: bool) -> None:
    assert clients.wants_digit_string(agent) is wanted


@pytest.mark.parametrize(
    ("query", "page", "status"),
    [
        (b"", Page(0, 10), StatusFilter.ALL),
        (b"start=11&limit=10", Page(10, 10), StatusFilter.ALL),
        (b"offset=3&start=11", Page(2, 10), StatusFilter.ALL),
        (b"offset=1&start=11", Page(0, 10), StatusFilter.ALL),
        (b"limit=1000&offset=9223372036854775807", Page(2**63 - 2, 1000), StatusFilter.ALL),
        (b"status=FAIL", Page(0, 10), StatusFilter.FAIL),
        (b"status=NOT_FAIL", Page(0, 10), StatusFilter.NOT_FAIL),
        (b"status=&other=1&other=2", Page(0, 10), StatusFilter.ALL),
    ],
)
def test_query_of_the_record_list_is_read(query: bytes, page: Page, status: StatusFilter) -> None:
    assert requests.read_records_query(query) == (page, status)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"limit=0", "limit"),
        (b"limit=1001", "limit"),
        (b"start=0", "start"),
        (b"offset=3&start=wrong", "start"),
        (b"offset=-1", "offset"),
        (b"offset=9223372036854775808", "offset"),
        (b"status=fail", "status"),
        (b"status=RUNNING", "status"),
        (b"status=FAIL&status=NOT_FAIL", "status"),
    ],
)
def test_query_of_the_record_list_is_refused_by_its_field(query: bytes, field: str) -> None:
    with pytest.raises(InvalidField, match=f"^{field}: "):
        requests.read_records_query(query)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"domain_id=other&enabled=-1", "enabled"),
        (b"name=%00", "name"),
        (b"page=0", "page"),
        (b"per_page=5001", "per_page"),
    ],
)
def test_query_of_the_project_list_is_refused_by_its_field(query: bytes, field: str) -> None:
    with pytest.raises(InvalidField, match=f"^{field}: "):
        iam_requests.read_projects_query(query)


def test_engine_of_the_cluster_list_is_one_of_three() -> None:
    assert requests.read_clusters_query(b"datastoreType=opensearch&start=2") == (Page(1, 10), "opensearch")
    with pytest.raises(InvalidField, match=r"^datastoreType: .*'logstash'"):
        requests.read_clusters_query(b"datastoreType=mysql")


@pytest.mark.parametrize(
    "members",
    [
        {"agency": "css_obs_agency", "log_base_path": "css/log", "log_bucket": "000-words"},
        {"agency": "css_obs_agency", "logBasePath": "css/log", "logBucket": "000-words"},
        {"agency": "css_obs_agency", "logBasePath": "css/log", "log_Bucket": "000-words", "period": None},
        SETTING | {"index_prefix": "x", "keep_days": 30, "anything": [1]},
    ],
)
def test_setting_is_read_in_every_spelling(members: dict[str, object]) -> None:
    assert requests.read_opening(b"", json.dumps(members).encode()) == CHANGE
    assert requests.read_setting_change(b"action=base_log_collect", json.dumps(members).encode()) == CHANGE


@pytest.mark.parametrize(
    ("members", "auto_enable", "period"),
    [
        ({"auto_enable": True, "period": "00:00 GMT+08:00"}, True, "00:00 GMT+08:00"),
        ({"autoEnable": True, "period": "00:00 GMT+08:00"}, True, "00:00 GMT+08:00"),
        ({"period": "00:00 GMT+08:00"}, True, "00:00 GMT+08:00"),
        ({"auto_enable": False, "period": "00:00 GMT+08:00"}, False, None),
        ({"auto_enable": False}, False, None),
        ({"auto_enable": None, "period": ""}, None, None),
    ],
)
def test_policy_is_on_where_a_period_is_given(
    members: dict[str, object], auto_enable: bool | None, period: str | None
) -> None:
    change = requests.read_opening(b"", body(**members))
    assert (change.auto_enable, change.period) == (auto_enable, period)


@pytest.mark.parametrize(
    ("members", "error", "text"),
    [
        ({"agency": ""}, InvalidAgency, "agency: is missing"),
        ({"agency": None}, InvalidAgency, "agency: is missing"),
        ({"agency": 5}, InvalidAgency, "agency: 5 came"),
        ({"log_bucket": ""}, InvalidField, "log_bucket: is missing"),
        ({"log_bucket": ["b"]}, InvalidField, "log_bucket: an array came"),
        ({"log_base_path": None}, InvalidField, "log_base_path: is missing"),
        ({"log_base_path": {}}, InvalidField, "log_base_path: an object came"),
        ({"auto_enable": "true"}, InvalidField, 'auto_enable: "true" came'),
        ({"auto_enable": True}, InvalidPeriod, "period: is missing"),
        ({"auto_enable": True, "period": ""}, InvalidPeriod, "period: is missing"),
        ({"period": 5}, InvalidPeriod, "period: 5 came"),
        ({"auto_enable": False, "period": "noon"}, InvalidPeriod, "period: write it as"),
        ({"period": "00:00 UTC"}, InvalidZone, "period: the zone is written"),
    ],
)
def test_setting_is_refused_by_its_field(members: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        requests.read_opening(b"", body(**members))


def test_change_of_a_setting_may_leave_the_period_as_it_is() -> None:
    assert requests.read_setting_change(b"", body(auto_enable=True)).period is None


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (b"action=real_time_log_collect", "real-time collection is not offered"),
        (b"action=other", "'base_log_collect' or 'real_time_log_collect'"),
        (b"action=", "'base_log_collect' or 'real_time_log_collect'"),
        (b"action=base_log_collect&action=real_time_log_collect", "came twice"),
    ],
)
def test_action_is_refused_unless_it_means_backup(query: bytes, text: str) -> None:
    for read in (requests.read_opening, requests.read_setting_change):
        with pytest.raises(InvalidField, match=f"^action: .*{text}"):
            read(query, body())


@pytest.mark.parametrize("members", [{}, {"period": ""}, {"period": None}, {"period": 1}])
def test_policy_needs_a_period(members: dict[str, object]) -> None:
    assert requests.read_policy(b'{"period": "00:00 GMT+08:00"}') == "00:00 GMT+08:00"
    with pytest.raises(InvalidPeriod, match=r"^period: "):
        requests.read_policy(json.dumps(members).encode())


def test_setting_is_that_of_the_published_example() -> None:
    setting = LogSetting(
        id="00032118-aff5-40e8-b19a-dd4bb576e572",
        cluster_id="e3201ceb-1a3e-49f3-bb2f-23a816440b20",
        enabled=True,
        agency="css_obs_agency",
        bucket="000-words",
        base_path="css/log",
        period=None,
        updated_at=1639624882000,
    )
    assert json.loads(responses.render_setting(setting)) == {
        "logConfiguration": {
            "id": "00032118-aff5-40e8-b19a-dd4bb576e572",
            "clusterId": "e3201ceb-1a3e-49f3-bb2f-23a816440b20",
            "obsBucket": "000-words",
            "agency": "css_obs_agency",
            "updateAt": 1639624882000,
            "basePath": "css/log",
            "autoEnable": False,
            "period": None,
            "logSwitch": True,
        },
        "realTimeLogCollectRecord": None,
    }
    assert json.loads(responses.render_setting(None)) == {"logConfiguration": None, "realTimeLogCollectRecord": None}


def test_cluster_has_what_every_sdk_reads() -> None:
    node = Node("8b", "ess-1", "file:///secret", "ess", "10.0.0.1")
    cluster = Cluster("5c", "62", "logs", "opensearch", "2.19.0", "", 1696817233999, 1696817233999, (node,))
    expected = {
        "id": "5c",
        "name": "logs",
        "status": "200",
        "datastore": {"type": "opensearch", "version": "2.19.0"},
        "created": "2023-10-09T02:07:13",
        "updated": "2023-10-09T02:07:13",
        "endpoint": None,
        "instances": [{"status": "200", "type": "ess", "id": "8b", "name": "ess-1", "ip": "10.0.0.1"}],
        "tags": [{"key": "k", "value": "v"}],
    }
    assert json.loads(responses.render_cluster(cluster, [Tag("k", "v")])) == expected
    assert json.loads(responses.render_clusters([cluster], {"5c": [Tag("k", "v")]}, 7)) == {
        "clusters": [expected],
        "totalSize": 7,
    }


def test_projects_are_in_keystone_form() -> None:
    rendered = json.loads(iam_responses.render_projects([Project("62", "cn-north-4", 0)], "http://h/v3/projects"))
    assert rendered["links"] == {"self": "http://h/v3/projects", "next": None, "previous": None}
    assert rendered["projects"] == [
        {
            "id": "62",
            "name": "cn-north-4",
            "links": {"self": "http://h/v3/projects/62"},
            "domain_id": "default",
            "parent_id": "default",
            "is_domain": False,
            "enabled": True,
            "description": "",
        }
    ]
