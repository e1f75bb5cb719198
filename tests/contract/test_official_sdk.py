"""The official Python SDK, unmodified, as the judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcss.v1 import (
    CreateLogBackupRequest,
    CssClient,
    ListClustersDetailsRequest,
    ListLogsJobRequest,
    ShowClusterDetailRequest,
    ShowGetLogSettingRequest,
    StartLogAutoBackupPolicyReq,
    StartLogAutoBackupPolicyRequest,
    StartLogsReq,
    StartLogsRequest,
    StopLogAutoBackupPolicyRequest,
    StopLogsRequest,
    UpdateLogSettingReq,
    UpdateLogSettingRequest,
)

from logkeep.domain.cluster import Cluster
from tests.contract.service import Service


def client_for(service: Service, *, path: str = "", project_id: str | None = None, secret: str = "") -> Any:
    url = f"http://127.0.0.1:{service.port}{path}"
    credentials = BasicCredentials(service.tenant.key.ak, secret or service.tenant.sk, project_id)
    return (
        CssClient.new_builder()
        .with_http_config(HttpConfig.get_default_config())
        .with_credentials(credentials.with_iam_endpoint(url))
        .with_endpoints([url])
        .build()
    )


@pytest.fixture
def client(service: Service) -> Any:
    return client_for(service, project_id=service.project.id)


def refused(call: Callable[[], object]) -> ClientRequestException:
    with pytest.raises(ClientRequestException) as caught:
        call()
    return caught.value


def test_all_ten_operations_work(client: Any, cluster: Cluster) -> None:
    cid = cluster.id
    body = StartLogsReq(agency="css_obs_agency", log_base_path="css/日志", log_bucket="logs")
    client.start_logs(StartLogsRequest(cluster_id=cid, action="base_log_collect", body=body))
    body = UpdateLogSettingReq(agency="css_obs_agency", log_base_path="css/log", log_bucket="logs")
    client.update_log_setting(UpdateLogSettingRequest(cluster_id=cid, body=body))
    policy = StartLogAutoBackupPolicyReq(period="00:00 GMT+08:00")
    client.start_log_auto_backup_policy(StartLogAutoBackupPolicyRequest(cluster_id=cid, body=policy))
    setting = client.show_get_log_setting(ShowGetLogSettingRequest(cluster_id=cid)).log_configuration
    assert (setting.base_path, setting.period, setting.auto_enable) == ("css/log", "00:00 GMT+08:00", True)
    client.stop_log_auto_backup_policy(StopLogAutoBackupPolicyRequest(cluster_id=cid))
    client.create_log_backup(CreateLogBackupRequest(cluster_id=cid))
    jobs = client.list_logs_job(ListLogsJobRequest(cluster_id=cid, offset=1, limit=10))
    assert (jobs.total_size, jobs.cluster_log_record[0].status) == (1, "RUNNING")
    client.stop_logs(StopLogsRequest(cluster_id=cid))
    assert client.show_cluster_detail(ShowClusterDetailRequest(cluster_id=cid)).instances[0].name == "node-0"
    assert client.list_clusters_details(ListClustersDetailsRequest(limit=1, offset=1)).total_size >= 1


def test_project_is_found_when_none_is_given(service: Service, cluster: Cluster) -> None:
    from huaweicloudsdkcore.region.region import Region

    url = f"http://127.0.0.1:{service.port}"
    credentials = BasicCredentials(service.tenant.key.ak, service.tenant.sk).with_iam_endpoint(url)
    region = Region("cn-north-4", url)
    client = CssClient.new_builder().with_credentials(credentials).with_region(region).build()
    assert client.list_logs_job(ListLogsJobRequest(cluster_id=cluster.id)).cluster_log_record == []


def test_endpoint_with_a_slash_at_its_end_works(service: Service, cluster: Cluster) -> None:
    client = client_for(service, path="/", project_id=service.project.id)
    assert client.list_logs_job(ListLogsJobRequest(cluster_id=cluster.id)).total_size == 0


def test_errors_reach_the_caller_with_code_text_and_request_id(client: Any, cluster: Cluster) -> None:
    error = refused(lambda: client.stop_logs(StopLogsRequest(cluster_id=cluster.id)))
    assert (error.status_code, error.error_code) == (415, "CSS.0004")
    assert "open it first" in error.error_msg
    assert len(error.request_id) == 32
    unknown = "5c77b71c-5b35-4f50-8984-76387e42451a"
    error = refused(lambda: client.list_logs_job(ListLogsJobRequest(cluster_id=unknown)))
    assert (error.status_code, error.error_code) == (403, "CSS.0015")
    error = refused(lambda: client.list_logs_job(ListLogsJobRequest(cluster_id=cluster.id, limit=5000)))
    assert (error.status_code, error.error_code) == (400, "CSS.0001")


def test_wrong_secret_is_told(service: Service, cluster: Cluster) -> None:
    client = client_for(service, project_id=service.project.id, secret="wrong")
    error = refused(lambda: client.list_logs_job(ListLogsJobRequest(cluster_id=cluster.id)))
    assert (error.status_code, error.error_code) == (401, "APIGW.0301")
