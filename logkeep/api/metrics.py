"""Metrics in the form of Prometheus: what this process counts, and how the installation does (docs/metrics.md)."""

from __future__ import annotations

import time
from collections import Counter as Sum
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from logkeep.domain.notice import Event
from logkeep.domain.usage import RequestKind
from logkeep.domain.warning import WarningCode
from logkeep.errors import CatalogueError, JobError
from logkeep.service.archive_usage import NamedUsage, list_named
from logkeep.service.meter import EndedJob
from logkeep.service.monitoring import InstallationStats, collect_stats
from logkeep.service.runtime import Runtime

_Name = TypeVar("_Name", bound=str)
_JOB_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600)
_USAGE_SECONDS = 60.0  # how long sums of segments are shown: with a million of them they take a third of a second
_MOST_BUCKETS = 100  # that are named
_REQUEST_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10)
disable_created_metrics()  # as many series again, which nobody asks


class PrometheusMeter:
    """Counts in this process, since it began."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._jobs = self._counter("logkeep_jobs", "Backups that this process ended.", "type", "status")
        self._job_seconds = Histogram(
            "logkeep_job_seconds",
            "From the start of a backup, as its record tells it, to its end.",
            ("type",),
            buckets=_JOB_SECONDS,
            registry=self.registry,
        )
        self._job_bytes = self._counter("logkeep_job_bytes", "Bytes that these backups kept: raw, stored.", "kind")
        self._failures = self._counter("logkeep_job_failures", "What failed in these backups, by its code.", "code")
        for code in _codes(JobError):  # from the start, so that the first one shows as an increase
            self._failures.labels(code)
        self._warnings = self._counter("logkeep_job_warnings", "What these backups warned of, by its code.", "code")
        for code in WarningCode:
            self._warnings.labels(code)
        self._gaps = self._counter("logkeep_gaps", "Gaps that these backups met.")
        self._gap_bytes = self._counter("logkeep_gap_bytes", "Bytes that went before they were kept, at least.")
        self._notices = self._counter("logkeep_notices", "Notices that this process recorded.", "event")
        for event in Event:
            self._notices.labels(event)
        self._deliveries = self._counter(
            "logkeep_notice_deliveries", "Attempts of this process to deliver: delivered, failed, given_up.", "outcome"
        )
        for outcome in ("delivered", "failed", "given_up"):
            self._deliveries.labels(outcome)
        self._requests = self._counter(
            "logkeep_http_requests", "Requests that this process answered.", "operation", "status"
        )
        self._request_seconds = Histogram(
            "logkeep_http_request_seconds",
            "From a request's head to its answer's.",
            ("operation",),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self._request_series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        build = Gauge("logkeep_build_info", "The version of this process.", ("version",), registry=self.registry)
        build.labels(version).set(1)

    def count_request(self, operation: str, status: int, seconds: float) -> None:
        key = operation, status // 100
        series = self._request_series.get(key)
        if series is None:  # kept, since finding them takes twice as long as counting
            name, kind = operation or "none", f"{status // 100}xx"
            series = self._requests.labels(name, kind), self._request_seconds.labels(name)
            self._request_series[key] = series
        count, took = series
        count.inc()
        took.observe(seconds)

    def count_job(self, ended: EndedJob) -> None:
        job = ended.job
        self._jobs.labels(job.type, job.status).inc()
        self._job_seconds.labels(job.type).observe(((job.finished_at or job.created_at) - job.created_at) / 1000)
        self._job_bytes.labels("raw").inc(ended.raw)
        self._job_bytes.labels("stored").inc(ended.stored)
        self._gaps.inc(len(ended.lost))
        self._gap_bytes.inc(sum(ended.lost))
        for code in ended.codes:
            self._failures.labels(code).inc()
        for code in ended.warnings:
            self._warnings.labels(code).inc()

    def count_notice(self, event: Event) -> None:
        self._notices.labels(event).inc()

    def count_delivery(self, outcome: str) -> None:
        self._deliveries.labels(outcome).inc()

    def watch(self, runtime: Runtime, most_named: int) -> None:
        """Show besides how the installation does; clusters by name where there are no more than so many."""
        self.registry.register(_Installation(runtime, most_named))
        self.registry.register(_StoreRequests(runtime))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)


def _codes(kind: type[JobError]) -> set[str]:
    return {kind.code}.union(*(_codes(below) for below in kind.__subclasses__()))


class _Installation(Collector):
    """Asks the database when somebody asks."""

    def __init__(self, runtime: Runtime, most_named: int) -> None:
        self._runtime = runtime
        self._most_named = most_named
        self._usage: Sequence[NamedUsage] = ()
        self._usage_until = float("-inf")

    def describe(self) -> Iterable[Metric]:
        return []  # asked when it is registered, where the database shall not be asked

    def collect(self) -> Iterable[Metric]:
        began = time.perf_counter()
        try:
            stock = collect_stats(self._runtime, self._most_named)
            usage = self._read_usage()
        except CatalogueError:  # who asks next is told by /readyz what is wrong; that it does not work is what counts
            yield _gauge("logkeep_database_up", "Whether the database answers.", 0)
            return
        yield _gauge("logkeep_database_up", "Whether the database answers.", 1)
        yield from _metrics_of(stock)
        yield from _metrics_of_usage(usage)
        seconds = time.perf_counter() - began
        yield _gauge("logkeep_database_seconds", "How long the database was asked for this answer.", seconds)

    def _read_usage(self) -> Sequence[NamedUsage]:
        if time.monotonic() >= self._usage_until:
            self._usage = list_named(self._runtime, self._most_named)
            self._usage_until = time.monotonic() + _USAGE_SECONDS
        return self._usage


class _StoreRequests(Collector):
    """Shows what this process has sent to object stores since it began."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        text = "Requests that this process sent to object stores, by bucket and kind."
        family = CounterMetricFamily("logkeep_store_requests", text, labels=("bucket", "kind"))
        known = sorted(self._runtime.configured_buckets)[:_MOST_BUCKETS]
        none = {(bucket, kind): 0 for bucket in known for kind in RequestKind}  # so that the first one is an increase
        for label, number in _few_buckets(none | self._runtime.requests.all()).items():
            family.add_metric(label, number)
        yield family


