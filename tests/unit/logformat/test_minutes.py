"""Counts by minute and level, held against a reading of each line by `read_head`."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logkeep.logformat import minutes
from logkeep.logformat.lines import HEAD_BYTES, read_head
from logkeep.logformat.minutes import MinuteCounts, find_open_head, minute_of, write_minute
from tests.support.corpus import NODES, plain, unpack

TEXT = b"[2026-11-23T10:49:05,123][INFO ][o.o.n.Node              ] [os1] started\n"
LINES = [
    TEXT,
    TEXT.replace(b"INFO ", b"ERROR"),
    TEXT.replace(b"INFO ", b"DEPRECATION"),
    TEXT.replace(b"INFO ", b"  INFO              "),
    TEXT.replace(b"[INFO ]", b""),
    TEXT.replace(b"10:49", b"10:50"),
    TEXT.replace(b"05,", b"65,"),
    TEXT.replace(b"T10", b"T24"),
    TEXT.replace(b"T10:49:05,123", b"T24:00:00,000"),
    TEXT.replace(b"-23T", b"-31T"),
    TEXT.replace(b"123]", b"123+01:00]"),
    TEXT.replace(b"123]", b"123+24:00]"),
    b'{"type": "server", "timestamp": "2026-11-23T10:49:05,123+0000", "level": "WARN", "component": "o.o.n.Node"}\n',
    b'{"@timestamp":"2026-11-23T10:49:05.123Z", "log.level":"DEBUG", "message":"x"}\n',
    b'{"level": "INFO", "timestamp": "2026-11-23T10:49:05,123", "a": "\\"level\\": 5"}\n',
    b"[2026-11-23T10:49:05.123+0000][20405][gc,init] CPUs: 2 total\n",
    b"[2026-11-23T10:49:05.123+0000][A][gc,init] CPUs: 2 total\n",
    b'{"type":"audit", "timestamp":"2026-11-23T10:49:05,123+0200", "event.type":"rest"}\n',
    b'{"type":"audit", "timestamp":"2026-11-23T10:49:05,123+0200", "x":"%b", "level": "INFO"}\n' % (b"y" * 150),
    b'{1 "timestamp":"2026-11-23T10:49:05,123"}\n',
    b"\tat a.b(C.java:1)\n",
    b'{"query": 1}\n[2 more]\n\n',
    b"\xff\x00\r\n",
]


@pytest.fixture(scope="module", params=[0, minutes._SMALL], ids=["columns", "small"], autouse=True)
def _small(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pieces of fewer bytes are read line by line, which here almost all are, or none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minutes, "_SMALL", request.param)
        yield


def count_minutes(raw: bytes) -> Counter[tuple[str, str]]:
    return told(minutes.count_minutes(raw))


def told(counts: MinuteCounts) -> Counter[tuple[str, str]]:
    """Minute and level -> count."""
    columns = zip(counts.minutes.tolist(), counts.of.tolist(), counts.counts.tolist(), strict=True)
    entries = [(write_minute(at) + counts.kinds[of][0], counts.kinds[of][1], count) for at, of, count in columns]
    found = Counter({(minute, level): count for minute, level, count in entries})
    assert len(found) == len(entries) and all(found.values())
    return found


def obvious(raw: bytes) -> Counter[tuple[str, str]]:
    return Counter(minute_of(head) for line in raw.split(b"\n") if (head := read_head(line)))


@cache
def corpus() -> list[bytes]:
    """Plain content of every file of every node."""
    with TemporaryDirectory() as folder:
        return [plain(path) for node in NODES for path in unpack(node, Path(folder) / node)]


def test_each_real_file_is_counted_exactly() -> None:
    assert sum(sum(count_minutes(raw).values()) for raw in corpus()) > 1000
    for raw in corpus():
        assert count_minutes(raw) == obvious(raw)


def test_real_files_cut_anywhere_and_damaged_are_counted_exactly() -> None:
    chance = random.Random(15)
    for raw in corpus():
        for _ in range(10):
            start, end = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
            piece = bytearray(raw[start : min(end, start + 200_000)])
            for _ in range(chance.choice((0, 3, 40))):
                if piece:
                    piece[chance.randrange(len(piece))] = chance.choice(b'\n[{0924": T,Z]\xff')
            assert count_minutes(bytes(piece)) == obvious(bytes(piece))


@given(st.lists(st.sampled_from(LINES), max_size=30), st.integers(0, 400), st.integers(0, 100))
@example([LINES[4], LINES[0]] * 5, 0, 0)
@example([LINES[17], LINES[18]] * 5, 0, 0)
@example([LINES[7]] * 20, 0, 0)
def test_lines_of_any_layouts_are_counted_exactly(lines: list[bytes], start: int, cut: int) -> None:
    raw = b"".join(lines)
    raw = raw[min(start, len(raw)) : max(0, len(raw) - cut)]
    assert count_minutes(raw) == obvious(raw)


def test_lines_of_one_layout_are_not_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(minutes, "read_head", lambda line: read.append(line) or read_head(line))
    monkeypatch.setattr(minutes, "_SMALL", 0)
    for line in (LINES[0], LINES[12], LINES[13], LINES[15], LINES[17]):
        read.clear()
        assert sum(count_minutes((line + LINES[20]) * 500 + LINES[1] * 5).values()) == 505
        assert len(read) < 10


@given(st.sampled_from(LINES), st.integers(0, 300), st.sampled_from([b"", TEXT, b"x" * 300 + b"\n"]))
def test_head_that_is_whole_does_not_change_with_what_follows(line: bytes, size: int, before: bytes) -> None:
    begun = line[:size]
    at = find_open_head(before + begun)
    if at >= 0:
        assert at == len(before)
    elif begun and b"\n" not in begun:
        for rest in (b"\n", line[size:], b"] x\n", b'"level":"INFO"}\n', b"[WARN]\n"):
            whole = (begun + rest)[:HEAD_BYTES].partition(b"\n")[0]
            assert read_head(whole) == read_head(begun)
