"""`annotate` against a slow, obvious reading of every line: what it says may never hide a line that is there."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logkeep.logformat import annotation, lines
from logkeep.logformat.lines import first_time, read_head
from tests.support.corpus import NODES, unpack

TEXT = b"[2026-11-23T10:49:05,123][INFO ][o.o.n.Node              ] [os1] started\n"
SERVER = (
    b'{"type": "server", "timestamp": "2026-11-23T10:49:05,123+0000", "level": "WARN", "component": "o.o.n.Node"}\n'
)
ECS = b'{"@timestamp":"2026-11-23T10:49:05.123Z", "log.level":"DEBUG", "message":"x"}\n'
GC = b"[2026-11-23T10:49:05.123+0000][20405][gc,init] CPUs: 2 total\n"
AUDIT = b'{"type":"audit", "timestamp":"2026-11-23T10:49:05,123+0200", "event.type":"rest"}\n'
TRACE = b'"stacktrace": ["x: y",\n"at a.b(C.java:1)",\n"... 6 more"] }\n\tat a.b(C.java:1)\n'
UNKNOWN = ("", "", None)


@pytest.fixture(scope="module", params=[0, annotation._SMALL], ids=["columns", "small"], autouse=True)
def small(request: pytest.FixtureRequest) -> Iterator[int]:
    """Frames of fewer bytes are read line by line, which here almost all are, or none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotation, "_SMALL", request.param)
        yield request.param


def annotate(raw: bytes) -> tuple[str, str, tuple[str, ...] | None]:
    found = annotation.annotate(raw)
    assert found.lines == raw.count(b"\n")
    return found[:3]


@cache
def corpus() -> dict[str, bytes]:
    """Plain content of every file of every node, by node/name."""
    found = {}
    with TemporaryDirectory() as folder:
        for node in NODES:
            for path in unpack(node, Path(folder) / node):
                data = path.read_bytes()
                found[f"{node}/{path.name}"] = gzip.decompress(data) if path.suffix == ".gz" else data
    return found


@cache
def real_lines() -> list[bytes]:
    """Some lines of each file: the first ones, and those where a record begins or ends."""
    found: list[bytes] = []
    for data in corpus().values():
        every = data.splitlines(keepends=True)
        odd = [b for a, b in pairwise(every) if a[:1] != b[:1]]
        found += [line for line in every[:3] + odd[:12] if len(line) < 2000]
    return found


def obvious_head(line: bytes) -> tuple[str, str | None] | None:
    """Time and level of a line that begins a record, read without regard to speed."""
    text = line[: lines.HEAD_BYTES].decode("latin-1")
    moment = r"(\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)[.,](\d\d\d)(Z|[+-]\d\d(:?\d\d)?)?"
    if text.startswith("["):
        found = re.match(r"\[" + moment + r"\]", text, re.ASCII)
        level = found and re.match(r"\[ *([A-Z]+) *\]", text[found.end() :])
    else:
        found = re.search(r'"@?timestamp" *: *"' + moment + '"', text, re.ASCII) if text.startswith('{"') else None
        level = re.search(r'"(?:log\.)?level" *: *"([A-Z]+)"', text)
    if not found:
        return None
    time = f"{found[1]},{found[2]}{found[3] or ''}"
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return None
    return time, level[1] if level else None


def instant(time: str) -> datetime:
    found = datetime.fromisoformat(time)
    return found if found.tzinfo else found.replace(tzinfo=datetime.fromisoformat("2000-01-01T00:00:00Z").tzinfo)


def assert_hides_nothing(annotation: lines.Annotation, heads: list[tuple[str, str | None]]) -> None:
    first, last, levels = annotation
    assert bool(first) == bool(last)
    for time, level in heads:
        assert not first or instant(first) <= instant(time) <= instant(last), time
        assert not first or len({t[23:] for t in (first, last, time)}) == 1, "zones are mixed"
        assert levels is None or level in levels


def heads_of(raw: bytes) -> list[tuple[str, str | None]]:
    return [head for line in raw.split(b"\n") if (head := obvious_head(line))]


