"""Records of real logs, whole and damaged, against plain expressions and the json module."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.domain.log_record import LogRecord, RecordKind
from logkeep.logformat.lines import read_head
from logkeep.logformat.parser import read_records
from tests.support.corpus import NODES, unpack

# Of whole log directories, one folder for each node, in place of those that are kept with the tests.
CORPUS = os.environ.get("LOGKEEP_TEST_CORPUS")
LEVEL = {
    ".log": re.compile(rb"^\[\d{4}-[^\]\n]*\]\[ *([A-Z]+) *\]", re.MULTILINE),
    ".json": re.compile(rb'^\{(?:"type": "[^"]*", "timestamp": "[^"]*", "level": |"@timestamp":"[^"]*", "log.level": *)"([A-Z]+)"', re.MULTILINE),
    "gc": re.compile(rb"^\[\d{4}-[^\]\n]*\]\[\d+\](?:\[(\w+) *\])?\[[a-z]", re.MULTILINE),
}  # fmt: skip
KINDS = {
    "_deprecation": RecordKind.DEPRECATION,
    "_slowlog": RecordKind.SLOW,
    "_indexing_slowlog": RecordKind.SLOW,
    "_search_slowlog": RecordKind.SLOW,
}


@cache
def corpus() -> dict[str, bytes]:
    """Plain content of every file of every node, by node/name."""
    with TemporaryDirectory() as folder:
        for node in () if CORPUS else NODES:
            unpack(node, Path(folder) / node)
        paths = sorted(Path(CORPUS or folder).glob("*/*"))
        return {
            f"{path.parent.name}/{path.name}": gzip.decompress(path.read_bytes())
            if path.suffix == ".gz"
            else path.read_bytes()
            for path in paths
        }


def read(data: bytes, size: int = 64 * 1024) -> list[LogRecord]:
    return list(read_records(data[at : at + size] for at in range(0, len(data), size)))


def assert_tiles(data: bytes, records: list[LogRecord]) -> None:
    assert [record.start for record in records[:1]] == [0][: len(data)]
    assert all(one.end == other.start for one, other in pairwise(records))
    assert all(one.start < one.end for one in records)
    assert (records[-1].end if records else 0) == len(data)


def form_of(name: str) -> str:
    return "gc" if "gc.log" in name else ".json" if ".json" in name else ".log"


@pytest.mark.parametrize("name", sorted(corpus()))
def test_levels_of_a_real_log_are_those_that_are_counted(name: str) -> None:
    data = corpus()[name]
    counted = Counter(level.decode().upper() or None for level in LEVEL[form_of(name)].findall(data))
    records = read(data)
    assert_tiles(data, records)
    assert Counter(record.level for record in records) == counted
    kind = RecordKind.GC if form_of(name) == "gc" else RecordKind.INSTANCE
    kind = next((kind for ending, kind in KINDS.items() if ending in name), kind)
    assert {record.kind for record in records} <= {kind}
    assert all(record.message and record.time and record.component for record in records)


@pytest.mark.parametrize("name", [name for name in sorted(corpus()) if form_of(name) == ".json"])
def test_fields_of_json_are_those_of_the_json_module(name: str) -> None:
    data = corpus()[name]
    for record in read(data):
        plain = json.loads(data[record.start : record.end])
        slow = record.slow_log
        assert record.message in (plain.get("message"), plain.get("elasticsearch.slowlog.message"))
        assert record.component in (plain.get("component"), plain.get("log.logger"))
        assert record.node in (plain.get("node.name"), plain.get("elasticsearch.node.name"))
        trace = plain.get("stacktrace", plain.get("error.stack_trace"))
        assert record.stack_trace == ("\n".join(trace) if isinstance(trace, list) else trace)
        prefix = "elasticsearch.slowlog." if "elasticsearch.slowlog.took" in plain else ""
        if slow:
            assert slow.took == plain[f"{prefix}took"]
            assert slow.took_millis == int(plain[f"{prefix}took_millis"])
            assert (slow.id, slow.routing) == (plain.get(f"{prefix}id"), plain.get(f"{prefix}routing"))
            assert not slow.source or slow.source.startswith("{")
        known = {
            "timestamp", "@timestamp", "level", "log.level", "message", "component", "log.logger", "node.name", "key",
            "elasticsearch.node.name", "stacktrace", "error.stack_trace", "category", "x-opaque-id",
            "elasticsearch.http.request.x_opaque_id", "event.code", "elasticsearch.event.category",
        }  # fmt: skip
        left = {key: value for key, value in plain.items() if key not in known and "slowlog." not in key}
        if slow and not prefix:
            left = {key: value for key, value in left.items() if not hasattr(slow, key)}
        assert record.fields == left


@pytest.mark.parametrize("log", ["es7a/es7logs_index_search_slowlog", "es7a/es7logs_index_indexing_slowlog"])
def test_plain_and_json_form_of_a_slow_log_say_the_same(log: str) -> None:
    def rows(name: str) -> set[tuple[object, ...]]:
        records = [record for record in read(corpus()[name]) if record.slow_log]
        return {
            (record.time[:23], record.level, record.component, slow.index, slow.index_uuid, slow.shard, slow.took,
             slow.took_millis, slow.total_hits, slow.search_type, slow.total_shards, slow.doc_type, slow.id or None,
             slow.routing or None, slow.source)
            for record in records if (slow := record.slow_log) and record.time
        }  # fmt: skip

    plain, in_json = rows(f"{log}.log"), rows(f"{log}.json")
    moments = {row[0] for row in plain} & {row[0] for row in in_json}
    assert len(moments) > 100
    assert {row for row in plain if row[0] in moments} == {row for row in in_json if row[0] in moments}


@cache
def samples() -> list[bytes]:
    """Records of every file: the first, the last and one with a stack trace, if they are short."""
    found: list[bytes] = []
    for data in corpus().values():
        records = read(data)
        some = [*records[:2], *records[-1:], *[record for record in records if record.stack_trace][:1]]
        found += [data[record.start : record.end] for record in some if record.end - record.start < 5000]
    return found


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Some records with bytes flipped, cut out, put in, or repeated; or joined without a line end."""
    parts = draw(st.lists(st.sampled_from(samples()) | st.binary(max_size=40), max_size=5))
    text = bytearray(draw(st.sampled_from([b"", b"\n", b"\0"])).join(parts))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.sampled_from([0, 0, 1, 1, 2, 40, 400])))
        text[at:end] = draw(
            st.sampled_from([b"", b"\n", b"\0", b"\xff", b"\\", b'"', b"]", b"[", b"{", b"}", b"\xed\xa0\x80", b"\\ud800"])
            | st.binary(max_size=3)
        ) * draw(st.sampled_from([1, 1, 1, 2000]))  # fmt: skip
    return bytes(text)


