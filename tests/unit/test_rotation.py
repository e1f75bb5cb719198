"""The simulated node against its own account: what it says is on the disk is there, and nothing else is missing."""

from __future__ import annotations

import gzip
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.logformat.lines import read_head
from logkeep.logformat.names import parse_name
from tests.support.rotation import BANNER_BYTES, SimulatedNode

FAMILY = {
    "index": "logs_index_search_slowlog.json",
    "dated": "logs_server.json",
    "logrotate": "app.log",
    "copytruncate": "app.log",
    "jvm_start": "gc.log",
    "truncate": "logs.log",
    "delete": "logs_server.json",
}


def plain(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def is_whole(packed: Path) -> bool:
    try:
        gzip.decompress(packed.read_bytes())
    except (EOFError, zlib.error):
        return False
    return True


def assert_account_is_true(node: SimulatedNode, family: str) -> None:
    written, files = node.written(family), node.holds(family)
    for name, (start, end) in files.items():
        assert plain(node.directory / name) == written[start:end], name
    seen = bytearray(len(written))
    for start, end in [*files.values(), *((lost.start, lost.end) for lost in node.lost(family))]:
        seen[start:end] = b"\1" * (end - start)
    assert 0 not in seen, "bytes are neither in a file nor lost"
    for lost in node.lost(family):
        assert all(end <= lost.start or lost.end <= start for start, end in files.values())


@pytest.fixture
def node(tmp_path: Path) -> SimulatedNode:
    return SimulatedNode(tmp_path, seed=7)


@pytest.mark.parametrize("manner", FAMILY)
def test_account_is_true_after_every_step(node: SimulatedNode, manner: str) -> None:
    family = FAMILY[manner]
    for _ in range(7):
        node.write(family, 5)
        for _step in node.rotate_steps(family, manner):
            assert_account_is_true(node, family)
            node.write(family, 1)
            assert_account_is_true(node, family)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_account_is_true_in_any_history(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    node = SimulatedNode(
        tmp_path_factory.mktemp("node"), seed=data.draw(st.integers(0, 99)), banner=data.draw(st.booleans())
    )
    rotations = [(family, manner) for manner, family in FAMILY.items()]
    for _ in range(data.draw(st.integers(1, 15))):
        family, manner = data.draw(st.sampled_from(rotations))
        node.write(family, data.draw(st.integers(1, 4)), newline=data.draw(st.booleans()))
        steps = node.rotate_steps(family, manner)
        for _step in zip(range(data.draw(st.integers(0, 12))), steps, strict=False):
            assert_account_is_true(node, family)
    for family in set(FAMILY.values()):
        assert_account_is_true(node, family)


def test_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    nodes = [SimulatedNode(tmp_path / name, seed=3) for name in "ab"]
    for node in nodes:
        node.write("logs.log", 20)
    assert nodes[0].written("logs.log") == nodes[1].written("logs.log")


@pytest.mark.parametrize("family", ["logs_server.json", "logs.log", "gc.log", "sub/logs_audit.json"])
def test_lines_are_unique_and_have_a_time(node: SimulatedNode, family: str) -> None:
    node.write(family, 50)
    lines = node.written(family).splitlines()
    assert len(set(lines)) == len(lines) == 50
    assert all(map(read_head, lines))


def test_new_day_begins_its_own_numbers(node: SimulatedNode) -> None:
    node.write("logs.log")
    node.rotate("logs.log", "dated")
    node.now += timedelta(days=1)
    node.write("logs.log")
    node.rotate("logs.log", "dated")
    assert sorted(node.holds("logs.log")) == ["logs-2026-11-23-1.log.gz", "logs-2026-11-24-1.log.gz", "logs.log"]


def test_asking_for_a_family_does_not_make_it(node: SimulatedNode, tmp_path: Path) -> None:
    assert (node.written("x.log"), node.lost("x.log"), node.holds("x.log"), node.families) == (b"", [], {}, ())
    assert not list(tmp_path.iterdir())


def test_line_without_newline_is_completed_later(node: SimulatedNode) -> None:
    node.write("logs.log", 2, newline=False)
    assert node.written("logs.log").count(b"\n") == 1
    node.write("logs.log")
    assert len(node.written("logs.log").splitlines()) == 3


def test_generations_may_begin_alike(tmp_path: Path) -> None:
    node = SimulatedNode(tmp_path, banner=True)
    for _ in range(3):
        node.write("logs_server.json", 2)
        node.rotate("logs_server.json", "dated")
    heads = {plain(path)[:BANNER_BYTES] for path in tmp_path.glob("*.gz")}
    assert len(heads) == 1 and len(heads.pop()) == BANNER_BYTES


def test_log4j2_renames_then_compresses_in_place(node: SimulatedNode, tmp_path: Path) -> None:
    family = "logs_index_search_slowlog.json"
    node.write(family, 30)
    inode = (tmp_path / family).stat().st_ino
    steps = node.rotate_steps(family, "index")
    next(steps)
    assert [(path.name, path.stat().st_ino) for path in tmp_path.iterdir()] == [
        ("logs_index_search_slowlog-1.json", inode)
    ]
    next(steps)
    assert (tmp_path / family).stat().st_ino != inode
    assert next(steps) == "create logs_index_search_slowlog-1.json.gz"
    packed = tmp_path / "logs_index_search_slowlog-1.json.gz"
    sizes = [packed.stat().st_size]
    while next(steps).startswith("grow"):
        sizes.append(packed.stat().st_size)
        assert is_whole(packed) == (packed.name in node.holds(family))
    assert sizes[0] == 0 and sizes == sorted(set(sizes)) and len(sizes) > 3
    assert sizes[-1] - sizes[-2] == 8
    assert not (tmp_path / "logs_index_search_slowlog-1.json").exists()


def test_names_shift_once_there_are_four(node: SimulatedNode, tmp_path: Path) -> None:
    family = "logs_index_search_slowlog.json"
    for _ in range(5):
        node.write(family, 3)
        steps = node.rotate(family, "index")
    assert steps[:4] == [
        "delete logs_index_search_slowlog-1.json.gz",
        *(
            f"rename logs_index_search_slowlog-{n}.json.gz to logs_index_search_slowlog-{n - 1}.json.gz"
            for n in (2, 3, 4)
        ),
    ]
    kept = b"".join(plain(tmp_path / f"logs_index_search_slowlog-{n}.json.gz") for n in (1, 2, 3, 4))
    (lost,) = node.lost(family)
    assert (lost.start, lost.reason) == (0, "deleted") and kept == node.written(family)[lost.end :]


def test_logrotate_has_the_newest_first_and_a_writer_that_lags(node: SimulatedNode, tmp_path: Path) -> None:
    for _ in range(3):
        node.write("app.log", 2)
        steps = node.rotate_steps("app.log", "logrotate")
        while next(steps) != "create app.log":
            pass
        node.write("app.log")
        assert (tmp_path / "app.log").stat().st_size == 0
        list(steps)
    assert sorted(node.holds("app.log")) == ["app.log", "app.log.1", "app.log.2.gz", "app.log.3.gz"]
    assert b"".join(plain(tmp_path / name) for name in sorted(node.holds("app.log"), reverse=True)) == node.written(
        "app.log"
    )


def test_copytruncate_loses_what_comes_between(node: SimulatedNode) -> None:
    node.write("app.log", 4)
    steps = node.rotate_steps("app.log", "copytruncate")
    while next(steps) != "copy app.log":
        pass
    copied = len(node.written("app.log"))
    node.write("app.log")
    list(steps)
    (lost,) = node.lost("app.log")
    assert (lost.start, lost.end, lost.reason) == (copied, len(node.written("app.log")), "truncated")


def test_gc_log_numbers_tell_no_age(node: SimulatedNode) -> None:
    for _ in range(40):
        node.write("gc.log", 1)
        node.rotate("gc.log", "jvm_start")
    rotated = {name: where for name, where in node.holds("gc.log").items() if name != "gc.log"}
    assert len(rotated) == 32 and len(node.lost("gc.log")) == 8
    assert sorted(rotated) != sorted(rotated, key=lambda name: rotated[name])


def test_unfinished_rotation_is_finished_first(node: SimulatedNode) -> None:
    node.write("logs_server.json", 3)
    next(node.rotate_steps("logs_server.json", "dated"))
    node.write("logs_server.json", 3)
    assert node.written("logs_server.json").count(b"\n") == 3, "the log is closed: lines wait"
    node.rotate("logs_server.json", "dated")
    assert sorted(node.holds("logs_server.json")) == [
        "logs-2026-11-23-1.json.gz",
        "logs-2026-11-23-2.json.gz",
        "logs_server.json",
    ]
    assert node.written("logs_server.json").count(b"\n") == 6


@pytest.mark.parametrize("manner", FAMILY)
def test_names_are_those_of_one_family(node: SimulatedNode, manner: str) -> None:
    family = FAMILY[manner]
    for _ in range(6):
        node.write(family, 2)
        for _step in node.rotate_steps(family, manner):
            names = {path.name for path in node.directory.iterdir()}
            assert {parse_name(name, names | {family}).family for name in names} == {family}
