"""Processes that are forked where what they need is imported already, for tests that start and kill many.

A start of the service takes 1.7 s of a processor, and 1.4 s of that are imports.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

from logkeep.__main__ import main
from tests.support.processes import END_SECONDS, Said

PROCESSES = multiprocessing.get_context("forkserver")
# Of one list for all tests of a process: there is one server, and the last list that it is given counts.
PROCESSES.set_forkserver_preload(["tests.support.init_points", "tests.support.forks", "logkeep.cli.application"])


class Forked:
    """As much of a `subprocess.Popen` as tests use."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str]) -> None:
        reader, writer = PROCESSES.Pipe(duplex=False)
        with reader, writer:
            self._process = PROCESSES.Process(target=_run, args=(arguments, environment, writer))
            self._process.start()
            self.stderr = os.fdopen(os.dup(reader.fileno()))
        self.pid = self._process.pid or 0

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("logkeep", timeout or 0)
        return code


def _run(arguments: Sequence[str], environment: dict[str, str], stderr: Connection) -> None:
    """What `python -m logkeep` does, in a process of its own."""
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["logkeep", *arguments]
    main()


@contextmanager
def forked(arguments: Sequence[str], environment: dict[str, str]) -> Iterator[tuple[Forked, Said]]:
    """Start `logkeep` so, and read what it says on standard error; killed at the end."""
    process = Forked(arguments, environment)
    said = Said(process.stderr)
    try:
        yield process, said
    finally:
        process.kill()
        process.wait(END_SECONDS)
        said.all()
