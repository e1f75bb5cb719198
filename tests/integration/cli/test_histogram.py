"""`histogram`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.integration.cli.installed import Done

Command = Callable[..., Done]


def test_counts_are_drawn_in_80_columns(tenant: Command, opened: str, node: Path) -> None:
    lines = [
        f"[2026-11-24T{at // 60:02}:{at % 60:02}:00,000][{'ERROR' if at % 50 == 0 else 'INFO '}][a] event {at}\n"
        for at in range(130)
    ]
    (node / "prod.log").write_text("".join(lines))
    assert "is kept yet" in tenant("histogram", opened).ended(0).err
    tenant("backup", opened, "--wait").ended(0)
    done = tenant("histogram", opened, "--family", "prod.log").ended(0)
    printed = done.out.splitlines()
    assert [line.split("  ")[0] for line in printed] == ["2026-11-24T00", "2026-11-24T01", "2026-11-24T02"]
    assert printed[0].endswith("#  ERROR 2, INFO 58") and max(map(len, printed)) <= 80
    assert "130 records" in done.err
    told = tenant("histogram", opened, "--family", "prod.log", "--by", "day", "--text", "event 1", "--json").ended(0)
    assert json.loads(told.out) == {
        "buckets": [{"time": "2026-11-24", "levels": {"ERROR": 1, "INFO": 40}}],
        "completed": True,
    }
    assert "--by" in tenant("histogram", opened, "--by", "week").ended(2).err
    assert "n1" in tenant("histogram", opened, "--node", "n9").ended(2).err