@settings(max_examples=500)
@given(st.deferred(damaged), st.integers(1, 5000))
def test_damaged_logs_are_tiled_without_an_error(data: bytes, size: int) -> None:
    records = read(data, size)
    assert_tiles(data, records)
    heads = [head for line in data.split(b"\n") if (head := read_head(line))]
    headed = [record for record in records if read_head(data[record.start : record.end].split(b"\n")[0])]
    assert [record.time for record in headed] == [head.time for head in heads]
    for record, head in zip(headed, heads, strict=True):
        assert head.level in (None, record.level)
        record.message.encode()


@given(st.binary(max_size=300), st.integers(1, 300))
def test_any_bytes_are_tiled_without_an_error(data: bytes, size: int) -> None:
    assert_tiles(data, read(data, size))


TEXT = b"[2026-11-24T06:00:00,000][INFO ][%s] [n] "
JSON = b'{"type": "server", "timestamp": "2026-11-24T06:00:00,000Z", "level": "INFO", '


@pytest.mark.parametrize(
    ("begin", "repeated"),
    [
        (begin, repeated)
        for begin in (TEXT % b"c", TEXT % b"i.s.s.query" + b"[i][0] took[", TEXT[:-9], TEXT[:24], TEXT[:25] + b" [a] [b] x=[", JSON, JSON + b'"message": "', b"{", b"[", b"")
        for repeated in (b"[", b"]", b"], a[", b"], source[", b"a", b"\na.b", b"\n  ", b"a.", b'"', b'"a": "b", ', b'{"a":', b"\\", b" ", b"x=[", b"\n[", b"\n{\"", b' elasticsearch.slowlog.a="', b"0", b"\0", b"\xff", b"\n")
    ],
)  # fmt: skip
def test_giant_records_take_time_in_proportion_to_their_size(begin: bytes, repeated: bytes) -> None:
    data = begin + repeated * (100_000 // len(repeated))
    began = thread_time()
    records = read(data)
    assert thread_time() - began < 5  # what is quadratic takes minutes
    assert_tiles(data, records)
