"""What the Terraform provider sends and what it reads of each answer (docs/contract.md, "Terraform, call by call").
Each resource stands here as the steps of its Go code: the same requests, the same reading, the same reasons to fail.
"""

from __future__ import annotations

import hmac
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from logkeep.cli.access import read_access
from logkeep.cli.app import run
from logkeep.database.connection import writing
from logkeep.database.jobs import fetch_running_job, finish_job
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service import clusters
from logkeep.service.identity import NewKey
from tests.contract.service import Reply, Service
from tests.integration.cli.installed import CONFIGURATION, init, serving

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

    port: int
    ak: str
    sk: str
    project_id: str

    def send(self, method: str, cluster_id: str, path: str, body: dict[str, Any] | None = None) -> Reply:
        target = f"/v1.0/{self.project_id}/clusters/{cluster_id}{path}"
        payload = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" if body else b""
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": AGENT,
            "X-Sdk-Date": date,
        }
        signature = self._sign(method, target, headers, payload)
        authorization = f"SDK-HMAC-SHA256 Access={self.ak}, SignedHeaders={SIGNED}, Signature={signature}"
        headers |= {"Authorization": authorization, "X-Project-Id": self.project_id, "Accept-Encoding": "gzip"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, target, payload, headers)
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())

    def _sign(self, method: str, target: str, headers: dict[str, str], payload: bytes) -> str:
        """golangsdk's signature, written out: the host is not signed, the path ends with '/'."""
        path, _, query = target.partition("?")
        signed = "".join(f"{name.lower()}:{value}\n" for name, value in headers.items())
        canonical = "\n".join((method, f"{path}/", query, signed, SIGNED, sha256(payload).hexdigest()))
        text = f"SDK-HMAC-SHA256\n{headers['X-Sdk-Date']}\n{sha256(canonical.encode()).hexdigest()}"
        return hmac.new(self.sk.encode(), text.encode(), sha256).hexdigest()

    def change(self, method: str, cluster_id: str, path: str, body: dict[str, Any] | None = None) -> None:
        reply = self.send(method, cluster_id, path, body)
        if reply.status not in {200, 201, 202}:
            raise FailedError(reply.status, reply.body)

    def get(self, cluster_id: str, path: str) -> Any:
        """A GET is decoded whatever it holds; 403 with CSS.0015 in `errCode` means that the cluster is gone."""
        reply = self.send("GET", cluster_id, path)
        if reply.status == 404 or (reply.status == 403 and reply.json["errCode"] == "CSS.0015"):
            raise GoneError
        if reply.status != 200:
            raise FailedError(reply.status, reply.body)
        return reply.json

    def pages(self, cluster_id: str) -> Iterator[list[dict[str, Any]]]:
        """The pages of the data source, which asks on until one is empty."""
        start = 1
        while True:
            page = self.get(cluster_id, f"/logs/records?limit=10&start={start}")["clusterLogRecord"]
            if not page:
                return
            yield page
            start += 10


# huaweicloud_css_log_setting


