"""What logkeep.toml names and is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from logkeep.cli.missing import tell_missing
from logkeep.settings import load_settings


@pytest.mark.parametrize(("number", "told"), [(99, False), (120, True)])
def test_roots_that_were_not_looked_at_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, told: bool
) -> None:
    (tmp_path / "buckets" / "logs").mkdir(parents=True)
    roots = ", ".join(f'"/absent/{at}"' for at in range(number))
    (tmp_path / "logkeep.toml").write_text(f"[buckets.logs]\n[sources]\nroots = [{roots}]\n")
    tell_missing(load_settings(tmp_path, {}))
    said = capsys.readouterr().err
    assert said.count("/absent/") in {9, 10}
    assert ("only 100 of 121 buckets and roots were looked at" in said) is told
