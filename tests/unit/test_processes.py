"""How tests wait for what a program says."""

from __future__ import annotations

import sys
import time

import pytest

from tests.support.processes import running, started

SAYS_LATER = "import sys, time; print('a warning', flush=True); print('listens on x', flush=True); time.sleep(60)"
SAYS_NOTHING_OF_IT = "import time; print('a warning', flush=True); time.sleep(60)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_line_is_found_behind_others() -> None:
    with running(python(SAYS_LATER), r"listens on (\S+)", on="stdout") as program:
        assert program.found[1] == "x"
        assert program.said.lines == ["a warning\n", "listens on x\n"]
        assert program.said.wait_for("a warning")[0] == "a warning"


def test_a_line_that_never_comes_is_given_up_with_all_that_was_said() -> None:
    began = time.monotonic()
    silent = started(python(SAYS_NOTHING_OF_IT), on="stdout")
    with silent as (_, said), pytest.raises(AssertionError, match=r"not within 1 s.*\na warning"):
        said.wait_for("listens on", 1)
    assert time.monotonic() - began < 30


def test_a_program_that_ended_is_told_at_once() -> None:
    began = time.monotonic()
    program = running(python("print('no port')"), "listens on", on="stdout")
    with pytest.raises(AssertionError, match=r"it ended, without 'listens on'.*\nno port"), program:
        pass
    assert time.monotonic() - began < 30


def test_a_program_that_says_megabytes_is_not_held_up() -> None:
    with running(python("print('x' * 79, *['x' * 79] * 100_000, 'done', sep='\\n')"), "^done$", on="stdout") as program:
        assert program.process.wait(30) == 0
