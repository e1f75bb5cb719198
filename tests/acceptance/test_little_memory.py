"""One line of a log that is longer than the memory that the service may take, and a service that has too little."""

from __future__ import annotations

import json
import resource
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logkeep.cli.access import read_access
from logkeep.cli.client import ServiceClient
from logkeep.cli.errors import ServiceFault
from tests.integration.cli.installed import Served, called, init, serving

_MIB = 1024 * 1024
_LINE = 100 * _MIB
_FIRST = b"[2026-11-24T00:00:00,000][INFO ][a] the first\n"
_LAST = b"[2026-11-24T00:00:02,000][INFO ][a] the last\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its `prod.log` ends behind the long line, its deprecation log within one."""
    folder = tmp_path_factory.mktemp("node")
    for name, end in (("prod.log", b"\n" + _LAST), ("prod_deprecation.log", b"")):
        with (folder / name).open("wb") as log:
            log.write(_FIRST + b"[2026-11-24T00:00:01,000][WARN ][a] ")
            for number in range(_LINE // _MIB):
                log.write(b"%8d" % number * (_MIB // 8))
            log.write(end)
    return folder


@pytest.fixture
def served(tmp_path: Path, node: Path) -> Iterator[Served]:
    init(tmp_path / "installation")
    with serving(tmp_path / "installation") as served:
        called(served.directory, "cluster", "add", "prod", "--node", f"n1={node}").ended(0)
        called(served.directory, "logs", "open", "prod").ended(0)
        yield served


@contextmanager
def limited(served: Served, more: int) -> Iterator[None]:
    """Let the service take so many bytes more than it has now."""
    taken = int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(served.process.pid, resource.RLIMIT_AS, (taken + more, unlimited))
    yield
    resource.prlimit(served.process.pid, resource.RLIMIT_AS, (unlimited, unlimited))


def search(served: Served, kind: str, **query: str) -> Any:
    """What the CSS API finds, or the status by which it refuses."""
    client = ServiceClient(access) if (access := read_access(served.directory)) else pytest.fail("no client.toml")
    try:
        [cluster] = json.loads(client.get("/api/v1/clusters"))["clusters"]
        path = f"/v1.0/{client.project_id}/clusters/{cluster['id']}/logs/search"
        return json.loads(client.send("POST", path, {"instance_name": "n1", "log_type": kind, **query}))
    except ServiceFault as fault:
        return fault.status
    finally:
        client.close()


def same(first: Path, second: Path) -> bool:
    with first.open("rb") as one, second.open("rb") as other:
        return all(piece == other.read(_MIB) for piece in iter(lambda: one.read(_MIB), b"")) and not other.read(1)


def test_a_line_longer_than_all_memory_is_kept_searched_verified_and_restored(
    served: Served, node: Path, tmp_path: Path
) -> None:
    with limited(served, 80 * _MIB):
        called(served.directory, "backup", "prod", "--wait").ended(0)
        called(served.directory, "verify", "prod", "--read-data", "--chain").ended(0)
        found = search(served, "instance")
        assert [one["content"] for one in found["logList"]] == [_LAST.decode().rstrip()]
        assert not found["completed"]  # the long line was not looked through, nor what came before it
        assert search(served, "deprecation", keyword="first") == {
            "completed": False,
            "logList": [],
            "type": "deprecation",
        }
        called(served.directory, "restore", "prod", "--to", tmp_path / "all", "--join").ended(0)
        span = ("--since", "2026-11-24T00:00:02Z")
        called(served.directory, "restore", "prod", "--to", tmp_path / "last", "--join", *span).ended(0)
    for log in node.iterdir():
        assert same(log, tmp_path / "all" / "n1" / log.name)
    assert (tmp_path / "last" / "n1" / "prod.log").read_bytes() == _LAST


def test_a_search_for_which_no_thread_can_be_started_is_asked_again_later(served: Served) -> None:
    with limited(served, 2 * _MIB), ThreadPoolExecutor(16) as threads:
        answers: Counter[str] = Counter()
        for _ in range(20):  # quick ones may need no more threads than there are
            answers.update(threads.map(lambda _: str(search(served, "instance"))[:3], range(32)))
            if answers["503"]:
                break
    assert set(answers) <= {"503", "{'t"} and answers["503"], answers
    with ThreadPoolExecutor(16) as threads:
        assert all(isinstance(found, dict) for found in threads.map(lambda _: search(served, "instance"), range(32)))
