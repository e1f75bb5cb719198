"""The harness itself: real nodes write and rotate real logs."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.servers import OpenSearchNode, S3Server, wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]  # the first one may have to install the server

FAMILIES = [
    "oslogs.log",
    "oslogs_server.json",
    "oslogs_deprecation.log",
    "oslogs_deprecation.json",
    "oslogs_index_search_slowlog.log",
    "oslogs_index_search_slowlog.json",
    "oslogs_index_indexing_slowlog.log",
    "oslogs_index_indexing_slowlog.json",
]


def rotated(logs: Path, family: str) -> list[Path]:
    """The compressed rotations of a log that are complete."""
    stem, _, kind = family.rpartition(".")
    name = rf"{stem.removesuffix('_server')}-(\d{{4}}-\d\d-\d\d-)?\d+\.{kind}\.gz"
    return [path for path in logs.iterdir() if re.fullmatch(name, path.name) and path.stat().st_size]


@pytest.fixture(scope="module")
def noisy_node() -> Iterator[OpenSearchNode]:
    with OpenSearchNode(rotate_bytes=32_768) as node:
        assert not any(rotated(node.logs, family) for family in FAMILIES)
        node.make_noise(4)
        yield node


@pytest.mark.parametrize("family", FAMILIES)
def test_a_node_writes_all_its_logs_and_rotates_them(noisy_node: OpenSearchNode, family: str) -> None:
    logs = noisy_node.logs
    assert (logs / family).exists()
    wait_until(lambda: bool(rotated(logs, family)), 10, f"{family} is rotated")
    text = gzip.decompress(rotated(logs, family)[0].read_bytes())
    assert len(text) >= 32_768
    assert text.endswith(b"\n")


def test_the_gc_log_is_beside_the_others(noisy_node: OpenSearchNode) -> None:
    assert b"gc" in (noisy_node.logs / "gc.log").read_bytes()


def test_a_node_is_no_root_and_listens_on_loopback_only(noisy_node: OpenSearchNode) -> None:
    assert noisy_node.process is not None
    assert Path(f"/proc/{noisy_node.process.pid}").stat().st_uid != 0
    assert (noisy_node.logs / "oslogs.log").stat().st_mode & 0o777 == 0o640
    found = noisy_node.request("GET", "/_nodes/_local/http,transport")["nodes"].popitem()[1]
    assert found["http"]["bound_address"] == [f"127.0.0.1:{noisy_node.port}"]
    assert found["transport"]["bound_address"] == [f"127.0.0.1:{noisy_node.transport_port}"]


def test_an_answer_of_400_or_more_is_an_error(noisy_node: OpenSearchNode) -> None:
    with pytest.raises(RuntimeError, match="GET /none: 404"):
        noisy_node.request("GET", "/none")


def test_two_nodes_are_one_cluster(start_node: Callable[..., OpenSearchNode]) -> None:
    first = start_node("n1")
    second = start_node("n2", seeds=[first])
    assert second.request("GET", "/_cluster/health")["number_of_nodes"] == 2
    assert second.logs != first.logs


def test_a_node_starts_again_with_its_data_and_logs(start_node: Callable[..., OpenSearchNode]) -> None:
    node = start_node()
    node.make_noise(1)
    for end in (node.stop, node.kill):
        end()
        assert node.process is None
        size = (node.logs / "oslogs.log").stat().st_size
        node.start()
        assert node.request("GET", "/noise/_count")["count"] == 100
        assert (node.logs / "oslogs.log").stat().st_size > size
    assert not [path for path in node.logs.iterdir() if path.suffix == ".gz"], "the sizes that it ships with are large"


def test_closing_a_server_leaves_nothing() -> None:
    with S3Server() as server:
        server.client().create_bucket(Bucket="logs")
        process = server.process
    assert process is not None
    assert process.returncode is not None
    assert not server.folder.exists()


def test_a_server_that_cannot_start_is_an_error_with_its_output() -> None:
    server = S3Server()
    (server.folder / "data").rmdir()
    with pytest.raises(RuntimeError, match="a server ended at once"), server:
        pass
    assert not server.folder.exists()