@dataclass
class LogSettingResource:
    provider: Provider
    cluster_id: str

    def create(self, agency: str, base_path: str, bucket: str, period: str = "") -> dict[str, Any]:
        body = {"agency": agency, "logBasePath": base_path, "logBucket": bucket}
        self.provider.change("POST", self.cluster_id, "/logs/open", body)
        if period:
            self.provider.change("POST", self.cluster_id, "/logs/policy/update", {"period": period})
        return self.read()

    def read(self) -> dict[str, Any]:
        found = self.provider.get(self.cluster_id, "/logs/settings")["logConfiguration"]
        if not found or not found["logSwitch"]:
            raise GoneError
        assert isinstance(found["updateAt"], int)
        state = {"agency": found["agency"], "base_path": found["basePath"], "bucket": found["obsBucket"]}
        return state | {"period": found["period"] if found["autoEnable"] else ""}

    def update(self, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        changed = {name for name in before if before[name] != after[name]}
        if changed & {"agency", "base_path", "bucket"}:
            body = {"agency": after["agency"], "logBasePath": after["base_path"], "logBucket": after["bucket"]}
            self.provider.change("POST", self.cluster_id, "/logs/settings", body)
        if "period" in changed and after["period"]:
            self.provider.change("POST", self.cluster_id, "/logs/policy/update", {"period": after["period"]})
        elif "period" in changed:
            self.provider.change("PUT", self.cluster_id, "/logs/policy/close")
        return self.read()

    def delete(self) -> str:
        """How it ended; both other refusals than these are failures."""
        reply = self.provider.send("PUT", self.cluster_id, "/logs/close")
        if reply.status in {200, 201, 202}:
            return "deleted"
        if (reply.status, reply.json["errCode"]) in {(403, "CSS.0015"), (415, "CSS.0004")}:
            return "gone before"
        raise FailedError(reply.status, reply.body)


# huaweicloud_css_manual_log_backup


@dataclass
class ManualBackupResource:
    provider: Provider
    cluster_id: str
    job_id: str = ""

    def create(self) -> None:
        """Looks for the job by its state, since collect tells no id."""
        setting = self.provider.get(self.cluster_id, "/logs/settings")["logConfiguration"]
        if not setting or not setting["logSwitch"]:
            raise FailedError("log backup is not open")
        self.provider.change("POST", self.cluster_id, "/logs/collect")
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
            page = self.provider.get(self.cluster_id, f"/logs/records?limit=10&start={start}")["clusterLogRecord"]
            yield from page
            start, full = start + 10, len(page) == 10


@pytest.fixture
def provider(service: Service) -> Provider:
    return provider_with(service, service.admin)


def provider_with(service: Service, key: NewKey) -> Provider:
    return Provider(service.port, key.key.ak, key.sk, key.key.project_id)


@pytest.fixture
def setting(provider: Provider, cluster: Cluster) -> LogSettingResource:
    return LogSettingResource(provider, cluster.id)


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
    assert LogSettingResource(setting.provider, setting.cluster_id).read() == created


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
    setting.provider.change("PUT", setting.cluster_id, "/logs/close")
    with pytest.raises(GoneError):
        setting.read()
    assert setting.delete() == "gone before"


def test_log_setting_of_a_cluster_that_is_gone_is_gone(
    service: Service, cluster: Cluster, setting: LogSettingResource
) -> None:
    create(setting)
    clusters.remove_cluster(service.runtime, cluster)
    reply = setting.provider.send("GET", setting.cluster_id, "/logs/settings")
    assert (reply.status, reply.json["errCode"]) == (403, "CSS.0015")
    with pytest.raises(GoneError):
        setting.read()
    assert setting.delete() == "gone before"


def test_cluster_of_another_project_reads_as_gone(service: Service, cluster: Cluster) -> None:
    setting = LogSettingResource(provider_with(service, service.stranger), cluster.id)
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
    return ManualBackupResource(setting.provider, setting.cluster_id)


End = Callable[..., None]


@pytest.fixture
def end(service: Service, cluster: Cluster) -> End:
    """Ends the job that runs, in place of the queue."""
    return lambda status, message=None: end_job(service, cluster.id, status, message)


def end_job(service: Service, cluster_id: str, status: JobStatus, message: str | None) -> None:
    with writing(service.runtime.database) as connection:
        running = fetch_running_job(connection, cluster_id)
        assert running
        finish_job(
            connection, structs.replace(running, status=status, finished_at=running.created_at + 1, failed_msg=message)
        )


def test_manual_backup_is_seen_running_at_once_and_read_when_done(backup: ManualBackupResource, end: End) -> None:
    backup.create()
    assert backup.poll() == "PENDING"
    end(JobStatus.SUCCESS)
    assert backup.poll() == "DONE"
    record = backup.read()
    assert (record["jobTypes"], record["status"], record["logPath"]) == ("Manual", "SUCCESS", "logs/css/log")
    assert record["finishedAt"] == record["createAt"] + 1
    assert record["failedMsg"] is None


def test_manual_backup_is_found_by_its_job_for_ever(
    service: Service, cluster: Cluster, backup: ManualBackupResource, end: End
) -> None:
    backup.create()
    end(JobStatus.SUCCESS)
    read = backup.read()
    service.add_records(cluster, *[JobStatus.SUCCESS] * 30, JobStatus.FAIL)
    assert backup.read() == read
    setting = LogSettingResource(backup.provider, cluster.id)
    assert setting.delete() == "deleted"  # clears the record that failed, and no other
    assert backup.read() == read
    create(setting)
    assert backup.read() == read


def test_each_manual_backup_finds_its_own_job(
    service: Service, cluster: Cluster, backup: ManualBackupResource, end: End
) -> None:
    other = ManualBackupResource(backup.provider, cluster.id)
    service.add_records(cluster, *[JobStatus.SUCCESS] * 12)
    backup.create()
    end(JobStatus.SUCCESS)
    other.create()
    assert other.job_id != backup.job_id
    assert (backup.poll(), other.poll()) == ("DONE", "PENDING")


def test_manual_backup_that_fails_tells_why(backup: ManualBackupResource, end: End) -> None:
    backup.create()
    end(JobStatus.FAIL, "LK-SOURCE-UNREACHABLE: node node-0: the directory is not there")
    with pytest.raises(FailedError, match="LK-SOURCE-UNREACHABLE"):
        backup.poll()


def test_manual_backup_needs_an_open_log_backup(setting: LogSettingResource) -> None:
    backup = ManualBackupResource(setting.provider, setting.cluster_id)
    with pytest.raises(FailedError, match="not open"):
        backup.create()
    create(setting)
    setting.delete()
    with pytest.raises(FailedError, match="not open"):
        backup.create()


def test_second_manual_backup_is_refused_with_409_and_not_with_202_or_429(backup: ManualBackupResource) -> None:
    backup.create()
    with pytest.raises(FailedError, match=r"409.*CSS\.3004"):
        ManualBackupResource(backup.provider, backup.cluster_id).create()


def test_manual_backup_of_a_real_queue_is_seen_running_and_then_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other tests end jobs by hand: this one has a node, a queue and a service as a process."""
    visible = 1.5
    home, logs = tmp_path / "home", tmp_path / "node"
    logs.mkdir()
    (logs / "prod.log").write_text("[2026-11-24T00:00:00,000][INFO ][o.o.n.Node] [node-0] started\n")
    init(home, CONFIGURATION.replace("running_visible_seconds = 0", f"running_visible_seconds = {visible}"))
    access = read_access(home)
    assert access
    with serving(home) as served:
        provider = Provider(int(served.endpoint.rpartition(":")[2]), access.ak, access.sk, access.project_id)
        cluster_id = add_cluster(home, logs, capsys)
        create(LogSettingResource(provider, cluster_id))
        backup, begun = ManualBackupResource(provider, cluster_id), time.monotonic()
        backup.create()
        while backup.poll() == "PENDING":
            time.sleep(0.05)
            assert time.monotonic() < begun + 60
        record = backup.read()
    assert record["status"] == "SUCCESS"
    assert record["finishedAt"] - record["createAt"] >= visible * 1000


def add_cluster(home: Path, logs: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(["--dir", str(home), "--json", "cluster", "add", "prod", "--node", f"node-0=file://{logs}"]) == 0
    return json.loads(capsys.readouterr().out)["id"]


# data huaweicloud_css_log_backup_records


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (9, [9]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
def test_data_source_pages_until_a_page_is_empty(
    service: Service, provider: Provider, cluster: Cluster, number: int, sizes: list[int]
) -> None:
    jobs = service.add_records(cluster, *[JobStatus.SUCCESS] * number)
    pages = list(provider.pages(cluster.id))
    assert [len(page) for page in pages] == sizes
    found = [record["jobId"] for page in pages for record in page]
    assert sorted(found) == sorted(job.job_id for job in jobs)
    for record in (record for page in pages for record in page):
        assert type(record["createAt"]) is int  # Terraform ends at a string


def test_empty_page_is_a_list_and_not_null(provider: Provider, cluster: Cluster) -> None:
    assert provider.get(cluster.id, "/logs/records?limit=10&start=1001") == {"clusterLogRecord": [], "totalSize": 0}
