"""Calls and policies that start backups at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from logkeep.database import log_settings as statements
from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster
from logkeep.errors import BackupRunning
from logkeep.service import backups, log_settings
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
