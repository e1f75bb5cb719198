"""Calls and policies that start backups at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logkeep.database import log_settings as statements
from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import RetentionRule
from logkeep.errors import BackupRunning, Overloaded
from logkeep.service import backups, log_settings, protection, retention
from tests.support.installation import Installation

_DAY = 24 * 3600 * 1000
_ROUNDS = 15


def at_once(*deeds: Callable[[], Any]) -> None:
    """Each in a thread of its own, all let go together; raises what any of them raised."""
    barrier = threading.Barrier(len(deeds))
    raised: list[BaseException] = []

    def run(deed: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            deed()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_never_two_backups_of_one_cluster_run(installation: Installation, cluster: Cluster) -> None:
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+08:00")
    started: list[BackupJob] = []
    enqueued: list[str] = []
    runtime = replace(installation.runtime, enqueue=lambda _connection, job_id, _cluster_id: enqueued.append(job_id))

    def call() -> None:
        with suppress(BackupRunning):
            started.append(backups.start_backup(runtime, cluster))

    def look() -> None:
        started.extend(backups.start_due_backups(runtime))

    for _ in range(_ROUNDS):
        installation.clock.advance(_DAY)
        started.clear()
        enqueued.clear()
        at_once(call, look, call, look, call, look)
        assert len(started) == 1
        assert [job.job_id for job in started] == enqueued
        assert backups.list_running(runtime) == [(started[0].job_id, cluster.id)]
        installation.run(started[0])
        for late in backups.start_due_backups(runtime):  # the daily moment, where a call came before it
            installation.run(late)


def test_no_automatic_backup_starts_once_log_backup_is_closed(
    installation: Installation, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+08:00")
    installation.clock.advance(_DAY)
    fetch_due = statements.fetch_due

    def fetch_and_close(connection: Any, now: int, most: int) -> Any:
        """The call comes after the policies were looked up."""
        found = fetch_due(connection, now, most)
        log_settings.close_backup(installation.runtime, cluster)
        return found

    monkeypatch.setattr(statements, "fetch_due", fetch_and_close)
    assert backups.start_due_backups(installation.runtime) == []
    assert backups.list_running(installation.runtime) == []


def test_of_runs_of_the_same_rules_one_removes_and_a_protection_that_was_answered_holds(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    kept = [_keep_and_lose(installation, cluster, logs, number) for number in range(6)]
    retention.set_rules(installation.runtime, cluster, [RetentionRule(keep_jobs=1)], "alice")
    held: list[str] = []

    def run() -> None:
        with suppress(Overloaded):
            list(retention.run(installation.runtime, cluster, confirm=True, who="alice"))

    def protect() -> None:
        protection.protect(installation.runtime, cluster, why="audit", who="bob", job_id=kept[3].job_id)
        held.extend(one.kept.job_id for one in retention.judge(installation.runtime, cluster))

    at_once(run, protect, run)
    run()
    left = {one.kept.job_id for one in retention.judge(installation.runtime, cluster)}
    assert left == {kept[-1].job_id} | ({kept[3].job_id} & set(held))
    assert len(installation.objects()) == len(left)
    [*numbers] = [removal.number for removal in retention.list_removals(installation.runtime, cluster)]
    assert numbers == sorted(set(numbers), reverse=True)


def _keep_and_lose(installation: Installation, cluster: Cluster, logs: Path, number: int) -> BackupJob:
    """A backup of a file that takes the place of the one before it."""
    for old in logs.iterdir():
        old.unlink()
    line = f"[2026-01-{number + 1:02}T06:40:21,123][INFO ][o.e.n.Node] [n1] {'x' * 300}\n"
    (logs / f"es-2026-01-{number + 1:02}-1.log").write_text(line)
    return installation.back_up(cluster)
