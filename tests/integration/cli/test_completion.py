"""`completion`: which words are offered. tests/real/test_completion.py tries the scripts in the shells themselves."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logkeep.cli.app import COMMANDS, COMPLETING
from tests.integration.cli.installed import Done, Served, logkeep

Offered = Callable[..., list[str]]


@pytest.fixture
def offered(command: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> Offered:
    """The words that bash offers for the last one of these."""

    def call(*words: str | Path, shell: str = "bash") -> list[str]:
        with monkeypatch.context() as asking:
            asking.setenv(COMPLETING, shell)
            done = command(*words).ended(0)
        assert done.err == ""
        return done.out.splitlines()

    return call


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), list(COMMANDS)),
        (("hist",), ["histogram"]),
        (("nothing-of-this-name", ""), []),
        (("cluster", "re"), ["remove"]),
        (("--dir", "cluster", "logs", "o"), ["open"]),
        (("logs", "--dir", "cluster", "o"), ["open"]),
        (("--vers",), ["--version"]),
        (("status", "--vers"), []),
        (("status", "--deb"), ["--debug"]),
        (("histogram", "prod", "--ignore"), ["--ignore-case"]),
        (("histogram", "prod", "--by", ""), ["minute", "hour", "day"]),
        (("histogram", "prod", "--by=d"), ["day"]),
        (("histogram", "prod", "--by=day", "--no-"), ["--no-index"]),
        (("tasks", "--json", "--state", "s"), ["success"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("restore", "prod", "--to", ""), []),  # a directory, which the shell knows
        (("--dir", ""), []),
    ],
)
def test_the_words_that_may_follow_are_offered(offered: Offered, words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_other_shells_are_told_what_a_word_means(offered: Offered) -> None:
    assert offered("job", "canc", shell="zsh") == [
        "cancel:End a backup that waits, runs or hangs: FAIL, what it kept stays."
    ]
    assert offered("job", "canc", shell="fish") == [
        "cancel\tEnd a backup that waits, runs or hangs: FAIL, what it kept stays."
    ]
    assert offered("histogram", "prod", "--by=d", shell="zsh") == ["--by=day"]


def test_names_of_clusters_are_offered_where_one_may_stand(
    served: Served, tenant: Callable[..., Done], cluster: str, node: Path, offered: Offered
) -> None:
    for name in (f"{cluster} $(id)", f"{cluster}`id`", f"--{cluster}"):
        added = tenant("cluster", "add", "--node", f"n1={node}", "--", name)
        assert added.code == 0 or "name" in added.err
    for words in (("cluster", "show"), ("backup",), ("records",), ("search",), ("--json", "status")):
        expected = [] if "status" in words else [cluster]
        assert offered("--dir", served.directory, *words, cluster[:8]) == expected, words
        assert offered(*words, "--dir", served.directory, cluster[:8]) == expected, words
    assert offered("--dir", served.directory, "backup", cluster, "") == []


def test_nothing_is_said_and_nothing_waited_for_where_no_service_answers(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert completed("cluster", "show", "", directory=tmp_path).out == ""
    assert completed("clu", directory=tmp_path / "closed").out == "cluster\n"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        key: dict[str, Any] = {"LOGKEEP_ENDPOINT": endpoint, "LOGKEEP_AK": "ak", "LOGKEEP_SK": "sk"}
        began = time.monotonic()
        refused = completed("clu", directory=tmp_path, **key)  # to hold the start of a process against
        started = time.monotonic() - began
        assert refused.out == "cluster\n"
        began = time.monotonic()
        assert completed("cluster", "show", "", directory=tmp_path, **key).out == ""
        assert time.monotonic() - began < 10 + 5 * started  # the client's own bound is 60 s


def completed(*words: str, directory: Path, **more: str) -> Done:
    done = logkeep(*words, LOGKEEP_DIR=str(directory), **{COMPLETING: "bash"}, **more)
    assert (done.code, done.err) == (0, "")
    return done


def test_the_script_is_printed_or_given_as_json(command: Callable[..., Done]) -> None:
    for shell in ("bash", "zsh", "fish"):
        script = command("completion", shell).ended(0).out
        assert re.search(rf"{COMPLETING}={shell}", script)
        assert json.loads(command("completion", shell, "--json").ended(0).out) == {"shell": shell, "script": script}
    assert "'bash', 'zsh', 'fish'" in command("completion", "csh").ended(2).err
