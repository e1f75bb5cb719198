"""The life of log backup on the Python SDK: a line of JSON for each operation; exit 1 where one is not as expected."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcss.v1 import (
    ClusterLogRecord,
    CreateLogBackupRequest,
    CssClient,
    ListClustersDetailsRequest,
    ListLogsJobRequest,
    LogConfiguration,
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
from huaweicloudsdkcss.v1.region.css_region import CssRegion

VERSION = version("huaweicloudsdkcss")
PROJECT, CLUSTER = os.environ["CONFORMANCE_PROJECT_ID"], os.environ["CONFORMANCE_CLUSTER_ID"]
UNKNOWN = "5c77b71c-5b35-4f50-8984-76387e42451a"
AGENCY, BUCKET, PERIOD = "css_obs_agency", "logs", "01:00 GMT+08:00"
BACKUP_SECONDS = 60.0


def client_with(secret: str = os.environ["CLOUD_SDK_SK"], project: str | None = PROJECT) -> CssClient:
    """As the sample does; without a project the SDK asks for the one that bears the region's name."""
    return (
        CssClient.new_builder()
        .with_http_config(HttpConfig(timeout=(5, 20)))
        .with_credentials(BasicCredentials(os.environ["CLOUD_SDK_AK"], secret, project))
        .with_region(CssRegion.value_of("cn-north-4"))
        .build()
    )


client = client_with()


def expect(true: bool, found: object) -> str:
    if not true:
        raise AssertionError(f"unexpected: {found}")
    return str(found)


def list_clusters() -> str:
    found = client.list_clusters_details(ListClustersDetailsRequest(offset=1, limit=100))
    ids = [cluster.id for cluster in found.clusters]
    return expect(CLUSTER in ids and found.total_size == len(ids), f"{len(ids)} of {found.total_size}")


def show_cluster() -> str:
    found = client.show_cluster_detail(ShowClusterDetailRequest(cluster_id=CLUSTER))
    return expect(found.id == CLUSTER and len(found.instances) == 1, f"{found.name} {found.status}")


def open_backup(agency: str = AGENCY, bucket: str = BUCKET, cluster: str = CLUSTER) -> str:
    body = StartLogsReq(agency=agency, log_base_path="css/log", log_bucket=bucket)
    return str(client.start_logs(StartLogsRequest(cluster_id=cluster, body=body)).status_code)


def setting() -> LogConfiguration:
    return client.show_get_log_setting(ShowGetLogSettingRequest(cluster_id=CLUSTER)).log_configuration


def show_setting() -> str:
    found = setting()
    shown = (found.log_switch, found.agency, found.obs_bucket, found.base_path, found.auto_enable, found.period)
    return expect(shown == (True, AGENCY, BUCKET, "css/log", False, None), shown)


def update_setting() -> str:
    body = UpdateLogSettingReq(agency=AGENCY, log_base_path="css/日志", log_bucket=BUCKET)
    client.update_log_setting(UpdateLogSettingRequest(cluster_id=CLUSTER, body=body))
    path = setting().base_path
    return expect(path == "css/日志", path)


def start_policy(period: str = PERIOD) -> str:
    body = StartLogAutoBackupPolicyReq(period=period)
    request = StartLogAutoBackupPolicyRequest(cluster_id=CLUSTER, body=body)
    return str(client.start_log_auto_backup_policy(request).status_code)


def show_period() -> str:
    found = setting()
    return expect((found.auto_enable, found.period) == (True, PERIOD), found.period)


def stop_policy() -> str:
    client.stop_log_auto_backup_policy(StopLogAutoBackupPolicyRequest(cluster_id=CLUSTER))
    found = setting()
    return expect((found.auto_enable, found.period) == (False, None), found.period)


def collect() -> str:
    return str(client.create_log_backup(CreateLogBackupRequest(cluster_id=CLUSTER)).status_code)


def records(**page: int) -> list[ClusterLogRecord]:
    return client.list_logs_job(ListLogsJobRequest(cluster_id=CLUSTER, **page)).cluster_log_record


def wait_for_success(seen: set[str]) -> ClusterLogRecord:
    """Until the newest record is no longer RUNNING; `seen` gets the states it had."""
    end = time.monotonic() + BACKUP_SECONDS
    while (newest := records()[0]).status == "RUNNING" and time.monotonic() < end:
        seen.add(newest.status)
        time.sleep(0.2)
    expect(newest.status == "SUCCESS" and int(newest.create_at) <= newest.finished_at, newest)
    return newest


def list_until_success() -> str:
    seen: set[str] = set()
    newest = wait_for_success(seen)
    return expect("RUNNING" in seen, f"{sorted(seen)}, then {newest.status}")


def page_through() -> str:
    collect()
    wait_for_success(set())
    everything = [record.job_id for record in records()]
    pages = [[record.job_id for record in records(limit=1, offset=start)] for start in (1, 2, 3)]
    return expect(len(everything) == 2 and pages == [everything[:1], everything[1:], []], pages)


def close() -> str:
    client.stop_logs(StopLogsRequest(cluster_id=CLUSTER))
    switch = setting().log_switch
    return expect(switch is False, f"logSwitch {switch}")


def refused(call: Callable[[], object], status: int, code: str) -> Callable[[], str]:
    """Where the SDK raises its error for an answer, with all that a caller needs."""

    def check() -> str:
        try:
            answer = call()
        except ServiceResponseException as error:
            found = f"{error.status_code} {error.error_code} {error.error_msg} ({error.request_id})"
            as_told = (error.status_code, error.error_code) == (status, code)
            return expect(bool(as_told and error.error_msg and error.request_id), found)
        raise AssertionError(f"not refused: {answer}")

    return check


def list_with(other: Callable[[], CssClient]) -> Callable[[], str]:
    def call() -> str:
        found = other().list_logs_job(ListLogsJobRequest(cluster_id=CLUSTER))
        return f"{found.total_size} records"

    return call


OPERATIONS: list[tuple[str, Callable[[], str]]] = [
    ("list clusters", list_clusters),
    ("show cluster", show_cluster),
    ("open", open_backup),
    ("show setting", show_setting),
    ("update setting", update_setting),
    ("start policy", start_policy),
    ("setting shows the period", show_period),
    ("stop policy", stop_policy),
    ("collect", collect),
    ("collect while one runs", refused(collect, 409, "CSS.3004")),
    ("list from RUNNING to SUCCESS", list_until_success),
    ("list page by page, past the end", page_through),
    ("unknown cluster", refused(lambda: open_backup(cluster=UNKNOWN), 403, "CSS.0015")),
    ("unknown bucket", refused(lambda: open_backup(bucket="no-such-bucket"), 400, "CSS.0048")),
    ("bad agency", refused(lambda: open_backup(agency="not an agency!"), 400, "CSS.5130")),
    ("bad period", refused(lambda: start_policy("25:00 GMT+08:00"), 400, "CSS.5020")),
    ("close", close),
    ("close what is closed", refused(lambda: client.stop_logs(StopLogsRequest(cluster_id=CLUSTER)), 415, "CSS.0004")),
    ("wrong secret", refused(list_with(lambda: client_with(secret="wrong")), 401, "APIGW.0301")),
    ("project by the region's name", list_with(lambda: client_with(project=None))),
]


def main() -> int:
    failed = False
    for operation, call in OPERATIONS:
        try:
            ok, detail = True, call()
        except Exception as error:
            ok, detail = False, f"{type(error).__name__}: {error}"
        failed |= not ok
        line = {"client": "python", "version": VERSION, "operation": operation, "ok": ok, "detail": detail}
        print(json.dumps(line, ensure_ascii=False), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
