"""Programs that tests start: what they say is read as it comes, and all that is waited for has a bound."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal

START_SECONDS = 60.0
END_SECONDS = 30.0


class Said:
    """The lines of a pipe, read by a thread: a pipe that is full would stop the program."""

    def __init__(self, pipe: IO[str]) -> None:
        self.lines: list[str] = []  # so far
        self._pipe = pipe
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._follow, name="said", daemon=True)
        self._thread.start()

    def wait_for(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """Where the pattern is found first, in whichever line; other lines may come before it."""
        end, looked_at = time.monotonic() + seconds, 0
        while True:
            lines, ended = self._more_than(looked_at, end)
            for line in lines[looked_at:]:
                if found := re.search(pattern, line):
                    return found
            looked_at = len(lines)
            if ended or time.monotonic() >= end:
                how = "it ended" if ended else f"not within {seconds:g} s"
                raise AssertionError(f"{how}, without {pattern!r} among what it said:\n{''.join(lines)}")

    def all(self, seconds: float = END_SECONDS) -> str:
        """Whatever it says until it closes the pipe."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"not at its end within {seconds:g} s:\n{''.join(self.lines)}"
        return "".join(self.lines)

    def _more_than(self, number: int, end: float) -> tuple[list[str], bool]:
        """The lines once there are more than so many, and whether no more will come."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self.lines) > number or self._ended, timeout=max(0.0, end - time.monotonic())
            )
            return list(self.lines), self._ended

    def _follow(self) -> None:
        with self._pipe:
            for line in self._pipe:
                self._note(line)
        self._note(None)

    def _note(self, line: str | None) -> None:
        with self._changed:
            if line is None:
                self._ended = True
            else:
                self.lines.append(line)
            self._changed.notify_all()


@contextmanager
def started(
    command: Sequence[Any], *, on: Literal["stdout", "stderr"] = "stderr", **options: Any
) -> Iterator[tuple[subprocess.Popen[str], Said]]:
    """Start a program, and read what it says `on` one of its pipes; killed at the end."""
    process = subprocess.Popen(list(map(str, command)), text=True, **{on: subprocess.PIPE, **options})
    pipe = process.stderr if on == "stderr" else process.stdout
    assert pipe
    said = Said(pipe)
    try:
        yield process, said
    finally:
        process.kill()  # nothing is done where it has ended
        process.wait(END_SECONDS)
        said.all()


@dataclass
class Running:
    """A program that has said that it is ready."""

    process: subprocess.Popen[str]
    said: Said
    found: re.Match[str]  # what it said of being ready


@contextmanager
def running(
    command: Sequence[Any],
    ready: str,
    *,
    on: Literal["stdout", "stderr"] = "stderr",
    seconds: float = START_SECONDS,
    **options: Any,
) -> Iterator[Running]:
    """Start a program, and wait until one of its lines has the pattern `ready`; killed at the end."""
    with started(command, on=on, **options) as (process, said):
        yield Running(process, said, said.wait_for(ready, seconds))