@pytest.mark.parametrize(
    ("line", "time", "level"),
    [
        (TEXT, "2026-11-23T10:49:05,123", "INFO"),
        (SERVER, "2026-11-23T10:49:05,123+0000", "WARN"),
        (ECS, "2026-11-23T10:49:05,123Z", "DEBUG"),
        (GC, "2026-11-23T10:49:05,123+0000", None),
        (AUDIT, "2026-11-23T10:49:05,123+0200", None),
        (b"[2026-11-23T10:49:05,123][DEPRECATION][o.o.d] x", "2026-11-23T10:49:05,123", "DEPRECATION"),
        (b"[2026-11-23T10:49:05,123][ WARN][logstash.runner] x\r\n", "2026-11-23T10:49:05,123", "WARN"),
        (
            b'{"log.level": "INFO", "@timestamp": "2026-11-23T10:49:05.123+01:00"}',
            "2026-11-23T10:49:05,123+01:00",
            "INFO",
        ),
    ],
)
def test_head_of_a_record(line: bytes, time: str, level: str | None) -> None:
    assert read_head(line) == (time, level)
    assert annotate(line) == (time, time, (level,) if level else None)
    assert first_time(TRACE + line) == time


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\tat a.b(C.java:1)",
        b'"at a.b(C.java:1)",',
        b"[app-debug/YDYxP_dGSu274Sx76F0vdg]",
        b"[1] x",
        b"[2026-11-23]",
        b"[2026-13-23T10:49:05,123][INFO ]",
        b"[2026-11-23T10:49:05,123+9900][1]",
        b" [2026-11-23T10:49:05,123][INFO ]",
        b"{",
        b'{"level":"INFO","timeMillis":1795431045123}',
        b'{"message": "a \\"timestamp\\": \\"2026-11-23T10:49:05,123Z\\""}',
        b'{"x": "' + b"y" * 300 + b'", "timestamp": "2026-11-23T10:49:05,123Z"}',
    ],
)
def test_line_that_continues_a_record(line: bytes) -> None:
    assert read_head(line) is None
    assert annotate(line + b"\n") == UNKNOWN
    assert annotate(TEXT + line + b"\n") == annotate(TEXT)


@pytest.mark.parametrize("name", sorted(corpus()))
def test_real_file_is_annotated_exactly(name: str) -> None:
    heads = heads_of(corpus()[name])
    times = sorted({time for time, _ in heads}) or [""]
    levels = {level for _, level in heads}
    found = annotate(corpus()[name])
    assert found == (times[0], times[-1], None if None in levels or not levels else tuple(sorted(map(str, levels))))
    assert first_time(corpus()[name][:4096]) == (heads[0][0] if heads else "")


def test_real_files_need_no_slow_way(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation, "_annotate_each", lambda raw: pytest.fail("read one by one"))
    for raw in corpus().values():
        assert len(raw) < max(1, small) or annotate(raw)


def test_times_of_several_zones_have_no_span() -> None:
    winter = AUDIT.replace(b"10:49", b"02:10").replace(b"+0200", b"+0100")
    summer = AUDIT.replace(b"10:49", b"02:50")
    assert annotate(winter + summer)[:2] == ("", "")
    assert annotate(TEXT + GC)[:2] == ("", "")


def test_one_unseen_level_makes_all_unknown() -> None:
    assert annotate(SERVER + SERVER.replace(b'"level": "WARN", ', b""))[2] is None
    assert annotate(SERVER + SERVER.replace(b'"WARN"', b'"warn"'))[2] is None
    assert annotate(TEXT + TEXT.replace(b"INFO ", b"WARN "))[2] == ("INFO", "WARN")


def test_times_are_compared_where_what_stands_before_them_differs() -> None:
    later, earlier = SERVER.replace(b"server", b"alerts"), SERVER.replace(b"10:49", b"09:00")
    assert annotate(later + earlier)[:2] == ("2026-11-23T09:00:05,123+0000", "2026-11-23T10:49:05,123+0000")


def test_level_that_ends_after_the_head_is_unseen() -> None:
    pad = b"x" * (lines.HEAD_BYTES - SERVER.index(b'"WARN"') - 7)
    record = SERVER.replace(b"server", b"server" + pad)
    assert annotate(record)[2] == ("WARN",)
    assert annotate(record + record.replace(b"WARN", b"CRITICAL"))[2] is None


@pytest.mark.parametrize("record", [TEXT, SERVER, ECS, GC, AUDIT], ids=["text", "server", "ecs", "gc", "audit"])
def test_record_cut_within_its_head_leaves_the_frame_unknown(record: bytes) -> None:
    later = record.replace(b"10:49", b"23:59")
    for cut in range(1, len(later)):
        first, last, levels = annotate(record + later[:cut])
        assert (first, last, levels) == UNKNOWN or "23:59" in last


