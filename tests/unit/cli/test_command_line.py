"""Where options may stand, and how values are written for people."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
import typer

from logkeep import cli
from logkeep.cli.app import COMMANDS, app, load_command
from logkeep.cli.demo_node import DemoNode
from logkeep.cli.invocation import common_first
from logkeep.cli.output import print_table
from logkeep.cli.texts import count_text, duration_text, readable, size_text


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


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that one command line imports."""
    code = (
        "import sys; from logkeep.cli.app import run; run(sys.argv[1:]); print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nope"]])
def test_what_is_no_command_starts_without_any(arguments: list[str]) -> None:
    loaded = loaded_by(*arguments)
    own = {name.removeprefix("logkeep.cli.") for name in loaded if name.startswith("logkeep.cli.")}
    assert own == {"app", "errors", "invocation", "output", "owner", "texts"}
    slow = {"rich", "httpx", "sqlalchemy", "dbos", "uvicorn", "msgspec", "opendal", "asyncio", "ssl"}
    assert loaded.isdisjoint(slow | {"logkeep.bootstrap"})


def test_a_command_that_asks_the_service_starts_without_the_installation() -> None:
    loaded = loaded_by("cluster", "list", "--help")
    assert loaded.isdisjoint({"sqlalchemy", "dbos", "uvicorn", "opendal", "logkeep.bootstrap"})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_has_the_help_of_each(name: str) -> None:
    shown, own = typer.main.get_group(app).commands[name], load_command(name)
    assert own.name == name
    assert shown.help == " ".join(own.help.partition("\n\n")[0].split())
    assert [shown.get_short_help_str(limit) for limit in (20, 45, 68, 200)] == [
        own.get_short_help_str(limit) for limit in (20, 45, 68, 200)
    ]
    assert (shown.hidden, shown.deprecated) == (own.hidden, own.deprecated)


def test_every_command_of_a_module_stands_in_the_table() -> None:
    """And in the order of the table, those of one module."""
    for module in sorted({module for module, _ in COMMANDS.values()}):
        own = typer.Typer(rich_markup_mode=None)
        import_module(f"logkeep.cli.{module}").add_commands(own)
        assert list(typer.main.get_group(own).commands) == [name for name in COMMANDS if COMMANDS[name][0] == module]
    there = {path.stem for path in Path(cli.__path__[0]).glob("*.py") if "def add_commands(" in path.read_text("utf-8")}
    assert there == {module for module, _ in COMMANDS.values()}


def test_the_service_starts_without_what_it_may_not_need() -> None:
    code = "import sys; import logkeep.cli.application; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"dbos", "alembic", "httpx", "asyncssh", "prometheus_client"})


def test_the_port_answers_before_the_service_is_imported() -> None:
    loaded = loaded_by("serve", "--help")
    assert loaded.isdisjoint({"rich", "structlog", "sqlalchemy", "cryptography", "logkeep.bootstrap"})


def test_the_demo_node_rotates_as_log4j2_does(tmp_path: Path) -> None:
    (tmp_path / "c_server.json").write_bytes(b'{"timestamp": "2026-11-23T00:00:00,000Z"}\n' * 10)
    (tmp_path / "c-2026-11-24-1.json.gz").write_bytes(b"")
    (tmp_path / "c_index_search_slowlog.log").write_bytes(b"slow\n")
    written = DemoNode(tmp_path).write_and_rotate(datetime(2026, 11, 24, 3, tzinfo=UTC))
    assert written.rotated == [("c_server.json", "c-2026-11-24-2.json.gz")]
    assert (written.logs, written.lines) == (2, 11)
    assert (tmp_path / "c_server.json").read_bytes().startswith(b'{"timestamp": "2026-11-24T03:00:00,005Z"}\n')
    assert not (tmp_path / "c-2026-11-24-2.json").exists()


def test_a_thread_that_hangs_does_not_hold_up_the_end_of_a_command() -> None:
    script = (
        "import sys, threading\n"
        "from logkeep.__main__ import main\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "sys.argv = ['logkeep', '--version']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("logkeep ")
