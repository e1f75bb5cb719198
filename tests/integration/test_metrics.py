"""What a scraper reads, and that docs/metrics.md and the alerts name all of it and nothing else."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from logkeep.api.metrics import PrometheusMeter
from logkeep.api.metrics_server import MetricsServer
from logkeep.domain.policy import PolicyState
from logkeep.domain.usage import RequestKind
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.errors import SettingError
from logkeep.service import backups, log_settings, verification
from logkeep.service.backup_run import begin_run
from logkeep.service.catalogue import JobCatalogue
from tests.integration.cli.installed import CONFIGURATION, init, logkeep, serving
from tests.integration.test_policies import DAY, PERIOD, add_policies
from tests.support.installation import Installation

DOCS = Path(__file__).parents[2] / "docs"
HISTOGRAM = ("_bucket", "_count", "_sum")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    """Every sample, as Prometheus' own parser reads it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@dataclass
class Watched:
    """An installation whose metrics are counted."""

    installation: Installation
    meter: PrometheusMeter

    def value(self, name: str, **labels: str) -> float | None:
        return read(generate_latest(self.meter.registry).decode()).get((name, frozenset(labels.items())))

    def values(self, name: str) -> list[float]:
        return [
            value for (found, _), value in read(generate_latest(self.meter.registry).decode()).items() if found == name
        ]


@pytest.fixture
def watched(installation: Installation) -> Watched:
    meter = PrometheusMeter("1.2.3")
    installation.runtime = replace(installation.runtime, meter=meter)
    meter.watch(installation.runtime, most_named=3)
    return Watched(installation, meter)


