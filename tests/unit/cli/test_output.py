"""Tables on a terminal: what can be copied is never folded."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.cli.output import print_table

_WORDS = st.text(st.sampled_from("abcdefghij0123456789-_./:"), min_size=1, max_size=60)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(heads: list[str], rows: list[list[str]], width: int) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setenv("NO_COLOR", "1")
        patch.setattr("sys.stdout", terminal := Terminal())
        print_table(heads, rows)
    return re.sub(r"\x1b\[\d*m", "", terminal.getvalue()).splitlines()


@given(st.integers(20, 200), st.lists(st.lists(_WORDS, min_size=4, max_size=4), min_size=1, max_size=4))
def test_every_cell_is_whole_in_one_line(width: int, rows: list[list[str]]) -> None:
    lines = shown(["AK", "PROJECT", "OBJECT", ""], rows, width)
    for row in rows:
        assert all(any(cell in line for line in lines) for cell in row)


def test_what_fits_is_a_table_and_what_does_not_is_one_block_a_row() -> None:
    rows = [["LK" + "A" * 18, "p" * 30, "operator", ""]]
    heads = ["AK", "PROJECT", "ROLE", "UNTIL"]
    assert shown(heads, rows, 80)[0].split() == heads
    assert shown(heads, rows, 60) == [f"AK: {rows[0][0]}", f"  PROJECT: {'p' * 30}  ROLE: operator"]
