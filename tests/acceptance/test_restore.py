"""A restore that is killed, and one whose service is: what comes in the end is byte for byte the same."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.cli.installed import COMMAND, Served, called, environment, init, serving, until

_LINES = 30_000
SPAN = ("--since", "2026-11-24T02:00", "--until", "2026-11-24T22:00")


def log(seed: int) -> bytes:
    """A day in some 7 MiB that do not compress well."""
    chance = random.Random(seed)
    return b"".join(
        b"[2026-11-24T%02d:%02d:%02d,%03d][INFO ] %s\n"
        % (at // 3600, at // 60 % 60, at % 60, n % 1000, chance.randbytes(110).hex().encode())
        for n in range(_LINES)
        for at in [n * 86400 // _LINES]
    )


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    for number in range(1, 5):
        (folder / f"es-2026-11-24-{number}.log").write_bytes(log(number))
    (folder / "es.log").write_bytes(log(0))
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, node: Path) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("kept") / "installation"
    init(directory)
    with serving(directory) as served:
        for command in (
            ["cluster", "add", "prod", "--node", f"n1={node}"],
            ["logs", "open", "prod"],
            ["backup", "prod", "--wait"],
        ):
            call(served, *command)
        yield served


def call(served: Served, *arguments: str) -> None:
    called(served.directory, *arguments).ended(0)


def start(served: Served, to: Path, *arguments: str) -> subprocess.Popen[bytes]:
    # What a shell without job control starts in the background ignores Ctrl-C, and so does all that is started there.
    command = ["env", "--default-signal=INT", *COMMAND, "--dir", str(served.directory), "restore", "prod"]
    command += ["--to", str(to), *arguments]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes], code: int = 0) -> tuple[bytes, bytes]:
    """What it said on standard output and standard error; checks the exit code, and that nobody sees a traceback."""
    out, err = process.communicate(timeout=120)
    assert b"Traceback" not in err
    assert process.returncode == code, err
    return out, err


def written(to: Path) -> int:
    sizes = [0]
    for path in to.rglob("*"):
        try:
            sizes.append(path.stat().st_size if path.suffix != ".jsonl" else 0)
        except FileNotFoundError:  # it has just got its own name
            continue
    return sum(sizes)


def end_at(process: subprocess.Popen[bytes], to: Path, size: int, number: signal.Signals) -> int:
    """Send the signal when so much is written; the exit code."""
    until(lambda: written(to) >= size or process.poll() is not None)
    process.send_signal(number)
    process.communicate(timeout=30)
    return process.returncode


def files_below(to: Path) -> dict[str, bytes]:
    return {str(path.relative_to(to)): path.read_bytes() for path in to.rglob("*") if path.is_file()}


def same(to: Path, whole: dict[str, bytes]) -> bool:
    """Whether nothing differs, and nothing is left over; without megabytes in a message."""
    found = files_below(to)
    return found.keys() == whole.keys() and all(found[name] == whole[name] for name in whole)


@pytest.mark.parametrize("arguments", [[], ["--join"], [*SPAN], ["--join", *SPAN]], ids=" ".join)
def test_killed_again_and_again_it_goes_on_where_it_was(
    served: Served, node: Path, tmp_path: Path, arguments: list[str]
) -> None:
    finish(start(served, tmp_path / "whole", *arguments))
    whole = files_below(tmp_path / "whole")
    if arguments == []:
        assert whole == {f"n1/{path.name}": path.read_bytes() for path in node.iterdir()}
    total, to, chance = written(tmp_path / "whole"), tmp_path / "out", random.Random(str(arguments))
    killed = 0
    for size in sorted(chance.randrange(1, total) for _ in range(4)):
        ended = end_at(start(served, to, *arguments, "--resume"), to, size, signal.SIGKILL)
        if same(to, whole):  # it was done, without its journal, before it could be killed
            shutil.rmtree(to)
        else:
            killed += ended == -signal.SIGKILL
    if not written(to):
        end_at(start(served, to, *arguments, "--resume"), to, 1, signal.SIGKILL)
    before = written(to)
    out, _ = finish(start(served, to, *arguments, "--resume", "--json"))
    assert killed >= 2, "it was never in the middle"
    assert before > 0
    assert same(to, whole)
    if arguments == []:
        assert f'"received": {total - before}'.encode() in out, "not a byte came twice"


def test_ctrl_c_says_how_to_go_on_and_a_backup_in_between_changes_nothing(
    served: Served, node: Path, tmp_path: Path
) -> None:
    before = {f"n1/{path.name}": path.read_bytes() for path in node.iterdir()}
    to = tmp_path / "out"
    for _ in range(20):  # it may be done before the signal comes
        process = start(served, to)
        until(lambda: written(to) > len(before["n1/es.log"]) or process.poll() is not None)  # noqa: B023
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        if process.returncode:
            break
        shutil.rmtree(to)
    assert process.returncode == 130
    assert b"--resume" in err and b"Traceback" not in err
    assert b"--resume" in finish(start(served, to), 2)[1], "without it what is there is refused"
    with (node / "es.log").open("ab") as out:
        out.write(log(7)[:10_000])
    call(served, "backup", "prod", "--wait")
    (node / "es.log").write_bytes(before["n1/es.log"])
    finish(start(served, to, "--resume"))
    assert same(to, before)


def test_without_resume_leftovers_are_not_used(served: Served, tmp_path: Path) -> None:
    to = tmp_path / "out"
    end_at(start(served, to, "--join"), to, 1_000_000, signal.SIGKILL)
    [part] = to.rglob("*.part")
    part.write_bytes(b"x" * 1000)
    finish(start(served, to, "--join"))
    assert not list(to.rglob(".*"))
    assert (to / "n1/es.log").read_bytes()[:1] == b"["


def test_part_that_is_something_elses_is_never_continued(served: Served, tmp_path: Path) -> None:
    to = tmp_path / "out"
    end_at(start(served, to, "--join"), to, 1_000_000, signal.SIGKILL)
    assert len(list(to.rglob("*.part"))) == 1
    finish(start(served, to, "--join", *SPAN, "--resume"))
    finish(start(served, tmp_path / "whole", "--join", *SPAN))
    assert (to / "n1/es.log").read_bytes() == (tmp_path / "whole/n1/es.log").read_bytes()


@pytest.mark.parametrize("arguments", [[], [*SPAN]], ids=" ".join)
def test_service_that_is_killed_and_started_again_is_waited_for(
    tmp_path: Path, node: Path, arguments: list[str]
) -> None:
    directory = tmp_path / "installation"
    init(directory)
    with serving(directory) as served:
        for command in (
            ["cluster", "add", "prod", "--node", f"n1={node}"],
            ["logs", "open", "prod"],
            ["backup", "prod", "--wait"],
        ):
            call(served, *command)
        finish(start(served, tmp_path / "whole", *arguments))
        port = urlsplit(served.endpoint).port
        to = tmp_path / "out"
        process = start(served, to, *arguments)
        until(lambda: written(to) > 3_000_000)
        served.end(signal.SIGKILL)
    with serving(directory, "--port", str(port)):
        assert finish(process)[1] == b""
    assert same(to, files_below(tmp_path / "whole"))