odd_lines = st.one_of(
    st.sampled_from(
        [b"", b"[", b"{", b'{"', b"[2026-1", b"\x00\x00[2026-11-23T10:49:05,123]", b"\xff\xfe", b"[x] y", b'{"a": 1}']
    ),
    st.binary(max_size=30).map(lambda junk: junk.replace(b"\n", b"")),
    st.from_regex(rb"[\[{][0-9\"][0-9T:,\]\[A-Z \"-]{0,40}", fullmatch=True),
)
moments = st.builds(
    "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}".format,
    st.integers(25, 27), st.integers(1, 12), st.integers(1, 31), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59),
)  # fmt: skip
zones = st.sampled_from(["", "Z", "+0000", "+0200", "-0130", "+01", "+02:00", "+9999"])
levels_written = st.sampled_from(
    ["INFO", "INFO ", "WARN", "ERROR", "DEPRECATION", "info", "ABCDEFGHIJKLMNOPQ", "", "X]", 'X"']
)
made_lines = st.builds(
    lambda form, time, mark, ms, zone, level: form.format(time=f"{time}{mark}{ms:03}{zone}", level=level).encode(),
    st.sampled_from(
        [
            "[{time}][{level}][o.o.n.Node] x",
            "[{time}][20405][gc] x",
            '{{"type": "server", "timestamp": "{time}", "level": "{level}", "component": "x"',
            '{{"type": "deprecation", "timestamp": "{time}", "level": "{level}", "component": "x"',
            '{{"@timestamp":"{time}", "log.level": "{level}", "message":"x"}}',
            '{{"level":"{level}","timestamp":"{time}"}}',
            '{{"type":"audit", "timestamp":"{time}", "event.type":"rest"}}',
            " [{time}][{level}] x",
        ]
    ),
    moments, st.sampled_from([",", ".", ""]), st.integers(0, 999), zones, levels_written,
)  # fmt: skip
some_lines = st.lists(
    st.one_of(st.deferred(lambda: st.sampled_from(real_lines())), made_lines, odd_lines).map(
        lambda line: line.rstrip(b"\n")
    ),
    max_size=12,
)


@settings(max_examples=500, deadline=None)
@given(some_lines, st.booleans())
def test_nothing_is_hidden_in_any_mixture_of_lines(parts: list[bytes], ended: bool) -> None:
    raw = b"\n".join(parts) + (b"\n" if ended else b"")
    assert_hides_nothing(annotate(raw), heads_of(raw))


@settings(max_examples=500, deadline=None)
@given(st.lists(made_lines, min_size=1, max_size=2), st.data())
def test_nothing_is_hidden_among_lines_of_nearly_one_layout(parts: list[bytes], data: st.DataObject) -> None:
    """One byte changed in copies of a line: what the fast way takes to be alike must be alike."""
    changed = [parts[0]]
    for line in parts[:1] * 3 + parts[1:]:
        at = data.draw(st.integers(0, len(line) - 1))
        byte = data.draw(st.sampled_from([b"", b"0", b"7", b'"', b"[", b"]", b",", b".", b" ", b"Z", b"+"]))
        changed.append(line[:at] + byte + line[at + 1 :])
    raw = b"\n".join(changed) + b"\n"
    assert_hides_nothing(annotate(raw), heads_of(raw))


@settings(max_examples=500, deadline=None)
@given(some_lines, st.lists(st.floats(0, 1), max_size=3))
@example([TEXT.strip(), ECS.strip()], [0.01, 0.5])
def test_no_cut_hides_a_record(parts: list[bytes], cuts: list[float]) -> None:
    """A record is looked for in the frame in which its first line begins."""
    raw = b"\n".join(parts) + b"\n"
    ends = sorted({int(cut * len(raw)) for cut in cuts} | {len(raw)})
    start, at, frame_heads = 0, 0, {end: [] for end in ends}
    for line in raw.split(b"\n"):
        if head := obvious_head(line):
            frame_heads[next(end for end in ends if at < end)].append(head)
        at += len(line) + 1
    for end in ends:
        assert_hides_nothing(annotate(raw[start:end]), frame_heads[end])
        start = end


@settings(max_examples=200, deadline=None)
@given(st.one_of(made_lines, odd_lines, st.deferred(lambda: st.sampled_from(real_lines()))))
def test_read_head_reads_what_is_obvious(line: bytes) -> None:
    assert read_head(line) == obvious_head(line)


def test_corpus_has_the_shapes_that_matter() -> None:
    everything = b"".join(corpus().values())
    assert b"\n[app-debug/" in everything and b'\n"stacktrace": [' in everything and b"\n\tat " in everything
    assert any(not raw for raw in corpus().values())
    assert json.loads(corpus()["es8a/es8logs_server.json"].split(b"\n")[0])["log.level"] == "INFO"
