"""Searching the log that a node is writing to."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.domain.log_line import LogKind, LogLine, LogQuery
from logkeep.search import live
from logkeep.search.live import find_log, search_log
from logkeep.sources.base import LogFile
from logkeep.sources.local import LocalSource
from tests.support import corpus
from tests.unit.logformat.test_records import texts
from tests.unit.logformat.test_splitter import join_headless, split_plainly

LEVELS = ("INFO", "WARN", "ERROR", "DEBUG")


def line(number: int) -> bytes:
    time = f"2026-11-24T00:{number // 60 % 60:02d}:{number % 60:02d},000"
    return f"[{time}][{LEVELS[number % 4]:5}][o.e.n.Node] [n] event {number} [done]\n".encode()


def search(tmp_path: Path, data: bytes, **query: object) -> tuple[list[LogLine], bool]:
    (tmp_path / "prod.log").write_bytes(data)
    return search_log(LocalSource(tmp_path), "prod.log", LogQuery(LogKind.INSTANCE, **query))  # type: ignore[arg-type]


def test_records_are_newest_first_and_limited(tmp_path: Path) -> None:
    found, completed = search(tmp_path, b"".join(map(line, range(200))), limit=3)
    assert [one.content.split("event ")[1] for one in found] == ["199 [done]", "198 [done]", "197 [done]"]
    assert not completed


def test_level_time_and_keyword_choose(tmp_path: Path) -> None:
    data = b"".join(map(line, range(200)))
    found, completed = search(
        tmp_path, data, levels=frozenset({"WARN", "ERROR"}), before="2026-11-24T00:00:10,000", keyword="event"
    )
    assert [one.date[-6:-4] for one in found] == ["09", "06", "05", "02", "01"]
    assert completed
    assert search(tmp_path, data, keyword="Event") == ([], True)
    assert search(tmp_path, data, before="2000-01-01T00:00:00,000") == ([], True)


def test_stack_trace_belongs_to_its_record(tmp_path: Path) -> None:
    data = line(1) + b"java.lang.Error: broken\n\tat a.b(C.java:1)\n" + line(2)
    found, _ = search(tmp_path, data, keyword="broken")
    assert [one.content.count("\n") for one in found] == [2]
    assert found[0].level == "WARN"


def test_only_the_newest_records_are_looked_at(tmp_path: Path) -> None:
    data = b"".join(map(line, range(live.MOST_RECORDS + 5)))
    found, completed = search(tmp_path, data, limit=live.MOST_RECORDS)
    assert (len(found), completed) == (live.MOST_RECORDS, True)
    assert search(tmp_path, data, keyword="event 4 ") == ([], True)


def test_answer_has_at_most_a_megabyte(tmp_path: Path) -> None:
    data = b"".join(line(n)[:-1] + b"x" * 10_000 + b"\n" for n in range(300))
    found, completed = search(tmp_path, data, limit=300)
    assert not completed
    assert 900_000 < sum(len(one.content) for one in found) <= live.MOST_BYTES


def test_window_grows_until_it_holds_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_BLOCK", 100)
    found, completed = search(tmp_path, b"".join(map(line, range(50))), limit=1000)
    assert (len(found), completed) == (50, True)


def test_text_before_the_first_record_of_a_whole_log_is_a_record(tmp_path: Path) -> None:
    found, _ = search(tmp_path, b"no head\n" + line(1))
    assert [(one.content, one.date) for one in found][-1] == ("no head", "")
    assert search(tmp_path, b"") == ([], True)


class BytesLog:
    """A log that gives a few bytes at a time, and has lost those behind `kept`."""

    def __init__(self, data: bytes, kept: int | None = None, most: int = 1 << 30) -> None:
        self.data, self.kept, self.most, self.reads = data, len(data) if kept is None else kept, most, 0

    def open(self, name: str) -> BytesLog:
        return self

    def stat(self) -> LogFile:
        return LogFile("prod.log", len(self.data), 0, 0, "")

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return self.data[: self.kept][offset : offset + min(length, self.most)]

    def close(self) -> None: ...


@settings(max_examples=300)
@given(texts, st.sampled_from([1, 7, 100, 1000]))
def test_whatever_the_blocks_all_records_are_found(text: bytes, block: int) -> None:
    plain = [
        LogLine(
            one.text.decode().rstrip("\n"), one.head.time[:23] if one.head else "", (one.head and one.head.level) or ""
        )
        for one in join_headless(split_plainly(text))
        if one.end < len(text) or one.text.strip(b"\n")
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "_BLOCK", block)
        found = search_log(BytesLog(text), "prod.log", LogQuery(LogKind.INSTANCE))  # type: ignore[arg-type]
    assert found == (plain[::-1], True)


def test_log_that_was_truncated_meanwhile_is_told() -> None:
    data = line(1) + line(2) + line(3)
    found, completed = search_log(BytesLog(data, kept=len(data) - 8), "prod.log", LogQuery(LogKind.INSTANCE))  # type: ignore[arg-type]
    assert ([one.content.split("event ")[1] for one in found], completed) == (["3", "2 [done]", "1 [done]"], False)


def test_node_that_returns_a_byte_at_a_time_does_not_hold_the_search() -> None:
    log = BytesLog(line(1) * 1000, most=1)
    assert search_log(log, "prod.log", LogQuery(LogKind.INSTANCE))[1] is False  # type: ignore[arg-type]
    assert log.reads == live._MOST_READS


def test_no_more_is_read_than_the_answer_needs() -> None:
    log = BytesLog(line(1) * 1_000_000)
    assert len(search_log(log, "prod.log", LogQuery(LogKind.INSTANCE, limit=1000))[0]) == 1000  # type: ignore[arg-type]
    assert log.reads == 1


@pytest.mark.parametrize("node", corpus.NODES)
def test_logs_of_real_nodes_are_found_by_kind(node: str, tmp_path: Path) -> None:
    names = [path.name for path in corpus.unpack(node, tmp_path)]
    cluster = {"es7a": "es7logs", "es8a": "es8logs"}.get(node, "oslogs")
    found = {kind: find_log(names, kind) for kind in LogKind}
    assert found[LogKind.INSTANCE] == f"{cluster}.log"
    if node == "es8a":  # writes these as JSON only
        assert found[LogKind.SEARCH_SLOW] == f"{cluster}_index_search_slowlog.json"
    else:
        assert found[LogKind.DEPRECATION] == f"{cluster}_deprecation.log"
        assert found[LogKind.INDEXING_SLOW] == f"{cluster}_index_indexing_slowlog.log"
    for kind, name in found.items():
        if name:
            lines, _ = search_log(LocalSource(tmp_path), name, LogQuery(kind))
            assert all(one.date for one in lines)


def test_logstash_and_lone_logs_are_found() -> None:
    assert find_log(["logstash-plain.log", "logstash-slowlog-plain.log"], LogKind.INSTANCE) == "logstash-plain.log"
    assert find_log(["one.log", "gc.log"], LogKind.INSTANCE) == "one.log"
    assert find_log(["one.log", "two.log"], LogKind.INSTANCE) is None
    assert find_log(["one.log"], LogKind.SEARCH_SLOW) is None


def test_a_record_as_long_as_the_window_is_not_held_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is too long for an answer anyway; that not all of it was looked through is told."""
    monkeypatch.setattr(live, "_BLOCK", 32 * 1024 * 1024)
    data = line(1) + line(2)[:-1] + "€".encode() * 10_000_000 + b"needle\n"
    (tmp_path / "one.log").write_bytes(data)
    tracemalloc.start()
    try:
        found, completed = search_log(LocalSource(tmp_path), "one.log", LogQuery(LogKind.INSTANCE, keyword="needle"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found, completed) == ([], False)
    assert peak < 1.5 * len(data)
