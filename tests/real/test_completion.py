"""Completion as a person has it: the key Tab in bash and zsh on a terminal, and what fish offers."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.cli.installed import called, environment, init, logkeep, serving
from tests.real.servers import need_command, need_package

pytestmark = pytest.mark.real

SECONDS, TRIES = (
    60.0,
    3,
)  # for a word, on a machine that does much else: names that take longer than a second are left out
# What is typed before Tab, and the line that stands there then.
LINES = [
    ("logkeep histo", "logkeep histogram "),
    ("logkeep cluster upd", "logkeep cluster update "),
    ("logkeep tasks --st", "logkeep tasks --state "),
    ("logkeep histogram x --by=d", "logkeep histogram x --by=day "),
    ("logkeep backup pro", "logkeep backup prod "),
    ("logkeep restore prod --to notes-f", "logkeep restore prod --to notes-for-tests/"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a command `logkeep`, an installation of one cluster that is served, and a folder."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "logkeep").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m logkeep "$@"\n')
    (folder / "logkeep").chmod(0o755)
    (folder / "notes-for-tests").mkdir()
    init(folder / "logkeep-data")
    with serving(folder / "logkeep-data"):
        called(folder / "logkeep-data", "cluster", "add", "prod", "--node", f"n1={folder / 'notes-for-tests'}").ended(0)
        yield folder


class Terminal:
    """A shell on a terminal."""

    def __init__(self, screen: int) -> None:
        self._screen = screen
        self._sent = ""

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def wrote(self, text: str, seconds: float = SECONDS) -> bool:
        """Whether the shell writes this within a time; what it wrote so far is forgotten then."""
        end = time.monotonic() + seconds
        while text not in self._plain() and (left := end - time.monotonic()) > 0:
            if select.select([self._screen], [], [], left)[0]:
                self._sent += os.read(self._screen, 65536).decode(errors="replace")
        found = text in self._plain()
        self._sent = ""
        return found

    def _plain(self) -> str:
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self._sent)


@contextmanager
def shell(place: Path, *command: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=place,
        env=shell_environment(place),
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
        os.close(ours)


def shell_environment(place: Path) -> dict[str, str]:
    path = f"{place}:{os.environ['PATH']}"
    return environment(PATH=path, HOME=str(place), TERM="dumb", PS1="$ ", COLUMNS="80", LC_ALL="C.UTF-8")


def complete_all(terminal: Terminal, begin: str, lines: Sequence[tuple[str, str]] = LINES) -> None:
    terminal.type(f"{begin}; echo rea''dy\n")
    assert terminal.wrote("ready")
    for typed, completed in lines:
        assert any(completes(terminal, typed, completed) for _ in range(TRIES)), typed


def completes(terminal: Terminal, typed: str, completed: str) -> bool:
    terminal.type(f"{typed}\t")
    found = terminal.wrote(completed, SECONDS / TRIES)
    terminal.type("\x15")  # Ctrl-U: the line is forgotten
    return found


def test_bash_completes_at_tab(place: Path) -> None:
    with shell(place, need_command("bash", "bash"), "--norc", "--noprofile", "-i") as terminal:
        complete_all(terminal, "source <(logkeep completion bash)")


def test_bash_loads_the_script_from_the_file_where_its_package_looks(place: Path) -> None:
    library = Path("/usr/share/bash-completion/bash_completion")
    if not library.exists():
        need_package("bash-completion")
    script = place / ".local/share/bash-completion/completions/logkeep"
    script.parent.mkdir(parents=True)
    script.write_text(logkeep("completion", "bash").ended(0).out)
    with shell(place, need_command("bash", "bash"), "--norc", "--noprofile", "-i") as terminal:
        complete_all(terminal, f"source {library}", LINES[:1])


def test_zsh_completes_at_tab(place: Path) -> None:
    with shell(place, need_command("zsh", "zsh"), "-f", "-i") as terminal:
        complete_all(terminal, "autoload -U compinit; compinit -u -D; source <(logkeep completion zsh)")


def test_zsh_loads_the_script_from_a_file(place: Path) -> None:
    (place / "functions").mkdir()
    (place / "functions" / "_logkeep").write_text(logkeep("completion", "zsh").ended(0).out)
    with shell(place, need_command("zsh", "zsh"), "-f", "-i") as terminal:
        complete_all(terminal, "fpath+=~/functions; autoload -U compinit; compinit -u -D", LINES[:1])


def test_fish_offers_words_and_what_they_mean(place: Path) -> None:
    script = place / ".config/fish/completions/logkeep.fish"
    script.parent.mkdir(parents=True)
    script.write_text(logkeep("completion", "fish").ended(0).out)
    for typed, completed in LINES:
        assert any(fish_offers(place, typed) == completed.split()[-1] for _ in range(TRIES)), typed


def fish_offers(place: Path, typed: str) -> str:
    """The one word that fish offers; '' where that is another number."""
    done = subprocess.run(
        [need_command("fish", "fish"), "-c", f'complete --do-complete "{typed}"'],
        cwd=place,
        env=shell_environment(place),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    words = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    return words[0] if len(words) == 1 else ""
