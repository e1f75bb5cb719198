"""An installation in a folder, its service as a process of its own, and the command line as a user has it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from logkeep.cli.app import run
from tests.support.processes import END_SECONDS, running

CONFIGURATION = """\
[records]
running_visible_seconds = 0

[backup]
poll_seconds = 0.05

[buckets.logs]
"""
COMMAND = (sys.executable, "-m", "logkeep")


def environment(**more: str) -> dict[str, str]:
    """The environment without what is meant for another Logkeep."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGKEEP_")}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[3]), "NO_COLOR": "1", **more}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def ended(self, code: int) -> Done:
        """Checks the exit code, and that no user ever sees a traceback."""
        assert "Traceback" not in self.err, self.err
        assert self.code == code, f"exit {self.code}\n{self.out}\n{self.err}"
        return self


def logkeep(*arguments: str | Path, **more: str) -> Done:
    """Run a command to its end, as a process."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        check=False,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def called(directory: Path, *arguments: str | Path) -> Done:
    """Run a command on an installation to its end, in this process, which is much quicker; its JSON with --json."""
    with (
        patch.dict(os.environ, environment(), clear=True),
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        code = run(["--dir", str(directory), *map(str, arguments)])
    return Done(code, out.getvalue(), err.getvalue())


@dataclass
class Served:
    """A running `logkeep serve`."""

    directory: Path
    process: subprocess.Popen[str]
    endpoint: str
    log: list[str]  # the lines that it said on standard error, so far

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)


def init(directory: Path, configuration: str = CONFIGURATION) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "logkeep.toml").write_text(configuration, encoding="utf-8")
    called(directory, "init").ended(0)


@contextmanager
def serving(
    directory: Path, *arguments: str, wrapper: Sequence[str] = (), command: Sequence[str] = COMMAND, **more: str
) -> Iterator[Served]:
    """Start the service, by a wrapper that executes it, and wait for the line that says where it listens."""
    started = running(
        [*wrapper, *command, "--dir", directory, "serve", *(arguments or ("--port", "0"))],
        r"listens on (\S+)",
        env=environment(**more),
    )
    with started as service:
        yield Served(directory, service.process, service.found[1], service.said.lines)


def until(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
