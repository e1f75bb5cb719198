"""What a person sees on a terminal: tables with rules, progress, a question before something is forgotten."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.integration.cli.installed import COMMAND, Done, Served, environment
from tests.support.processes import START_SECONDS


def on_terminal(served: Served, *arguments: str, answer: str = "", columns: int = 100) -> tuple[int, str]:
    """Exit code and all that a terminal was sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--dir", str(served.directory), *arguments],
        env=environment(TERM="xterm", COLUMNS=str(columns)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    sent = b""
    try:
        while select.select([ours], [], [], START_SECONDS)[0] and (piece := os.read(ours, 65536)):
            sent += piece
    except OSError:  # how Linux says that nobody has the terminal open any more
        pass
    os.close(ours)
    return process.wait(60), sent.decode()


def test_a_backup_and_its_table(served: Served, tenant: Callable[..., Done], opened: str) -> None:
    code, sent = on_terminal(served, "backup", opened, "--wait")
    assert code == 0
    assert f"backup of {opened} succeeded" in sent
    code, sent = on_terminal(served, "records", opened)
    assert code == 0
    assert "───" in sent
    assert "SUCCESS" in sent


def test_a_restore_shows_how_far_it_is(
    served: Served, tenant: Callable[..., Done], opened: str, node: Path, tmp_path: Path
) -> None:
    (node / "prod.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 500_000)
    tenant("backup", opened, "--wait").ended(0)
    code, sent = on_terminal(served, "restore", opened, "--to", str(tmp_path / "out"))
    assert code == 0
    assert re.search(r"restoring n1/\S+ +\S+ +[\d.]+/19\.1 MiB +[\d.]+ MiB/s \d:\d\d:\d\d", sent), sent
    assert "restored 3 files, 19.1 MiB" in sent


def test_a_bar_tells_how_far_a_backup_is(served: Served, tenant: Callable[..., Done], opened: str, node: Path) -> None:
    for number in range(1, 9):
        lines = (b"[2026-11-24T00:00:00,000][INFO ] %d %d\n" % (number, n * 7919) for n in range(200_000))
        (node / f"prod-2026-11-24-{number}.log").write_bytes(b"".join(lines))
    code, sent = on_terminal(served, "backup", opened, "--wait")
    assert code == 0
    assert f"backing up {opened} n1" in sent
    assert re.search(r"\d\.\d/\d+\.\d MiB", sent)
    assert re.search(r"iB/s", sent)


def test_nothing_is_forgotten_without_an_answer(served: Served, tenant: Callable[..., Done], cluster: str) -> None:
    code, sent = on_terminal(served, "cluster", "remove", cluster, answer="n\n")
    assert code == 2
    assert "nothing was changed" in sent
    code, _ = on_terminal(served, "cluster", "remove", cluster, answer="\x04")
    assert code == 1
    tenant("cluster", "show", cluster).ended(0)
    code, sent = on_terminal(served, "cluster", "remove", cluster, answer="y\n")
    assert (code, "is forgotten" in sent) == (0, True)
