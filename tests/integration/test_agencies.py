"""An agency is the name of a set of credentials: which jobs write with them, and which reads read with them.

Here each agency opens a bucket of its own, so that one sees which was meant; tests/real has one bucket and real keys.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from logkeep.bootstrap.stores import open_agencies, open_buckets
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.errors import InvalidAgency, SettingError
from logkeep.service import backups, clusters, log_settings
from logkeep.settings import load_settings
from logkeep.stores.opendal import open_store
from tests.support.installation import Installation, open_installation


@dataclass
class Two:
    """Two agencies, each with a folder that stands for the bucket as it opens it."""

    installation: Installation
    folders: dict[str, Path]
    cluster: Cluster
    log: Path

    def choose(self, agency: str) -> None:
        log_settings.open_backup(self.installation.runtime, self.cluster, LogSettingChange(agency, "logs", "css/log"))

    def forget(self, agency: str) -> None:
        agencies = {name: stores for name, stores in self.installation.runtime.agencies.items() if name != agency}
        self.installation.runtime = replace(self.installation.runtime, agencies=agencies)

    def objects(self, agency: str) -> int:
        return sum(1 for path in self.folders[agency].rglob("*.zst"))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    folders = {name: tmp_path / f"bucket-{name}" for name in ("", "first", "second")}
    for folder in folders.values():
        folder.mkdir()
    stores = {name: {"logs": open_store(folder.as_uri(), base=tmp_path)} for name, folder in folders.items()}
    log = tmp_path / "node" / "es.log"
    log.parent.mkdir()
    log.write_bytes(b"a line\n" * 100)
    with open_installation(tmp_path / "installation") as installation:
        agencies = {"first": stores["first"], "second": stores["second"]}
        installation.runtime = replace(installation.runtime, stores=stores[""], agencies=agencies)
        new = [clusters.NewNode("n1", log.parent.as_uri())]
        cluster = clusters.add_cluster(installation.runtime, installation.project.id, "prod", new)
        yield Two(installation, folders, cluster, log)


def test_a_job_writes_as_the_agency_that_was_set_when_it_was_started(two: Two) -> None:
    two.choose("first")
    job = backups.start_backup(two.installation.runtime, two.cluster)
    two.choose("second")
    ended = two.installation.run(job)
    assert ended.status is JobStatus.SUCCESS
    assert [two.objects(agency) for agency in ("", "first", "second")] == [0, 1, 0]
    assert list(two.folders["first"].rglob("*.json"))


def test_what_is_kept_is_read_as_the_agency_of_now(two: Two) -> None:
    two.choose("first")
    assert two.installation.back_up(two.cluster).status is JobStatus.SUCCESS
    assert two.installation.findings(two.cluster, read_data=True, chain=True) == []
    two.choose("second")
    assert two.installation.findings(two.cluster)[0].problem == "manifest missing"
    shutil.rmtree(two.folders["second"])
    two.folders["first"].rename(two.folders["second"])
    assert two.installation.findings(two.cluster, read_data=True, chain=True) == []
    assert two.installation.restored(two.cluster) == {("n1", "es.log"): two.log.read_bytes()}


def test_without_its_agency_a_cluster_is_read_as_the_bucket_itself_is_opened_and_not_written(two: Two) -> None:
    two.choose("first")
    assert two.installation.back_up(two.cluster).status is JobStatus.SUCCESS
    two.forget("first")
    shutil.rmtree(two.folders[""])
    two.folders["first"].rename(two.folders[""])
    assert two.installation.restored(two.cluster) == {("n1", "es.log"): two.log.read_bytes()}
    failed = two.installation.back_up(two.cluster)
    assert failed.failed_msg == (
        "LK-STORE-DENIED: agency first is no longer configured; add [agencies.first] to logkeep.toml, or name another "
        "one with `logkeep logs settings CLUSTER --agency NAME`"
    )
    with pytest.raises(InvalidAgency, match="there is no agency first; configured are second"):
        two.choose("first")


@pytest.mark.parametrize(
    ("agency", "said"),
    [
        ("far = {access_key_id = 'a'}", "agencies.a.credentials.far: there is no bucket far; configured are logs, s3"),
        ("s3 = {access_key_id = 'a'}", "agencies.a.credentials.s3: s3: the credentials lack secret_access_key"),
        ("s3 = {acess_key_id = 'a'}", "agencies.a.credentials.s3: s3: there is no option 'acess_key_id'; is it"),
        ("logs = {access_key_id = 'a'}", "agencies.a.credentials.logs: a bucket of this kind takes no credentials"),
        ("s3 = 'a'", r"logkeep.toml: agencies.a.credentials.s3: expected `object`, got `str`"),
    ],
)
def test_wrong_credentials_are_refused_by_their_key(tmp_path: Path, agency: str, said: str) -> None:
    own = "credentials = {access_key_id = 'a', secret_access_key = 'b'}"
    (tmp_path / "logkeep.toml").write_text(
        f"[buckets.logs]\n[buckets.s3]\nurl = 's3://x?region=y'\n{own}\n[agencies.a.credentials]\n{agency}\n"
    )
    with pytest.raises(SettingError, match=said):
        settings = load_settings(tmp_path, {})
        open_agencies(settings, open_buckets(settings))
