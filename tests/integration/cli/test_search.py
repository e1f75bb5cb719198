"""`search` in what is kept, against `restore` and a search of what that gives."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from logkeep.domain.span import Span, read_moment
from logkeep.logformat.lines import read_head
from tests.integration.cli.installed import Done, Served

Command = Callable[..., Done]
LEVELS = ("INFO ", "WARN ", "ERROR")


def written(chance: random.Random, start: int, number: int) -> bytes:
    """Records a minute apart, some with a trace of several lines."""
    lines: list[str] = []
    for minute in range(start, start + number):
        time = f"2026-11-{24 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00,000"
        lines.append(f"[{time}][{chance.choice(LEVELS)}][o.o.n.Node] id-{chance.randrange(40)} of {minute}")
        lines += [f"\tat a.b(C.java:{chance.randrange(40)})"] * chance.choice((0, 0, 1, 3))
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture
def kept(tenant: Command, opened: str, node: Path) -> str:
    """Three backups; in between the log grows within a line, rotates, and begins anew."""
    chance = random.Random(15)
    first, second, third = (written(chance, start, 600) for start in (0, 600, 1200))
    (node / "prod.log").write_bytes(first[:-20])
    tenant("backup", opened, "--wait").ended(0)
    (node / "prod.log").write_bytes(first + second)
    tenant("backup", opened, "--wait").ended(0)
    (node / "prod-2026-11-24-1.log.gz").write_bytes(gzip.compress(first + second))
    (node / "prod.log").write_bytes(third)
    tenant("backup", opened, "--wait").ended(0)
    return opened


def expected(log: bytes, text: str, span: Span, level: str, *, ignore_case: bool = False) -> list[str]:
    found: list[str] = []
    head = None
    for line in log.decode().splitlines():
        head = read_head(line.encode()) or head
        assert head
        wanted = span.holds(head.time) and (not level or head.level == level)
        if wanted and (text.lower() in line.lower() if ignore_case else text in line):
            found.append(line)
    return found


def test_it_finds_what_restore_and_a_plain_search_find(tenant: Command, kept: str, tmp_path: Path) -> None:
    tenant("restore", kept, "--to", tmp_path / "out", "--join", "--family", "prod.log").ended(0)
    log = (tmp_path / "out" / "n1" / "prod.log").read_bytes()
    chance = random.Random(16)
    hits = 0
    for _ in range(40):
        text = chance.choice(["id-7", "id-1", "ID-3", "java:12", "of 119", "]", "at a.b", "none of that"])
        level, ignore_case = chance.choice(["", "", "WARN", "ERROR"]), chance.random() < 0.3
        bounds = sorted(chance.sample(range(1440), 2))
        since, until = (f"2026-11-24T{minute // 60:02}:{minute % 60:02}" for minute in bounds)
        since, until = chance.choice([("", ""), (since, until), (since, ""), ("", until)])
        span = Span(read_moment(since) if since else None, read_moment(until) if until else None)
        options = [*(["--level", level] if level else []), *(["-i"] if ignore_case else [])]
        options += [*(["--since", since] if since else []), *(["--until", until] if until else [])]
        wanted = expected(log, text, span, level, ignore_case=ignore_case)
        done = tenant("search", kept, text, "--family", "prod.log", "--limit", "100000", *options).ended(0)
        assert done.out.splitlines() == [f"n1/prod.log: {line}" for line in wanted], options
        count = tenant("search", kept, text, "--family", "prod.log", "--count", "--json", *options).ended(0)
        assert count.json == {"count": len(wanted), "completed": True}
        hits += len(wanted)
    assert hits > 1000


def test_regular_expression_is_held_against_each_line(tenant: Command, kept: str) -> None:
    whole = tenant("search", kept, "o.o.n.Node", "--family", "prod.log", "--limit", "100000").ended(0)
    lines = whole.out.splitlines()
    for regex in (r"id-1\d of 1\d*$", r"^\[\S+\]\[(WARN|ERROR) ?\].*id-(7|8)\b", "[^ ]+-39 "):
        bare = [line.partition(": ")[2] for line in lines]
        wanted = [line for line in bare if re.search(regex, line)]
        done = tenant("search", kept, "--regex", regex, "--family", "prod.log", "--limit", "100000").ended(0)
        assert wanted and [line.partition(": ")[2] for line in done.out.splitlines()] == wanted
    assert tenant("search", kept, "-iE", "ID-7 .F", "--count").ended(0).out != "0\n"


def test_json_has_a_line_for_each_hit_by_which_it_is_read(tenant: Command, kept: str) -> None:
    done = tenant("search", kept, "id-7 ", "--json", "--level", "error").ended(0)
    hits = [json.loads(line) for line in done.out.splitlines()]
    assert hits
    for hit in hits:
        where = {"node", "family", "generation", "name", "start", "source"}
        assert hit.keys() == {*where, "time", "level", "component", "message", "text", "cut", "before", "after"}
        assert (hit["component"], hit["message"][:3]) == ("o.o.n.Node", "id-")
        assert hit["source"].keys() == {"bucket", "object", "file", "offset"}
        assert (hit["node"], hit["family"], hit["level"], hit["cut"]) == ("n1", "prod.log", "ERROR", False)
        assert hit["text"].startswith(f"[{hit['time']}][ERROR]")
    assert [hit["time"] for hit in hits] == sorted(hit["time"] for hit in hits)


def test_the_most_lines_are_told_and_how_many_there_are(tenant: Command, kept: str) -> None:
    done = tenant("search", kept, "o.o.n.Node", "--limit", "3").ended(0)
    assert (
        len(done.out.splitlines()) == 3
        and "more than these 3 lines: it ended at a limit" in done.err
        and "--cursor " in done.err
    )
    assert tenant("search", kept, "o.o.n.Node", "--count", "--limit", "3").ended(0).out == "1800\n"


def test_what_is_not_kept_is_told(tenant: Command, kept: str, cluster: str) -> None:
    assert "node" in tenant("search", kept, "x", "--node", "n9").ended(2).err
    assert "nodes of which something is kept: n1" in tenant("search", kept, "x", "--node", "n9").err
    told = tenant("search", kept, "x", "--family", "other.log").ended(2).err
    assert "logs of which something is kept: prod.log, prod_server.json" in told
    assert "TEXT must be UTF-8" in tenant("search", kept, "caf\udce9").ended(2).err
    told = tenant("search", kept, "-E", "id-7(").ended(2).err
    assert "text: the regular expression is not taken: character 5: missing )" in told
    assert "TEXT is empty" in tenant("search", kept, "").ended(2).err
    assert (
        "exchange the two" in tenant("search", kept, "x", "--since", "2027-01-02", "--until", "2027-01-01").ended(2).err
    )
    done = tenant("search", kept, "x", "--since", "2027-01-01", "--family", "prod.log", "--no-live").ended(0)
    assert "0 lines; 0 B of 134.1 KiB: 0 of 3 frames in 2 log files were read" in done.err


def test_nothing_kept_yet_is_told(tenant: Command, opened: str) -> None:
    done = tenant("search", opened, "x", "--no-live").ended(0)
    assert (done.out, "nothing of" in done.err) == ("", True)


def test_a_damaged_log_is_told_and_the_others_are_searched(tenant: Command, kept: str, served: Served) -> None:
    folder = next((served.directory / "buckets").glob(f"*/css/log/{kept}"))
    for path in folder.rglob("*.zst"):
        if path.parent.name == "prod.log":
            path.write_bytes(b"damaged")
    done = tenant("search", kept, "timestamp").ended(1)
    assert len(done.out.splitlines()) == 50
    assert "n1/prod.log: not searched as a whole: LK-STORE-CORRUPT" in done.err
    assert "3 parts of logs could not be searched" in done.err and "--read-data" in done.err
    assert done.err.count(f"--dir {served.directory}") == 2
