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

from logkeep.api import css
from logkeep.contract.css import requests
from logkeep.database import jobs
from logkeep.database.short_reads import loop_reader
from logkeep.domain.backup_job import JobStatus, StatusFilter
from logkeep.domain.blocking import WouldBlock
from logkeep.domain.cluster import Cluster
from tests.contract.service import Service, running_service

_RECORDS = 230


class _Watched:
    """Knows in which thread a page was asked for last."""

    thread = ""


@pytest.fixture(scope="module", autouse=True)
def watched() -> Iterator[_Watched]:
    watched, read = _Watched(), requests.read_records_query

    def look(query: bytes) -> Any:
        watched.thread = threading.current_thread().name
        return read(query)

    with patch.object(requests, "read_records_query", look):
        yield watched


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("at-once")) as service:
        yield service


@pytest.fixture(scope="module")
def cluster(service: Service) -> Cluster:
    cluster = service.add_cluster()
    statuses = [JobStatus.FAIL if number % 7 == 0 else JobStatus.SUCCESS for number in range(_RECORDS)]
    service.add_records(cluster, *statuses)
    return cluster


def ask(service: Service, watched: _Watched, target: str) -> tuple[str, int, Any]:
    """The thread that answered, status and body without the id of the request."""
    reply = service.call("GET", target)
    return watched.thread.partition("-")[0], reply.status, {**reply.json, "request_id": ""}


@pytest.mark.parametrize(
    ("query", "by"),
    [
        ("", "server"),
        ("?status=FAIL&limit=3", "server"),
        ("?offset=226", "server"),  # the end
        ("?offset=1000", "server"),  # behind it
        ("?offset=110", "reads"),  # the middle lies deep
        ("?limit=230", "reads"),
        ("?limit=0", "server"),
        ("?status=NONE", "server"),
    ],
)
def test_a_page_is_the_same_on_the_loop_and_by_a_thread(
    service: Service, cluster: Cluster, watched: _Watched, query: str, by: str
) -> None:
    target = service.path(cluster, f"/logs/records{query}")
    with patch.object(css, "ON_LOOP", frozenset[str]()):
        thread, *by_thread = ask(service, watched, target)
    assert thread == "reads"
    thread, *on_loop = ask(service, watched, target)
    assert thread == by
    assert on_loop == by_thread


def test_a_cluster_of_nobody_is_refused_alike(service: Service, watched: _Watched) -> None:
    target = service.path("0" * 8 + "-0000-0000-0000-" + "0" * 12, "/logs/records")
    answers = {ask(service, watched, target)[1] for _ in range(2)}
    assert answers == {403}


def test_what_is_written_is_seen_at_once(service: Service) -> None:
    cluster = service.add_cluster()
    for number in range(5):
        service.add_records(cluster, JobStatus.SUCCESS)
        assert service.call("GET", service.path(cluster, "/logs/records")).json["totalSize"] == number + 1


def test_a_database_held_by_another_process_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        cluster, engine = service.add_cluster(), service.runtime.database
        engine.dispose()
        holder = sqlite3.connect(str(engine.url.database), isolation_level=None)
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(WouldBlock):
            jobs.fetch_job_page(
                loop_reader(engine), service.project.id, cluster.id, offset=0, limit=10, status=StatusFilter.ALL
            )
        assert time.monotonic() - began < 1
        holder.close()


def test_the_loop_is_left_to_others_while_answers_are_slow(tmp_path: Path, watched: _Watched) -> None:
    with running_service(tmp_path) as service:
        target = service.path(service.add_cluster(), "/logs/records")
        with patch("logkeep.api.app._LONG_ON_LOOP", 0.0):
            threads = [ask(service, watched, target)[0] for _ in range(6)]
        assert threads == ["server", "server", "server", "reads", "reads", "reads"]
        assert ask(service, watched, target)[0] == "reads"
