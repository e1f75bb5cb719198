"""Every line of a node is in the archive once and in order, or told as a gap, however often the service is killed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.long_run import run_long

_REPORT = Path(__file__).parents[2] / "build" / "long_run.json"


def _run(folder: Path, lines: int, kills: int, rotations: int) -> None:
    asked = [
        int(os.environ.get(f"LOGKEEP_TEST_{name}", usual))
        for name, usual in (("SEED", 1), ("LINES", lines), ("KILLS", kills), ("ROTATIONS", rotations))
    ]
    figures = run_long(*asked, folder)
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_text(json.dumps(asdict(figures), indent=1), encoding="utf-8")
    print(json.dumps(asdict(figures)))
    assert not figures.faults, figures
    assert figures.lines >= asked[1] and figures.kills >= asked[2] and figures.rotations >= asked[3]


@pytest.mark.real
@pytest.mark.timeout(900)
def test_every_line_is_kept_once_or_told_as_a_gap_through_30_kills(tmp_path: Path) -> None:
    _run(tmp_path, 1_000_000, 30, 100)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_every_line_is_kept_once_or_told_as_a_gap_through_1000_kills(tmp_path: Path) -> None:
    _run(tmp_path, 10_000_000, 1000, 1000)
