"""A bucket that is away: not mounted, another one, refused. It is told as that, and never as damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from logkeep.api.metrics import PrometheusMeter
from logkeep.bootstrap.runtime import open_runtime
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import Finding
from logkeep.errors import BucketMissing, StoreDenied, StoreError, StoreUnreachable
from logkeep.service import archive
from logkeep.service.rebuild import rebuild
from logkeep.service.runtime import Runtime
from logkeep.service.sweep import sweep
from logkeep.service.verification import get_verification, verify_most_due
from logkeep.settings import load_settings
from logkeep.stores.base import MARKER, ObjectStore
from logkeep.stores.proven import render_marker
from tests.integration.cli.installed import called, init, serving
from tests.support.installation import Installation

HOUR = 3_600_000
DAY = 24 * HOUR

Away = Callable[[Path], object]


def unmounted(bucket: Path) -> None:
    """The mount point, with what a new file system has in it."""
    bucket.rename(bucket.with_name("real"))
    (bucket / "lost+found").mkdir(parents=True)


def gone(bucket: Path) -> None:
    bucket.rename(bucket.with_name("real"))


def another(bucket: Path) -> None:
    """The disk of another installation."""
    unmounted(bucket)
    (bucket / MARKER).write_bytes(render_marker("0" * 32))


def a_file(bucket: Path) -> None:
    gone(bucket)
    bucket.touch()


def back(bucket: Path) -> None:
    if bucket.is_dir():
        shutil.rmtree(bucket)
    bucket.unlink(missing_ok=True)
    bucket.with_name("real").rename(bucket)


each_way = pytest.mark.parametrize("away", [unmounted, gone, another, a_file])


@pytest.fixture
def kept(installation: Installation, cluster: Cluster, logs: Path) -> Cluster:
    for number in range(1, 11):
        (logs / f"es-2026-11-24-{number}.log").write_bytes(b"%d\n" % number)
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    return cluster


class Wrapper:
    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, name: str) -> Any:
        return self._store.open(name)

    def size(self, name: str) -> int | None:
        return self._store.size(name)


def metrics(installation: Installation) -> dict[str, float]:
    meter = PrometheusMeter("1")
    meter.watch(installation.runtime, 10)
    lines = generate_latest(meter.registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.partition(" ") for line in lines if line[0] != "#")}


@each_way
@pytest.mark.parametrize("asked", [{}, {"read_data": True}, {"chain": True}], ids=str)
def test_a_verification_tells_no_finding_and_fails(
    installation: Installation, kept: Cluster, away: Away, asked: dict[str, bool]
) -> None:
    assert not installation.findings(kept, read_data=True)
    before, seen = get_verification(installation.runtime, kept), metrics(installation)
    installation.clock.advance(1000)
    away(installation.bucket)
    told: list[object] = []
    with pytest.raises(BucketMissing) as caught:
        told.extend(installation.verify(kept, **asked))
    assert not [one for one in told if isinstance(one, Finding)]
    found, now = get_verification(installation.runtime, kept), metrics(installation)
    assert found.failure == str(caught.value)
    assert found.failed_at == installation.clock.now_ms()
    assert (found.findings, found.problem, found.finished_at) == (0, "", before.finished_at)
    oldest = "logkeep_oldest_verification_timestamp_seconds"
    assert now[oldest] == seen[oldest]
    assert (seen["logkeep_verifications_failed"], now["logkeep_verifications_failed"]) == (0, 1)
    assert now["logkeep_verification_findings"] == 0

    back(installation.bucket)
    assert not installation.findings(kept, **asked)
    found = get_verification(installation.runtime, kept)
    assert (found.failed_at, found.failure) == (None, "")
    assert metrics(installation)["logkeep_verifications_failed"] == 0


def test_findings_of_before_are_kept_while_it_is_away(installation: Installation, kept: Cluster) -> None:
    installation.objects()[0].unlink()
    assert len(installation.findings(kept)) == 1
    unmounted(installation.bucket)
    with pytest.raises(BucketMissing):
        installation.verify(kept)
    assert get_verification(installation.runtime, kept).findings == 1


def test_by_the_clock_it_is_tried_again_within_an_hour(installation: Installation, kept: Cluster) -> None:
    installation.clock.advance(2 * DAY)
    unmounted(installation.bucket)
    due = verify_most_due(installation.runtime, DAY, 5)
    assert due
    with pytest.raises(BucketMissing):
        list(due[1])
    assert verify_most_due(installation.runtime, DAY, 5) is None
    back(installation.bucket)
    installation.clock.advance(HOUR)
    due = verify_most_due(installation.runtime, DAY, 5)
    assert due
    assert not [one for one in due[1] if isinstance(one, Finding)]
    assert metrics(installation)["logkeep_verifications_failed"] == 0


def test_a_bucket_that_goes_in_the_middle_ends_the_verification(installation: Installation, kept: Cluster) -> None:
    told: list[object] = []
    with pytest.raises(BucketMissing):
        for one in installation.verify_step_by_step(kept, read_data=True):
            if not told:
                unmounted(installation.bucket)
            told.append(one)
    assert not [one for one in told if isinstance(one, Finding)]


def test_an_object_that_cannot_be_read_in_a_bucket_that_can_is_a_finding(
    installation: Installation, kept: Cluster
) -> None:
    bad = str(installation.objects()[3].relative_to(installation.bucket))

    class BadSector(Wrapper):
        def open(self, name: str) -> Any:
            if name == bad:
                raise StoreUnreachable("Input/output error")
            return super().open(name)

    stores: Any = {"logs": BadSector(installation.runtime.stores["logs"])}
    installation.runtime = replace(installation.runtime, stores=stores)
    [finding] = installation.findings(kept, read_data=True)
    assert (finding.object, finding.problem) == (bad, "cannot be read: LK-STORE-UNREACHABLE: Input/output error")


@pytest.mark.parametrize("error", [StoreUnreachable, StoreDenied, BucketMissing])
def test_a_store_that_fails_from_some_moment_on_is_no_damage(
    installation: Installation, kept: Cluster, error: type[StoreError]
) -> None:
    class Failing(Wrapper):
        opened = 0

        def open(self, name: str) -> Any:
            self.opened += 1
            if self.opened > 3:
                raise error("no more")
            return super().open(name)

        def size(self, name: str) -> int | None:
            if self.opened > 3:
                raise error("no more")
            return super().size(name)

    stores: Any = {"logs": Failing(installation.runtime.stores["logs"])}
    installation.runtime = replace(installation.runtime, stores=stores)
    told: list[object] = []
    with pytest.raises(error, match="no more"):
        told.extend(installation.verify(kept, read_data=True))
    assert not [one for one in told if isinstance(one, Finding)]


@each_way
def test_nothing_is_written_to_it(installation: Installation, kept: Cluster, logs: Path, away: Away) -> None:
    away(installation.bucket)
    before = sorted(installation.bucket.rglob("*"))
    (logs / "es.log").write_bytes(b"more\n")
    job = installation.back_up(kept)
    assert job.status is JobStatus.FAIL
    assert "LK-STORE-MISSING" in str(job.failed_msg)
    assert sorted(installation.bucket.rglob("*")) == before
    back(installation.bucket)
    assert installation.back_up(kept).status is JobStatus.SUCCESS
    assert not installation.findings(kept, chain=True)


@each_way
def test_a_restore_and_a_sweep_say_so(installation: Installation, kept: Cluster, away: Away) -> None:
    generation = next(iter(archive.list_kept(installation.runtime, kept))).generation
    away(installation.bucket)
    with pytest.raises(BucketMissing):
        b"".join(archive.read_kept(installation.runtime, kept, "n1", generation))
    with pytest.raises(BucketMissing):
        list(sweep(installation.runtime, kept, grace_ms=0, remove=True))
    with pytest.raises(BucketMissing):
        list(rebuild(installation.runtime, ["logs"]))


def test_the_remedy_is_in_the_sentence(installation: Installation, kept: Cluster) -> None:
    unmounted(installation.bucket)
    with pytest.raises(BucketMissing, match=f"no object {MARKER}. Mount the disk .*logkeep store accept logs"):
        installation.verify(kept)
    back(installation.bucket)
    another(installation.bucket)
    with pytest.raises(BucketMissing, match=r"says '0{32}' instead of"):
        installation.verify(kept)


def test_a_bucket_that_is_no_longer_configured_is_no_damage(installation: Installation, kept: Cluster) -> None:
    (installation.folder / "logkeep.toml").write_text("[buckets.other]\n")
    runtime = open_runtime(load_settings(installation.folder, installation.environment))
    installation.runtime = runtime
    told: list[object] = []
    with pytest.raises(BucketMissing, match=r"bucket logs is no longer configured; add \[buckets.logs\]"):
        told.extend(installation.verify(kept))
    assert not told
    runtime.database.dispose()


@pytest.fixture
def second(installation: Installation) -> Iterator[Runtime]:
    """Another process of the installation."""
    runtime = open_runtime(load_settings(installation.folder, installation.environment))
    yield runtime
    runtime.database.dispose()


def test_a_process_that_starts_while_it_is_away_knows_it(
    installation: Installation, kept: Cluster, second: Runtime
) -> None:
    unmounted(installation.bucket)
    store = second.stores["logs"]
    for deed in (
        store.check,
        lambda: store.put("a", [b"a"]),
        lambda: store.get("a"),
        lambda: store.open("a"),
        lambda: store.size("a"),
        lambda: store.delete("a"),
        lambda: list(store.list("css/")),
    ):
        with pytest.raises(BucketMissing):
            deed()


def test_two_processes_that_use_it_first_agree(installation: Installation, second: Runtime) -> None:
    for runtime in (installation.runtime, second):
        runtime.stores["logs"].put("a", [b"a"])
    marker = (installation.bucket / MARKER).read_text()
    for runtime in (installation.runtime, second):
        runtime.stores["logs"].check()
    assert (installation.bucket / MARKER).read_text() == marker


def test_looking_at_a_bucket_that_was_never_used_marks_nothing(installation: Installation) -> None:
    store = installation.runtime.stores["logs"]
    assert store.size("a") is None
    assert list(store.list("")) == []
    with pytest.raises(StoreError):
        store.get("a")
    assert list(installation.bucket.iterdir()) == []


def test_a_bucket_that_was_replaced_is_used_once_it_is_accepted(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    unmounted(installation.bucket)
    done = called(installation.folder, "store", "accept", "logs", "--json").ended(0)
    assert done.json == {"bucket": "logs", "accepted": True}
    (logs / "es.log").write_bytes(b"more\n")
    assert installation.back_up(kept).status is JobStatus.SUCCESS
    assert {one.problem for one in installation.findings(kept)} >= {"missing", "manifest missing"}
    assert called(installation.folder, "store", "accept", "nope").ended(2)


def test_verify_says_that_it_could_not_be_carried_out(tmp_path: Path) -> None:
    directory, node = tmp_path / "installation", tmp_path / "node"
    node.mkdir()
    (node / "es.log").write_bytes(b"line\n")
    init(directory)
    with serving(directory):
        for command in ("cluster add prod --node", "logs open prod", "backup prod --wait"):
            called(directory, *command.split(), *([f"n1=file://{node}"] if "add" in command else [])).ended(0)
        called(directory, "verify", "prod").ended(0)
        unmounted(directory / "buckets" / "logs")
        done = called(directory, "verify", "prod").ended(3)
        assert "could not be carried out: LK-STORE-MISSING" in done.err
        assert "could not be carried out" in called(directory, "cluster", "show", "prod").ended(0).out