def test_backups_are_counted_with_what_they_kept_and_lost(watched: Watched, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n" * 1000)
    cluster = watched.installation.add_cluster(n1=logs)
    job = watched.installation.back_up(cluster)
    assert watched.value("logkeep_jobs_total", type="Manual", status="SUCCESS") == 1
    assert watched.value("logkeep_job_seconds_count", type="Manual") == 1
    assert watched.value("logkeep_job_bytes_total", kind="raw") == 5000
    stored = watched.value("logkeep_job_bytes_total", kind="stored")
    assert stored == sum(path.stat().st_size for path in watched.installation.objects())
    assert watched.value("logkeep_gaps_total") == 0
    assert watched.value("logkeep_records", status="SUCCESS") == 1
    assert job.finished_at is not None
    success = watched.value("logkeep_last_success_timestamp_seconds", project="cn-north-4", cluster="prod")
    assert success == job.finished_at / 1000
    (logs / "es.log").write_bytes(b"other\n" * 10)  # what was written before and not kept is gone
    gaps = watched.installation.gaps(watched.installation.back_up(cluster))
    assert watched.value("logkeep_gaps_total") == len(gaps)
    assert watched.value("logkeep_gap_bytes_total") == sum(gap.at_least for gap in gaps)


def test_what_is_kept_is_shown_by_cluster_where_they_are_few(watched: Watched, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n" * 1000)
    watched.installation.back_up(watched.installation.add_cluster(n1=logs))
    stored = sum(path.stat().st_size for path in watched.installation.objects())
    names = {"project": "cn-north-4", "cluster": "prod"}
    assert watched.value("logkeep_usage_raw_bytes", **names) == 5000
    assert watched.value("logkeep_usage_stored_bytes", **names) == stored
    assert watched.value("logkeep_usage_objects", **names) == 1
    assert watched.value("logkeep_usage_index_bytes", **names) == 0
    many = PrometheusMeter("1.2.3")
    many.watch(watched.installation.runtime, most_named=0)
    shown = read(generate_latest(many.registry).decode())
    assert shown["logkeep_usage_stored_bytes", frozenset({("project", ""), ("cluster", "")})] == stored


def test_requests_to_stores_are_counted_by_bucket_and_a_few_buckets_are_named(watched: Watched) -> None:
    requests = watched.installation.runtime.requests
    for number in range(102):
        requests.of_bucket(f"b{number:03d}")(RequestKind.PUT, "a/b", number)
    assert watched.value("logkeep_store_requests_total", bucket="b099", kind="put") == 99
    assert watched.value("logkeep_store_requests_total", bucket="(others)", kind="put") == 100 + 101
    assert watched.value("logkeep_store_requests_total", bucket="(others)", kind="get") == 0  # of the bucket `logs`
    assert len(watched.values("logkeep_store_requests_total")) == 100 + len(RequestKind)


def test_failures_are_counted_by_their_code_from_zero_on(watched: Watched, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    cluster = watched.installation.add_cluster(n1=logs)
    assert watched.value("logkeep_job_failures_total", code="LK-STORE-MISSING") == 0
    assert watched.value("logkeep_job_failures_total", code="LK-SOURCE-UNREACHABLE") == 0
    logs.rmdir()
    failed = watched.installation.back_up(cluster)
    assert failed.failed_msg
    code = failed.failed_msg.partition(":")[0]
    assert watched.value("logkeep_job_failures_total", code=code) == 1
    assert watched.value("logkeep_jobs_total", type="Manual", status="FAIL") == 1
    logs.mkdir()
    watched.installation.bucket.rename(tmp_path / "away")
    failed = watched.installation.back_up(cluster)
    assert failed.failed_msg
    assert watched.value("logkeep_job_failures_total", code=failed.failed_msg.partition(":")[0]) == 1
    assert failed.failed_msg.startswith("LK-STORE-")


def test_warnings_are_counted_by_their_code_from_zero_on(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    runtime, cluster = watched.installation.runtime, watched.installation.add_cluster(n1=tmp_path / "n1")
    before = watched.value("logkeep_job_warnings_total", code="LK-LOG-CUT")
    job = backups.start_backup(runtime, cluster)
    run = begin_run(runtime, job.job_id)
    assert run
    catalogue = JobCatalogue(runtime.database, cluster.id, job.job_id, run.attempt)
    catalogue.record_warnings([JobWarning("n1", "es.log", "es.log.gz", WarningCode.LOG_CUT, "it is cut")])
    watched.installation.run(job)
    assert (before, watched.value("logkeep_job_warnings_total", code="LK-LOG-CUT")) == (0, 1)


def test_policies_are_counted_by_their_state(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    cluster = watched.installation.add_cluster(n1=tmp_path / "n1")
    clock = watched.installation.clock

    def states() -> set[str]:
        return {state for state in PolicyState if watched.value("logkeep_policies", state=state)}

    assert states() == {"off"}
    log_settings.start_policy(watched.installation.runtime, cluster, PERIOD)
    assert states() == {"never_ran"}
    job = watched.installation.back_up(cluster)
    assert states() == {"ok"}
    assert job.finished_at is not None
    assert watched.value("logkeep_oldest_success_timestamp_seconds") == job.finished_at / 1000
    clock.advance(25 * 3_600_000)
    assert states() == {"missed"}
    clock.advance(DAY)
    assert states() == {"stale"}


def test_a_job_is_queued_until_a_worker_begins_it(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    cluster = watched.installation.add_cluster(n1=tmp_path / "n1")
    job = backups.start_backup(watched.installation.runtime, cluster)
    assert (watched.value("logkeep_jobs_queued"), watched.value("logkeep_records", status="RUNNING")) == (1, 1)
    begin_run(watched.installation.runtime, job.job_id)
    assert (watched.value("logkeep_jobs_queued"), watched.value("logkeep_records", status="RUNNING")) == (0, 1)


def test_what_a_verification_found_is_shown(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / "es.log").write_bytes(b"line\n" * 1000)
    cluster = watched.installation.add_cluster(n1=tmp_path / "n1")
    watched.installation.back_up(cluster)
    for path in watched.installation.objects():
        path.write_bytes(b"damaged")
    found = [one for one in watched.installation.verify(cluster) if isinstance(one, verification.Finding)]
    assert found
    assert watched.value("logkeep_verification_findings") == len(found)
    assert watched.value("logkeep_verified_clusters") == 1
    assert watched.value("logkeep_oldest_verification_timestamp_seconds") == watched.installation.clock.now_ms() / 1000


def test_clusters_are_named_only_where_there_are_few(watched: Watched) -> None:
    add_policies(watched.installation, 4, 0)
    assert watched.value("logkeep_clusters") == 4
    assert watched.values("logkeep_last_success_timestamp_seconds") == []


def test_a_scrape_without_a_database_tells_so(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = watched.installation.runtime.database
    broken.dispose()
    database = broken.url.database
    if broken.dialect.name != "sqlite" or not database:
        pytest.skip("the file of the database is put out of reach")
    for path in Path(database).parent.glob("logkeep.db*"):
        path.unlink()
    Path(database).mkdir()
    assert watched.value("logkeep_database_up") == 0
    assert watched.value("logkeep_clusters") is None
    assert watched.value("logkeep_gaps_total") == 0


def test_a_scrape_of_many_clusters_is_quick(watched: Watched) -> None:
    add_policies(watched.installation, 10_000, watched.installation.clock.now_ms() + DAY)
    generate_latest(watched.meter.registry)
    began = time.perf_counter()
    text = generate_latest(watched.meter.registry).decode()
    assert time.perf_counter() - began < 1
    assert len(text.splitlines()) < 300


@dataclass
class Scraped:
    """A real service, and where its metrics are read."""

    address: str
    endpoint: str

    def text(self) -> str:
        return httpx.get(f"http://{self.address}/metrics").text

    def read(self) -> Samples:
        return read(self.text())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """With a backup and a few requests behind it."""
    folder = tmp_path_factory.mktemp("served")
    node, directory = folder / "node", folder / "installation"
    node.mkdir()
    (node / "es.log").write_bytes(b"line\n" * 100)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    init(directory, f'{CONFIGURATION}\n[metrics]\nlisten = "{address}"\n')
    with serving(directory) as service:
        for command in (
            ("cluster", "add", "prod", "--node", f"n1=file://{node}"),
            ("logs", "open", "prod", "--at", "00:00 GMT+08:00"),
            ("backup", "prod", "--wait"),
            ("verify", "prod"),
        ):
            logkeep("--dir", directory, *command).ended(0)
        yield Scraped(address, service.endpoint)


def test_a_service_shows_all_that_is_documented_and_nothing_else(served: Scraped) -> None:
    answer = httpx.get(f"http://{served.address}/metrics")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    found = read(answer.text)
    names = {name for name, _ in found}
    shown = {re.sub(rf"({'|'.join(HISTOGRAM)})$", "", name) for name in names}
    text = (DOCS / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(logkeep_\w+)` \| (\w+) \|([^|]*)\|", text, re.MULTILINE)
    process = set(re.findall(r"`(process_\w+)`", text))
    assert shown == {name for name, _, _ in rows} | process
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", answer.text, re.MULTILINE))
    for name, kind, labels in rows:
        assert kinds[name] == kind, name
        documented = set(re.findall(r"`(\w+)`", labels))
        of_it = {
            frozenset(label for label, _ in labels if label != "le")
            for found_, labels in found
            if found_.startswith(name)
        }
        assert of_it == {frozenset(documented)}, name
    assert found["logkeep_policies", frozenset({("state", "ok")})] == 1
    assert found["logkeep_http_requests_total", frozenset({("operation", "AddCluster"), ("status", "2xx")})] == 1


def test_requests_are_counted_by_their_operation(served: Scraped) -> None:
    """What nothing answers to is one series, whatever the path."""
    for path in ("/favicon.ico", "/x/1", "/x/2", "/metrics", "/healthz", "/readyz", "/api/v1/clusters"):
        httpx.get(f"{served.endpoint}{path}")
    found = served.read()
    for operation, status, number in (("none", "4xx", 4), ("Health", "2xx", 1), ("ListClusters", "4xx", 1)):
        assert found["logkeep_http_requests_total", frozenset({("operation", operation), ("status", status)})] == number


def test_an_address_that_cannot_be_used_is_refused_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        for wrong in ("9475", "localhost:port", "localhost:70000", listen, "no-such-host.invalid:1"):
            with pytest.raises(SettingError, match=r"^metrics\.listen: "):
                MetricsServer(wrong, PrometheusMeter("1").registry)
        init(tmp_path / "installation", f'{CONFIGURATION}\n[metrics]\nlisten = "{listen}"\n')
        refused = logkeep("--dir", tmp_path / "installation", "serve", "--port", "0").ended(2)
        assert "metrics.listen: " in refused.err


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((DOCS / "alerts.yml").read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_the_alerts_use_metrics_and_labels_that_exist(served: Scraped) -> None:
    found = {name: dict(labels) for name, labels in served.read()}
    alerts = rules()
    assert len(alerts) >= 5
    for rule in alerts:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        names = re.findall(r"logkeep_\w+", rule["expr"])
        assert names
        assert set(names) <= found.keys(), rule["alert"]
        for name, label in re.findall(r"(logkeep_\w+)\{(\w+)=", rule["expr"]):
            assert label in found[name], rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_alerts_are_documented() -> None:
    text = (DOCS / "metrics.md").read_text("utf-8")
    assert re.findall(r"^\| `(Logkeep\w+)` \|", text, re.MULTILINE) == [rule["alert"] for rule in rules()]
