"""What the Terraform provider sends, call by call (contract.md 6), and what it reads of each answer.

Each resource stands here as the steps of its Go code: the same requests, the same reading, the same reasons to fail.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from logkeep.database.connection import writing
from logkeep.database.jobs import fetch_running_job, finish_job
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service import clusters
from logkeep.service.identity import NewKey
from tests.contract.service import Reply, Service

AGENT = "terraform-provider-iac golangsdk/2.0.0"
SIGNED = "accept;content-type;user-agent;x-sdk-date"
PERIOD = "00:00 GMT+08:00"


class GoneError(Exception):
    """The provider takes the resource out of its state."""


class FailedError(Exception):
    """The provider ends with an error."""


@dataclass
class Provider:
    """Sends as golangsdk does: compact JSON that ends with a newline, and the project unsigned."""

    service: Service
    key: NewKey

    def send(self, method: str, cluster: Cluster, path: str, body: dict[str, Any] | None = None) -> Reply:
        target = self.service.path(cluster, path, self.key)
        payload = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" if body else b""
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": AGENT,
            "X-Sdk-Date": date,
        }
        signature = self._sign(method, target, headers, payload)
        authorization = f"SDK-HMAC-SHA256 Access={self.key.key.ak}, SignedHeaders={SIGNED}, Signature={signature}"
        headers |= {"Authorization": authorization, "X-Project-Id": self.key.key.project_id, "Accept-Encoding": "gzip"}
        return self.service.send(method, target, payload, headers)

    def _sign(self, method: str, target: str, headers: dict[str, str], payload: bytes) -> str:
        """golangsdk's signature, written out: the host is not signed, the path ends with '/'."""
        path, _, query = target.partition("?")
        signed = "".join(f"{name.lower()}:{value}\n" for name, value in headers.items())
        canonical = "\n".join((method, f"{path}/", query, signed, SIGNED, sha256(payload).hexdigest()))
        text = f"SDK-HMAC-SHA256\n{headers['X-Sdk-Date']}\n{sha256(canonical.encode()).hexdigest()}"
        return hmac.new(self.key.sk.encode(), text.encode(), sha256).hexdigest()

    def change(self, method: str, cluster: Cluster, path: str, body: dict[str, Any] | None = None) -> None:
        reply = self.send(method, cluster, path, body)
        if reply.status not in {200, 201, 202}:
            raise FailedError(reply.status, reply.body)

    def get(self, cluster: Cluster, path: str) -> Any:
        """A GET is decoded whatever it holds; 403 with CSS.0015 in `errCode` means that the cluster is gone."""
        reply = self.send("GET", cluster, path)
        if reply.status == 404 or (reply.status == 403 and reply.json["errCode"] == "CSS.0015"):
            raise GoneError
        if reply.status != 200:
            raise FailedError(reply.status, reply.body)
        return reply.json

    def pages(self, cluster: Cluster) -> Iterator[list[dict[str, Any]]]:
        """The pages of the data source, which asks on until one is empty."""
        start = 1
        while True:
            page = self.get(cluster, f"/logs/records?limit=10&start={start}")["clusterLogRecord"]
            if not page:
                return
            yield page
            start += 10


# huaweicloud_css_log_setting


