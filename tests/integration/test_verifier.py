"""Verification by the clock: what is due, by whom, and what it leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import Verification
from logkeep.errors import BucketMissing
from logkeep.service import clusters, log_settings
from logkeep.service.verification import get_verification, verify, verify_most_due
from logkeep.work.verifier import Verifier
from tests.integration.cli.installed import until
from tests.support.installation import SETTING, Installation

DAY = 86_400_000


@pytest.fixture
def kept(installation: Installation, tmp_path: Path) -> Cluster:
    logs = tmp_path / "n1"
    logs.mkdir()
    for number in range(1, 41):
        (logs / f"es-2026-11-24-{number}.log").write_bytes(b"%d\n" % number)
    cluster = installation.add_cluster(n1=logs)
    installation.back_up(cluster)
    return cluster


def run(installation: Installation, sample: float = 5) -> str | None:
    """Verify what is due, to its end; the name of the cluster."""
    due = verify_most_due(installation.runtime, DAY, sample)
    if due is None:
        return None
    list(due[1])
    return due[0].name


def last(installation: Installation, cluster: Cluster) -> Verification:
    return get_verification(installation.runtime, cluster)


def test_a_cluster_is_verified_a_day_after_it_was_registered_and_then_daily(
    installation: Installation, kept: Cluster
) -> None:
    assert run(installation) is None
    assert last(installation, kept) == Verification()
    for _ in range(3):
        installation.clock.value += DAY
        now = installation.clock.now_ms()
        assert run(installation) == "prod"
        assert run(installation) is None
        found = last(installation, kept)
        assert found == Verification(now, now, 40, found.bytes, 2, 0, "")
        installation.clock.value += 1


def test_a_verification_by_hand_counts_as_well(installation: Installation, kept: Cluster) -> None:
    installation.clock.value += DAY - 1
    assert not installation.findings(kept, read_data=True)
    assert last(installation, kept).objects_read == 40
    installation.clock.value += 1
    assert run(installation) is None
    installation.clock.value += DAY
    assert run(installation) == "prod"


def test_of_several_processes_one_takes_it(installation: Installation, kept: Cluster) -> None:
    installation.clock.value += DAY
    start = threading.Barrier(4)
    taken: list[object] = []

    def take() -> None:
        start.wait()
        if due := verify_most_due(installation.runtime, DAY, 5):
            taken.append(list(due[1]))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_the_one_that_was_verified_longest_ago_comes_first(
    installation: Installation, kept: Cluster, tmp_path: Path
) -> None:
    installation.clock.value += 1000
    new = clusters.NewNode("n1", f"file://{tmp_path / 'n1'}")
    second = clusters.add_cluster(installation.runtime, installation.project.id, "second", [new])
    log_settings.open_backup(installation.runtime, second, SETTING)
    installation.back_up(second)
    clusters.add_cluster(installation.runtime, installation.project.id, "keeps nothing", [new])
    installation.clock.value += DAY
    assert not installation.findings(kept)
    installation.clock.value += 1
    assert run(installation) == "second"
    installation.clock.value += DAY
    assert [run(installation) for _ in range(3)] == ["prod", "second", None]


def test_damage_is_kept_as_the_result(installation: Installation, kept: Cluster) -> None:
    for path in installation.objects()[:2]:
        path.unlink()
    installation.clock.value += DAY
    run(installation)
    found = last(installation, kept)
    assert found.findings == 2
    assert found.problem.endswith(".zst: missing")


def test_a_bucket_that_fails_is_the_problem_and_tried_again_at_the_next_turn(
    installation: Installation, kept: Cluster
) -> None:
    away = installation.bucket.with_name("away")
    installation.bucket.rename(away)
    installation.clock.value += DAY
    with pytest.raises(BucketMissing):
        run(installation)
    assert last(installation, kept).failure.startswith("LK-STORE-MISSING: there is no bucket")
    assert run(installation) is None
    away.rename(installation.bucket)
    installation.clock.value += DAY
    assert run(installation) == "prod"
    assert (last(installation, kept).problem, last(installation, kept).failure) == ("", "")


def test_a_verification_that_was_broken_off_does_not_count(installation: Installation, kept: Cluster) -> None:
    assert not installation.findings(kept)
    before = last(installation, kept)
    installation.clock.value += DAY
    due = verify_most_due(installation.runtime, DAY, 5)
    assert due
    next(due[1])
    assert last(installation, kept).started_at == installation.clock.now_ms()
    due[1].close()
    assert last(installation, kept) == before
    assert run(installation) == "prod"
    by_hand = iter(verify(installation.runtime, kept, read_data=True))
    next(by_hand)
    by_hand.close()  # type: ignore[attr-defined]
    assert last(installation, kept).finished_at == installation.clock.now_ms()


@pytest.fixture
def verifier(installation: Installation) -> Iterator[Verifier]:
    verifier = Verifier(installation.runtime, 24, 5, tick_seconds=0.01)
    verifier.start()
    yield verifier
    verifier.stop()


def test_the_thread_verifies_what_is_due_and_logs_what_it_finds(
    installation: Installation, kept: Cluster, verifier: Verifier
) -> None:
    installation.objects()[0].unlink()
    with structlog.testing.capture_logs() as logged:
        installation.clock.value += DAY
        until(lambda: last(installation, kept).finished_at is not None)
        until(lambda: len(logged) >= 2)
    assert [entry["log_level"] for entry in logged] == ["error", "error"]
    assert (logged[1]["cluster"], logged[1]["findings"]) == ("prod", 1)


def test_a_service_that_is_stopped_does_not_wait_for_a_bucket_that_hangs(
    installation: Installation, kept: Cluster
) -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Hanging:
        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def open(self, name: str) -> Any:
            entered.set()
            go_on.wait(60)
            return self._store.open(name)

    stores: Any = {"logs": Hanging(installation.runtime.stores["logs"])}
    verifier = Verifier(replace(installation.runtime, stores=stores), 24, 100, tick_seconds=0.01)
    installation.clock.value += DAY
    verifier.start()
    assert entered.wait(30)
    began = time.monotonic()
    verifier.stop()
    assert time.monotonic() - began < 2
    go_on.set()
    until(lambda: last(installation, kept).started_at is None)


def test_zero_hours_verify_nothing(installation: Installation, kept: Cluster) -> None:
    installation.clock.value += 10 * DAY
    verifier = Verifier(installation.runtime, 0, 5, tick_seconds=0.01)
    verifier.start()
    time.sleep(0.1)
    verifier.stop()
    assert last(installation, kept) == Verification()
