"""`make bench`: what it prints and writes, and that it judges rightly."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import archive, logs, month, run, search
from benchmarks.logs import enlarge
from benchmarks.result import Result, judge, not_measured


def test_bench_prints_a_table_and_writes_it_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run.main(["signature"])
    [row] = json.loads((tmp_path / "build" / "bench.json").read_text("utf-8"))
    assert set(row) == {"name", "value", "unit", "against", "ratio", "goal", "met"}
    assert "verify a signature" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "ratio", "goal", "met"),
    [
        (151.0, None, "<= 150 MiB", False),
        (149.0, None, "<= 150 MiB", True),
        (1.0, 0.81, ">= 0.8", True),
        (1.0, 0.79, ">= 0.8", False),
        (1.0, 0.79, "", None),
    ],
)
def test_goal_with_a_unit_is_for_the_value_and_one_without_for_the_ratio(
    value: float, ratio: float | None, goal: str, met: bool | None
) -> None:
    assert judge("x", value, "MiB", goal, ratio=ratio).met is met


def test_what_is_not_measured_has_a_row_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run.report({"x": lambda: [not_measured("x", "not installed: apt-get install x", ">= 3")]}, tmp_path / "x.json")
    assert "not installed: apt-get install x" in capsys.readouterr().out


def test_enlarged_logs_are_lines_of_real_ones_and_repeat_no_long_piece(tmp_path: Path) -> None:
    [file] = enlarge(tmp_path, 20 * 1024 * 1024)
    data = file.read_bytes()
    assert len(data) == 20 * 1024 * 1024
    pieces = [data[at : at + 2000] for at in range(0, len(data) - 2000, 1_000_000)]
    assert all(data.count(piece) == 1 for piece in pieces)


@contextmanager
def scratch(parent: Path) -> Generator[Path]:
    with tempfile.TemporaryDirectory(dir=parent) as temporary:
        yield Path(temporary)


@pytest.mark.parametrize(
    "measure", [archive.first_backup, archive.nothing_new, archive.many_files, archive.small_files, archive.memory]
)
def test_each_measurement_of_backups_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measure: Callable[[], list[Result]]
) -> None:
    """Whatever it comes to with so little to do: it is not seen otherwise before somebody measures."""
    small = {
        "_FIRST_BYTES": 2**20,
        "_HUGE_BYTES": 2**20,
        "_FILES": 50,
        "_MANY_FILES": 60,
        "_SMALL_FILES": 50,
        "_ROUNDS": 1,
    }
    for name, value in small.items():
        monkeypatch.setattr(archive, name, value)
    monkeypatch.setattr(archive, "scratch", lambda: scratch(tmp_path))
    monkeypatch.setattr(archive, "find_program", lambda _name: None)
    assert all(one.value is not None or "not installed" in one.against for one in measure())


def test_measurement_of_search_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_BYTES": 2**20, "_ROUNDS": 1, "_NEEDLES": 1, "_LIMIT": 10}.items():
        monkeypatch.setattr(search, name, value)
    monkeypatch.setattr(month, "DAYS", 1)
    monkeypatch.setattr(logs, "_POOL_BYTES", 2**17)
    monkeypatch.setattr(search, "scratch", lambda: scratch(tmp_path))
    monkeypatch.setattr(search, "find_program", lambda _name, _package="": None)
    rows = search.search()
    assert all(row.value is not None or "not installed" in row.against for row in rows)
    assert {row.name for row in rows} >= {"index built, a core; no ids", "search, first hit; ids in every line"}
