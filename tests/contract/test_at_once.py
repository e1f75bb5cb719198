"""Pages of records that are answered on the event loop: the same as by a thread, and never at the cost of others."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from logkeep.clock import SystemClock
from logkeep.database import jobs
from logkeep.domain.backup_job import JobStatus, StatusFilter
from logkeep.domain.cluster import Cluster
from logkeep.errors import NotAtOnce
from logkeep.service import identity
from logkeep.service.identity import NewKey
from tests.contract.service import Service, running_service

_RECORDS = 230


class _Watched(SystemClock):
    """A clock that knows in which thread it was read last: that of who verifies a signature."""

    thread = ""

    def now_ms(self) -> int:
        self.thread = threading.current_thread().name
        return super().now_ms()


@pytest.fixture(scope="module")
def clock() -> _Watched:
    return _Watched()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clock: _Watched) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("at-once"), clock=clock) as service:
        yield service


@pytest.fixture(scope="module")
def cluster(service: Service) -> Cluster:
    cluster = service.add_cluster()
    statuses = [JobStatus.FAIL if number % 7 == 0 else JobStatus.SUCCESS for number in range(_RECORDS)]
    service.add_records(cluster, *statuses)
    return cluster


def ask(service: Service, clock: _Watched, target: str, key: NewKey | None = None) -> tuple[str, int, Any]:
    """The thread that answered, status and body without the id of the request."""
    reply = service.call("GET", target, key=key)
    return clock.thread.partition("-")[0], reply.status, {**reply.json, "request_id": ""}


@pytest.mark.parametrize(
    ("query", "by"),
    [
        ("", "server"),
        ("?status=FAIL&limit=3", "server"),
        ("?offset=226", "server"),  # the end
        ("?offset=1000", "server"),  # behind it
        ("?offset=110", "call"),  # the middle lies deep
        ("?limit=230", "call"),
        ("?limit=0", "server"),
        ("?status=NONE", "server"),
    ],
)
def test_a_page_is_the_same_on_the_loop_and_by_a_thread(
    service: Service, cluster: Cluster, clock: _Watched, query: str, by: str
) -> None:
    target = service.path(cluster, f"/logs/records{query}")
    key = identity.add_key(service.context, service.project)  # a thread looks it up
    thread, *by_thread = ask(service, clock, target, key)
    assert thread == "call"
    thread, *at_once = ask(service, clock, target, key)
    assert thread == by
    assert at_once == by_thread


def test_a_cluster_of_nobody_is_refused_alike(service: Service, clock: _Watched) -> None:
    target = service.path("0" * 8 + "-0000-0000-0000-" + "0" * 12, "/logs/records")
    answers = {ask(service, clock, target)[1] for _ in range(2)}
    assert answers == {403}


def test_what_is_written_is_seen_at_once(service: Service) -> None:
    cluster = service.add_cluster()
    for number in range(5):
        service.add_records(cluster, JobStatus.SUCCESS)
        assert service.call("GET", service.path(cluster, "/logs/records")).json["totalSize"] == number + 1


def test_a_database_held_by_another_process_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        cluster, engine = service.add_cluster(), service.context.database
        engine.dispose()
        holder = sqlite3.connect(str(engine.url.database), isolation_level=None)
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(NotAtOnce):
            jobs.fetch_job_page(
                engine, service.project.id, cluster.id, offset=0, limit=10, status=StatusFilter.ALL, at_once=True
            )
        assert time.monotonic() - began < 1
        holder.close()


def test_the_loop_is_left_to_others_while_answers_are_slow(tmp_path: Path) -> None:
    clock = _Watched()
    with running_service(tmp_path, clock=clock) as service:
        target = service.path(service.add_cluster(), "/logs/records")
        with patch("logkeep.api.app._LONG_AT_ONCE", 0.0):
            threads = [ask(service, clock, target)[0] for _ in range(6)]
        assert threads == ["call", "server", "server", "call", "call", "call"]
        assert ask(service, clock, target)[0] == "call"
