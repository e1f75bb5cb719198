"""The help of every command, at the width of a terminal of 80 columns."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from logkeep.cli import app
from tests.conftest import Golden

ENVIRONMENT = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def commands() -> Iterator[tuple[str, ...]]:
    """Every command, and every group before what is in it."""
    yield ()
    for name in app.COMMANDS:
        yield (name,)
        yield from ((name, inner) for inner in getattr(app.load_command(name), "commands", {}))


def help_of(path: tuple[str, ...]) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with (
        patch.dict(os.environ, kept | ENVIRONMENT, clear=True),
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        code = app.run([*path, "--help"])
    assert (code, err.getvalue()) == (0, "")
    return out.getvalue()


def test_no_short_help_is_cut_off() -> None:
    lines = [line for path in commands() for line in help_of(path).splitlines()]
    assert [line for line in lines if line.endswith(("...", "…")) and not line.startswith("Usage: ")] == []


def test_help_of_every_command_is_this(golden: Golden) -> None:
    texts = (f"$ logkeep {' '.join((*path, '--help'))}\n{help_of(path)}" for path in commands())
    lines = (line.rstrip() for text in texts for line in text.splitlines())
    golden("help.txt", "\n".join(lines) + "\n")
