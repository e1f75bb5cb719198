"""Searching the log that a node is writing to."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from logkeep.domain.log_line import LogKind, LogLine, LogQuery
from logkeep.search import live
from logkeep.search.live import find_log, search_log
from logkeep.sources.local import LocalSource
from tests.support import corpus

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
    monkeypatch.setattr(live, "_FIRST_WINDOW", 100)
    found, completed = search(tmp_path, b"".join(map(line, range(50))), limit=1000)
    assert (len(found), completed) == (50, True)


def test_text_before_the_first_record_of_a_whole_log_is_a_record(tmp_path: Path) -> None:
    found, _ = search(tmp_path, b"no head\n" + line(1))
    assert [(one.content, one.date) for one in found][-1] == ("no head", "")
    assert search(tmp_path, b"") == ([], True)


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
    monkeypatch.setattr(live, "_FIRST_WINDOW", 32 * 1024 * 1024)
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
