"""The simulated year of `benchmarks.year`, small: what was sown is told, and every line is kept or told as a gap."""

from __future__ import annotations

from pathlib import Path

from benchmarks.year import Year
from benchmarks.year_nodes import Failure
from benchmarks.year_worker import Options

DAYS, CLUSTERS, SEED = 18, 3, 6  # in which each kind of failure happens, and one node is away until it has deleted


def test_each_failure_is_told_and_each_line_kept_or_told_as_a_gap(tmp_path: Path) -> None:
    year = Year(Options(tmp_path / "year", CLUSTERS, DAYS, SEED, lines=8, processes=0, measured=(DAYS,), keep_days=6))
    figures = year.run(lambda _line: None)
    assert year.problems == []
    assert set(year.sown) == {"missed", *(failure.value for failure in Failure if failure)}
    assert year.told_missed() == year.sown["missed"]
    assert year.told_gaps() > 0
    assert year.told.keys() >= {"backup_failed", "backup_recovered", "lines_lost"}
    assert year.removed > 0
    assert figures[DAYS]["records"] == year.jobs == CLUSTERS * (DAYS - 2)  # none on the first day, nor on one away
    year.close()
