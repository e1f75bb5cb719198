"""Where options may stand, and how values are written for people."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from logkeep.cli.demo_node import DemoNode
from logkeep.cli.invocation import common_first
from logkeep.cli.output import count_text, duration_text, print_table, readable, size_text


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["records", "x", "--json"], ["--json", "records", "x"]),
        (["records", "--dir", "d", "x"], ["--dir", "d", "records", "x"]),
        (["--dir=d", "records", "x", "--ak=a"], ["--dir=d", "--ak=a", "records", "x"]),
        (["records", "--limit", "2", "--dir"], ["--dir", "records", "--limit", "2"]),
        (["backup", "--", "--json"], ["backup", "--", "--json"]),
    ],
)
def test_common_options_may_stand_anywhere(given: list[str], ordered: list[str]) -> None:
    assert common_first(given) == ordered


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1.5 * 1024**2, "1.5 MiB"), (3 * 1024**6, "3072.0 PiB")],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (12.3, "12 s"), (185, "3 min 5 s"), (7620, "2 h 7 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_counts() -> None:
    assert [count_text(number, "file") for number in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]


def test_nothing_that_a_service_sends_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert readable("a\x1b[2Jb\u202e") == "a\\x1b[2Jb\\u202e"
    print_table(("NAME", "N"), [("x\x1b[1m\n", "10"), ("a", "9")], right=(1,))
    assert capsys.readouterr().out == "NAME         N\nx\\x1b[1m\\n  10\na            9\n"


def test_a_plain_command_starts_without_what_only_others_need() -> None:
    code = "import sys; from logkeep.cli.app import run; run(['--help']); print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    slow = {
        "rich",
        "httpx",
        "sqlalchemy",
        "dbos",
        "uvicorn",
        "msgspec",
        "opendal",
        "asyncio",
        "ssl",
        "logkeep.bootstrap",
    }
    assert loaded.isdisjoint(slow)


def test_the_service_starts_without_what_only_people_look_at() -> None:
    code = (
        "import sys; from logkeep.cli import serve; serve.import_structlog();"
        "import logkeep.bootstrap, logkeep.api.app; print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"rich", "attr", "dbos", "httpx", "asyncssh", "prometheus_client"})


def test_the_demo_node_rotates_as_log4j2_does(tmp_path: Path) -> None:
    (tmp_path / "c_server.json").write_bytes(b'{"timestamp": "2026-11-23T00:00:00,000Z"}\n' * 10)
    (tmp_path / "c-2026-11-24-1.json.gz").write_bytes(b"")
    (tmp_path / "c_index_search_slowlog.log").write_bytes(b"slow\n")
    written = DemoNode(tmp_path).write_and_rotate(datetime(2026, 11, 24, 3, tzinfo=UTC))
    assert written.rotated == [("c_server.json", "c-2026-11-24-2.json.gz")]
    assert (written.logs, written.lines) == (2, 11)
    assert (tmp_path / "c_server.json").read_bytes().startswith(b'{"timestamp": "2026-11-24T03:00:00,005Z"}\n')
    assert not (tmp_path / "c-2026-11-24-2.json").exists()