def _few_buckets(counted: Mapping[tuple[str, RequestKind], int]) -> Mapping[tuple[str, str], int]:
    """Add up those beyond the first buckets, by name; the label of these is that of no bucket."""
    named = set(sorted({bucket for bucket, _ in counted})[:_MOST_BUCKETS])
    found = Sum[tuple[str, str]]()
    for (bucket, kind), number in counted.items():
        found[bucket if bucket in named else "(others)", kind.value] += number
    return found


def _metrics_of_usage(usage: Sequence[NamedUsage]) -> Iterable[Metric]:
    labels = ("project", "cluster")
    for name, text, values in (
        ("raw_bytes", "Plain bytes of the logs that are kept.", [one.sums.raw for one in usage]),
        ("stored_bytes", "Bytes that they take in the buckets.", [one.sums.stored for one in usage]),
        ("objects", "Objects that hold them.", [one.sums.objects for one in usage]),
        ("index_bytes", "Bytes of the indexes of search, as listed last.", [one.index.stored for one in usage]),
    ):
        of = {(one.project, one.cluster): value for one, value in zip(usage, values, strict=True)}
        yield _gauges(f"logkeep_usage_{name}", text, labels, of)


def _metrics_of(stock: InstallationStats) -> Iterable[Metric]:
    yield _gauge("logkeep_clusters", "Clusters that are registered.", stock.clusters)
    yield _gauges("logkeep_policies", "Clusters by how well their policy is kept.", ("state",), _by(stock.policies))
    yield _gauges("logkeep_records", "Records of backups.", ("status",), _by(stock.records))
    yield _gauge("logkeep_jobs_queued", "Records RUNNING that no worker has begun.", stock.queued)
    if stock.oldest_success is not None:
        yield _gauge(
            "logkeep_oldest_success_timestamp_seconds",
            "The oldest of the newest successes of all clusters with a policy.",
            stock.oldest_success / 1000,
        )
    successes = {(project, cluster): at / 1000 for project, cluster, at in stock.successes}
    yield _gauges(
        "logkeep_last_success_timestamp_seconds",
        "The newest success of a cluster, where there are few of them.",
        ("project", "cluster"),
        successes,
    )
    yield _gauge(
        "logkeep_verified_clusters", "Clusters of which a verification was carried out.", stock.verified.clusters
    )
    yield _gauge(
        "logkeep_verifications_failed",
        "Clusters whose last verification could not be carried out.",
        stock.verified.failed,
    )
    yield _gauge("logkeep_verification_findings", "Findings of their last verifications.", stock.verified.findings)
    if stock.verified.oldest is not None:
        yield _gauge(
            "logkeep_oldest_verification_timestamp_seconds",
            "The oldest of their last verifications that were carried out.",
            stock.verified.oldest / 1000,
        )
    yield _gauge("logkeep_notices_waiting", "Notices that wait for their delivery to a target.", stock.notices_waiting)
    yield _gauge("logkeep_workers_alive", "Workers that are alive and carry out backups.", stock.workers)
    silences = {(worker,): silent / 1000 for worker, silent in stock.silences.items()}
    yield _gauges("logkeep_worker_silent_seconds", "Since a worker was heard of.", ("worker",), silences)


def _by(numbers: Mapping[_Name, int]) -> dict[tuple[str, ...], float]:
    return {(name,): number for name, number in numbers.items()}


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family
