"""Making an installation in a process that is killed before a given change of a file, or around a commit."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from logkeep.cli.app import run
from tests.integration.cli.installed import environment
from tests.support.crash_points import Points, watch_commits

# What `init` imports late: once, where the processes to be killed are made, and not in each of them.
for _late in ("alembic.command", "logkeep.cli.init", "logkeep.service.audit", "typer._adapters"):
    import_module(_late)
_CHANGES = {"os.mkdir", "os.rename", "os.link", "os.remove", "os.chmod", "sqlite3.connect"}


def init_until(directory: Path, fatal: int | None, report: Path) -> None:
    """Run `init` and die at the fatal point; without one, write down the points that were passed."""
    points = Points(fatal)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        written = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (written or event in _CHANGES) and str(arguments[0]).startswith(f"{directory}"):
            points(f"before {event} {Path(str(arguments[0])).name}")

    sys.addaudithook(watch)  # for good: this process does nothing else
    with watch_commits(points), patch.dict(os.environ, environment(), clear=True):
        code = run(["--dir", str(directory), "init"])
    report.write_text("\n".join(points.passed), encoding="utf-8")
    sys.exit(code)