@dataclass
class LogSettingResource:
    provider: Provider
    cluster: Cluster

    def create(self, agency: str, base_path: str, bucket: str, period: str = "") -> dict[str, Any]:
        body = {"agency": agency, "logBasePath": base_path, "logBucket": bucket}
        self.provider.change("POST", self.cluster, "/logs/open", body)
        if period:
            self.provider.change("POST", self.cluster, "/logs/policy/update", {"period": period})
        return self.read()

    def read(self) -> dict[str, Any]:
        found = self.provider.get(self.cluster, "/logs/settings")["logConfiguration"]
        if not found or not found["logSwitch"]:
            raise GoneError
        assert isinstance(found["updateAt"], int)
        state = {"agency": found["agency"], "base_path": found["basePath"], "bucket": found["obsBucket"]}
        return state | {"period": found["period"] if found["autoEnable"] else ""}

    def update(self, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        changed = {name for name in before if before[name] != after[name]}
        if changed & {"agency", "base_path", "bucket"}:
            body = {"agency": after["agency"], "logBasePath": after["base_path"], "logBucket": after["bucket"]}
            self.provider.change("POST", self.cluster, "/logs/settings", body)
        if "period" in changed and after["period"]:
            self.provider.change("POST", self.cluster, "/logs/policy/update", {"period": after["period"]})
        elif "period" in changed:
            self.provider.change("PUT", self.cluster, "/logs/policy/close")
        return self.read()

    def delete(self) -> str:
        """How it ended; both other refusals than these are failures."""
        reply = self.provider.send("PUT", self.cluster, "/logs/close")
        if reply.status in {200, 201, 202}:
            return "deleted"
        if (reply.status, reply.json["errCode"]) in {(403, "CSS.0015"), (415, "CSS.0004")}:
            return "gone before"
        raise FailedError(reply.status, reply.body)


# huaweicloud_css_manual_log_backup


@dataclass
class ManualBackupResource:
    provider: Provider
    cluster: Cluster
    job_id: str = ""

    def create(self) -> None:
        """Looks for the job by its state, since collect tells no id."""
        setting = self.provider.get(self.cluster, "/logs/settings")["logConfiguration"]
        if not setting or not setting["logSwitch"]:
            raise FailedError("log backup is not open")
        self.provider.change("POST", self.cluster, "/logs/collect")
        running = [record for record in self._records() if record["status"] == "RUNNING"]
        if not running:
            raise FailedError("not found")
        self.job_id = running[0]["jobId"]

    def poll(self) -> str:
        """PENDING while it runs; a failure is an error with its reason."""
        record = self._record()
        if record["status"] == "FAIL":
            raise FailedError(record["failedMsg"])
        return "PENDING" if record["status"] == "RUNNING" else "DONE"

    def read(self) -> dict[str, Any]:
        record = self._record()
        for name in ("createAt", "finishedAt"):  # an unchecked assertion that each is a number
            assert isinstance(record[name], int) or (name == "finishedAt" and record[name] is None)
        return record

    def _record(self) -> dict[str, Any]:
        found = [record for record in self._records() if record["jobId"] == self.job_id]
        if not found:
            raise GoneError
        return found[0]

    def _records(self) -> Iterator[dict[str, Any]]:
        start, full = 1, True
        while full:
            page = self.provider.get(self.cluster, f"/logs/records?limit=10&start={start}")["clusterLogRecord"]
            yield from page
            start, full = start + 10, len(page) == 10


@pytest.fixture
def provider(service: Service) -> Provider:
    return Provider(service, service.admin)


@pytest.fixture
def setting(provider: Provider, cluster: Cluster) -> LogSettingResource:
    return LogSettingResource(provider, cluster)


WITHOUT_PERIOD = {"agency": "css_obs_agency", "base_path": "css/log", "bucket": "logs", "period": ""}


def create(setting: LogSettingResource, **changed: str) -> dict[str, Any]:
    return setting.create(**(WITHOUT_PERIOD | changed))


def test_log_setting_is_created_and_read_back_as_it_was_written(setting: LogSettingResource) -> None:
    assert create(setting) == WITHOUT_PERIOD
    assert setting.read() == WITHOUT_PERIOD  # a plan after it is empty


def test_log_setting_is_created_with_a_period(setting: LogSettingResource) -> None:
    assert create(setting, period=PERIOD) == WITHOUT_PERIOD | {"period": PERIOD}


def test_log_setting_is_created_again_after_a_run_that_broke(setting: LogSettingResource) -> None:
    create(setting)
    assert create(setting, base_path="other") == WITHOUT_PERIOD | {"base_path": "other"}


@pytest.mark.parametrize("period", ["", PERIOD])
def test_change_of_bucket_and_path_leaves_the_period(setting: LogSettingResource, period: str) -> None:
    before = create(setting, period=period)
    after = before | {"base_path": "css/日志", "agency": "other-agency"}
    assert setting.update(before, after) == after


def test_period_is_changed_removed_and_set_again(setting: LogSettingResource) -> None:
    state = create(setting, period=PERIOD)
    for period in ("13:00 GMT-05:00", "", PERIOD):
        wanted = state | {"period": period}
        state = setting.update(state, wanted)
        assert state == wanted


def test_everything_is_changed_at_once(setting: LogSettingResource) -> None:
    before = create(setting, period=PERIOD)
    after = before | {"base_path": "new", "period": ""}
    assert setting.update(before, after) == after


def test_log_setting_is_imported_by_its_cluster_alone(setting: LogSettingResource) -> None:
    created = create(setting, period=PERIOD)
    assert LogSettingResource(setting.provider, setting.cluster).read() == created


def test_import_of_what_was_never_opened_finds_nothing(setting: LogSettingResource) -> None:
    with pytest.raises(GoneError):
        setting.read()


def test_log_setting_is_destroyed(setting: LogSettingResource) -> None:
    create(setting, period=PERIOD)
    assert setting.delete() == "deleted"
    with pytest.raises(GoneError):
        setting.read()
    assert create(setting)["period"] == ""  # the policy ended with it


def test_log_setting_that_was_closed_elsewhere_is_destroyed(setting: LogSettingResource) -> None:
    create(setting)
    setting.provider.change("PUT", setting.cluster, "/logs/close")
    with pytest.raises(GoneError):
        setting.read()
    assert setting.delete() == "gone before"


def test_log_setting_of_a_cluster_that_is_gone_is_gone(setting: LogSettingResource) -> None:
    create(setting)
    clusters.remove_cluster(setting.provider.service.context, setting.cluster)
    reply = setting.provider.send("GET", setting.cluster, "/logs/settings")
    assert (reply.status, reply.json["errCode"]) == (403, "CSS.0015")
    with pytest.raises(GoneError):
        setting.read()
    assert setting.delete() == "gone before"


def test_cluster_of_another_project_reads_as_gone(service: Service, cluster: Cluster) -> None:
    setting = LogSettingResource(Provider(service, service.stranger), cluster)
    with pytest.raises(GoneError):
        setting.read()
    assert setting.delete() == "gone before"


def test_members_that_are_unset_come_as_empty_strings_and_are_refused(setting: LogSettingResource) -> None:
    for missing in ("agency", "base_path", "bucket"):
        with pytest.raises(FailedError, match="400"):
            create(setting, **{missing: ""})
    with pytest.raises(GoneError):
        setting.read()


# huaweicloud_css_manual_log_backup


@pytest.fixture
def backup(setting: LogSettingResource) -> ManualBackupResource:
    create(setting)
    return ManualBackupResource(setting.provider, setting.cluster)


def end(backup: ManualBackupResource, status: JobStatus, message: str | None = None) -> None:
    with writing(backup.provider.service.context.database) as connection:
        running = fetch_running_job(connection, backup.cluster.id)
        assert running
        finish_job(connection, running.job_id, status, running.created_at + 1, message)


def test_manual_backup_is_seen_running_at_once_and_read_when_done(backup: ManualBackupResource) -> None:
    backup.create()
    assert backup.poll() == "PENDING"
    end(backup, JobStatus.SUCCESS)
    assert backup.poll() == "DONE"
    record = backup.read()
    assert (record["jobTypes"], record["status"], record["logPath"]) == ("Manual", "SUCCESS", "logs/css/log")
    assert record["finishedAt"] == record["createAt"] + 1
    assert record["failedMsg"] is None


def test_manual_backup_is_found_by_its_job_for_ever(backup: ManualBackupResource) -> None:
    backup.create()
    end(backup, JobStatus.SUCCESS)
    read = backup.read()
    service, cluster = backup.provider.service, backup.cluster
    service.add_records(cluster, *[JobStatus.SUCCESS] * 30, JobStatus.FAIL)
    assert backup.read() == read
    setting = LogSettingResource(backup.provider, cluster)
    assert setting.delete() == "deleted"  # clears the record that failed, and no other
    assert backup.read() == read
    create(setting)
    assert backup.read() == read


def test_each_manual_backup_finds_its_own_job(backup: ManualBackupResource) -> None:
    other = ManualBackupResource(backup.provider, backup.cluster)
    backup.provider.service.add_records(backup.cluster, *[JobStatus.SUCCESS] * 12)
    backup.create()
    end(backup, JobStatus.SUCCESS)
    other.create()
    assert other.job_id != backup.job_id
    assert (backup.poll(), other.poll()) == ("DONE", "PENDING")


def test_manual_backup_that_fails_tells_why(backup: ManualBackupResource) -> None:
    backup.create()
    end(backup, JobStatus.FAIL, "LK-SOURCE-UNREACHABLE: node node-0: the directory is not there")
    with pytest.raises(FailedError, match="LK-SOURCE-UNREACHABLE"):
        backup.poll()


def test_manual_backup_needs_an_open_log_backup(setting: LogSettingResource) -> None:
    backup = ManualBackupResource(setting.provider, setting.cluster)
    with pytest.raises(FailedError, match="not open"):
        backup.create()
    create(setting)
    setting.delete()
    with pytest.raises(FailedError, match="not open"):
        backup.create()


def test_second_manual_backup_is_refused_with_409_and_not_with_202_or_429(backup: ManualBackupResource) -> None:
    backup.create()
    with pytest.raises(FailedError, match=r"409.*CSS\.3004"):
        ManualBackupResource(backup.provider, backup.cluster).create()


# data huaweicloud_css_log_backup_records


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (9, [9]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
def test_data_source_pages_until_a_page_is_empty(
    provider: Provider, cluster: Cluster, number: int, sizes: list[int]
) -> None:
    jobs = provider.service.add_records(cluster, *[JobStatus.SUCCESS] * number)
    pages = list(provider.pages(cluster))
    assert [len(page) for page in pages] == sizes
    found = [record["jobId"] for page in pages for record in page]
    assert sorted(found) == sorted(job.job_id for job in jobs)
    for record in (record for page in pages for record in page):
        assert type(record["createAt"]) is int  # Terraform ends at a string


def test_empty_page_is_a_list_and_not_null(provider: Provider, cluster: Cluster) -> None:
    assert provider.get(cluster, "/logs/records?limit=10&start=1001") == {"clusterLogRecord": [], "totalSize": 0}
