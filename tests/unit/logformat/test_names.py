"""Families and rotated names: the layouts that nodes are shipped with, and the cases where a name alone is not enough."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.logformat.names import NOT_LOGS, compile_exclusions, parse_counted, parse_name
from tests.support.corpus import NODES, unpack

UNKNOWN: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("c-2026-11-23-1.json.gz", "c_server.json"),
        ("c-2026-11-23-1.json", "c_server.json"),
        ("c-2026-11-23-12.log.gz", "c.log"),
        ("c_audit-2026-11-23-3.json.gz", "c_audit.json"),
        ("c_audit-2026-11-23.json", "c_audit.json"),
        ("c_deprecation-2.json.gz", "c_deprecation.json"),
        ("c_deprecation-2.log.gz", "c_deprecation.log"),
        ("c_index_search_slowlog-4.json.gz", "c_index_search_slowlog.json"),
        ("c_index_indexing_slowlog-1.log.gz", "c_index_indexing_slowlog.log"),
        ("c_task_detailslog-1.json.gz", "c_task_detailslog.json"),
        ("c_esql_querylog-1.json.gz", "c_esql_querylog.json"),
        ("c_access-2026-11-23.log", "c_access.log"),
        ("logstash-plain-2026-11-23-1.log.gz", "logstash-plain.log"),
        ("logstash-slowlog-plain-2026-11-23-1.log.gz", "logstash-slowlog-plain.log"),
        ("logstash-deprecation-plain-2026-11-23-2.log.gz", "logstash-deprecation-plain.log"),
        ("pipeline_main.3.log.gz", "pipeline_main.log"),
        ("gc.log.00", "gc.log"),
        ("gc.log.31", "gc.log"),
        ("gc.log.3.current", "gc.log"),
        ("x.log.1", "x.log"),
        ("x.log.2.gz", "x.log"),
        ("x.json.10.gz", "x.json"),
        ("x.log-20261123", "x.log"),
        ("x.log-20261123.gz", "x.log"),
        ("x.log-2026112310.gz", "x.log"),
        ("x.log.2026-11-23", "x.log"),
        ("x.log.2026-11-23.gz", "x.log"),
        ("x.log-23112026", "x.log"),
        ("x.log-2026-W48.gz", "x.log"),
        ("x.log-20261123.log", "x.log"),
        ("x.json-20261123.log", "x.json"),
    ],
)
def test_rotated_name_belongs_to_its_active_file(name: str, family: str) -> None:
    found = parse_name(name, UNKNOWN)
    assert (found.family, found.plain) == (family, name.removesuffix(".gz"))
    assert found.compressed == name.endswith(".gz")
    assert found.active == name.endswith(".current")
    assert parse_name(f"logs/{name}", UNKNOWN).family == f"logs/{family}"


@pytest.mark.parametrize(
    "name",
    [
        "c_server.json",
        "c.log",
        "gc.log",
        "x-1.json",
        "es-1.log",
        "es-1_server.json",
        "x.1.log",
        "messages-23112026",
        "x.log-1.tar",
        "libx.so.1",
        "data.1",
        "2026-11-23-1.json",
        "odd%FFname",
        "x.log.lz4",
        ".gz",
        ".zstd",
        "sub/.xz",
        "",
        "sub/x",
        "sub/",
        "x.log.1\n",
    ],
)
def test_other_name_is_its_own_active_file(name: str) -> None:
    found = parse_name(name, UNKNOWN)
    assert (found.family, found.plain, found.compressed, found.active) == (name, name, False, True)


@pytest.mark.parametrize(
    ("name", "known", "family"),
    [
        ("es-1.log", {"es-1.log"}, "es-1.log"),
        ("es-1.log", {"es.log"}, "es.log"),
        ("es-1-2026-11-23-1.json.gz", {"es-1.log", "es-1_server.json"}, "es-1_server.json"),
        ("x-7.json", {"x.json"}, "x.json"),
        ("sub/x-7.json", {"x.json"}, "sub/x-7.json"),
        ("sub/x-7.json", {"sub/x.json"}, "sub/x.json"),
        ("app-2026-11-23-1.json.gz", {"app.json"}, "app.json"),
        ("app-2026-11-23-1.json.gz", {"app.json", "app_server.json"}, "app_server.json"),
        ("my_audit-2026-11-23-1.json.gz", {"my_audit.log", "my_audit_server.json"}, "my_audit_server.json"),
        ("my_audit-2026-11-23-1.json.gz", {"my_audit.json", "my_audit_server.json"}, "my_audit.json"),
        ("x.1.log", {"x.log"}, "x.log"),
        ("messages.3", {"messages"}, "messages"),
        ("messages-20261123.gz", {"messages"}, "messages"),
        ("messages-23112026.gz", {"messages"}, "messages"),
        ("es-1-2.log-7", {"es-1-2.log"}, "es-1-2.log"),
    ],
)
def test_known_names_decide(name: str, known: set[str], family: str) -> None:
    assert parse_name(name, known).family == family


OLDEST_FIRST = [
    ["c-2026-11-22-11.json", "c-2026-11-23-9.json.gz", "c-2026-11-23-10.json.gz", "c_server.json"],
    ["c_index_search_slowlog-1.json.gz", "c_index_search_slowlog-4.json.gz", "c_index_search_slowlog.json"],
    ["x.log.10.gz", "x.log.9.gz", "x.log.1", "x.log"],
    ["x.log-20261122.gz", "x.log-20261123", "x.log"],
    ["x.log.2026-11-30.gz", "x.log.2026-12-01", "x.log"],
    ["pipeline_a.9.log.gz", "pipeline_a.10.log.gz", "pipeline_a.log"],
    ["x.2.log.gz", "x.1.log", "x.log"],
    ["x.log.1", "x.log.gz", "x.log"],
]


@pytest.mark.parametrize("names", OLDEST_FIRST, ids=lambda names: names[0])
def test_order_is_from_oldest_to_newest(names: list[str]) -> None:
    shuffled = random.Random(1).sample(names, len(names))
    found = [parse_name(name, set(names)) for name in shuffled]
    assert len({one.family for one in found}) == 1
    assert [one.plain for one in sorted(found, key=lambda one: one.order)] == [n.removesuffix(".gz") for n in names]
    assert [one.plain for one in found if one.active] == [names[-1]]


@pytest.mark.parametrize("suffix", ["gz", "xz", "bz2", "zst", "zstd", "GZ", "Xz"])
def test_a_name_is_the_same_whatever_compressed_it(suffix: str) -> None:
    for name in ("c-2026-11-23-2.json", "x.log.1", "x.log-20261123", "x.log", "gc.log.00"):
        plain, packed = parse_name(name, UNKNOWN), parse_name(f"{name}.{suffix}", UNKNOWN)
        assert packed.compressed
        assert (packed.family, packed.plain) == (plain.family, plain.plain)
        assert packed.order == plain.order or plain.active
    assert parse_counted(f"c-2026-11-23-2.json.{suffix}") == parse_counted("c-2026-11-23-2.json")


def test_number_of_a_gc_log_tells_no_age() -> None:
    assert all(parse_name(name, UNKNOWN).order_by_time for name in ("gc.log.00", "gc.log.1.gz", "es_gc.log.3"))
    assert parse_name("gc.log.00", UNKNOWN).order == parse_name("gc.log.01", UNKNOWN).order
    assert parse_name("gc.log.00", UNKNOWN).order < parse_name("gc.log", UNKNOWN).order
    assert not parse_name("x.log.1", UNKNOWN).order_by_time


def test_plain_and_compressed_twin_are_one_member() -> None:
    plain, packed = (parse_name(name, UNKNOWN) for name in ("c-2026-11-23-2.json", "c-2026-11-23-2.json.gz"))
    assert (plain.family, plain.plain, plain.order) == (packed.family, packed.plain, packed.order)


@pytest.mark.parametrize("node", NODES)
def test_families_of_real_nodes_are_their_active_files(node: str, tmp_path) -> None:
    names = {path.name for path in unpack(node, tmp_path)}
    for name in names:
        found = parse_name(name, names)
        assert found.family in names
        assert found.active == (found.family == name)
        # also in the moment of a rotation when the active file is away and was never seen
        assert parse_name(name, names - {found.family}).family == found.family


@given(st.text(max_size=40), st.sets(st.text(max_size=20), max_size=5))
def test_any_name_has_a_family_in_its_folder(name: str, known: set[str]) -> None:
    found = parse_name(name, known)
    assert found.plain == (name[: name.rindex(".")] if found.compressed else name)
    assert bool(found.family) == bool(name)
    assert found.family.rpartition("/")[0] == name.rpartition("/")[0]


@given(
    st.from_regex(r"[a-c]?[-._]?(gc|x)(_audit)?[-.]?[0-9-]{0,12}\.(log|json)([-.][0-9]{1,10})?(\.gz)?", fullmatch=True)
)
def test_order_of_any_two_names_can_be_told(name: str) -> None:
    others = [parse_name(other, UNKNOWN).order for other in ("x.log.1", "x.log", "x-2026-11-23-1.log", "x.log.gz")]
    assert sorted([parse_name(name, UNKNOWN).order, *others])


@pytest.mark.parametrize(
    "name",
    [
        "java_pid1.hprof",
        "java_pid1.hprof.gz",
        "hs_err_pid77.log",
        "replay_pid77.log",
        "core",
        "core.4711",
        "opensearch.pid",
        "node.lock",
        "x.log.tmp",
        ".x.log.swp",
        "x.log.gz.part",
        "x.log.gz.partial",
        "x.log.gz.filepart",
        ".nfs000000001",
        ".hidden",
        "x.log~",
        "sub/core",
        "sub/.hidden",
    ],
)
def test_what_is_no_log_is_excluded(name: str) -> None:
    assert compile_exclusions(NOT_LOGS)(name)


@pytest.mark.parametrize("node", NODES)
def test_logs_are_not_excluded(node: str, tmp_path) -> None:
    excluded = compile_exclusions(NOT_LOGS)
    assert not [path.name for path in unpack(node, tmp_path) if excluded(path.name)]
    assert not any(map(excluded, ("core.log", "score", "x.tmp.log", "a.hprof/x.log", ".hidden/x.log", "x.hprofs")))


def test_patterns_that_end_in_a_slash_are_for_folders_and_the_others_for_files() -> None:
    excluded = compile_exclusions(NOT_LOGS)
    assert all(map(excluded, ("lost+found/", "a/lost+found/", ".snapshot/", "lost.tmp", "a/.x")))
    assert not any(map(excluded, ("lost+found", "core/", "x.tmp/", ".x/", "a/core/", "archive/", "a.pid/")))
    assert compile_exclusions(("old-*/",))("old-1/")


def test_exclusion_patterns_are_those_of_a_shell() -> None:
    excluded = compile_exclusions(("*.old", "a?.log", "[xy]*", "exact"))
    assert [n for n in ("b.old", ".old", "ab.log", "y1", "exact", "ABC", "a.log", "exactly") if excluded(n)] == [
        "b.old",
        ".old",
        "ab.log",
        "y1",
        "exact",
    ]
    assert not compile_exclusions(())("")
    assert compile_exclusions(("*",))("anything")
