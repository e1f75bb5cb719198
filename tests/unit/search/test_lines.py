"""Lines that contain a text, in a log that comes in pieces."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.logformat.lines import read_head
from logkeep.search import lines
from logkeep.search.lines import LONGEST, Line, LineSearch
from logkeep.search.pattern import Pattern, compile_pattern

WORDS = st.lists(
    st.sampled_from(
        [
            b"needle",
            b"Needle",
            b"nee",
            b"dle",
            b"\n",
            b"\n",
            b"[2026-11-24T06:40:21,123][INFO ] ",
            b"\tat a.b(C.java)",
            b"x",
        ]
    ),
    max_size=40,
).map(b"".join)


def found(text: bytes, log: bytes, cuts: list[int], *, ignore_case: bool = False) -> list[Line]:
    return found_of(compile_pattern(text.decode(), regex=False, ignore_case=ignore_case), log, cuts)


def found_of(pattern: Pattern, log: bytes, cuts: list[int]) -> list[Line]:
    places = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]
    search, counting = LineSearch(pattern), LineSearch(pattern, count=True)
    hits = [line for a, b in itertools.pairwise(places) for line in search.feed(a, log[a:b])]
    hits += search.finish()
    counted = [line for a, b in itertools.pairwise(places) for line in counting.feed(a, log[a:b])]
    assert not [*counted, *counting.finish()]
    assert (counting.counted, counting.partly) == (len(hits), search.partly)
    return hits


def obvious(text: bytes, log: bytes, *, ignore_case: bool = False) -> list[tuple[int, bytes, str]]:
    """Each line by itself; its time is that of the last line before that has one."""
    hits: list[tuple[int, bytes, str]] = []
    at, time = 0, ""
    for line in log.split(b"\n"):
        head = read_head(line[:256])
        time = head.time if head else time
        if re.search(re.escape(text), line, re.IGNORECASE if ignore_case else 0):
            hits.append((at, line, time))
        at += len(line) + 1
    return hits


@settings(max_examples=400, deadline=None)
@given(WORDS, st.lists(st.integers(0, 300), max_size=6), st.sampled_from([b"needle", b"n", b"dle"]), st.booleans())
def test_the_lines_are_those_of_a_plain_search_wherever_the_log_is_cut(
    log: bytes, cuts: list[int], text: bytes, ignore_case: bool
) -> None:
    hits = found(text, log, cuts, ignore_case=ignore_case)
    assert [(hit.at, hit.text, hit.head.time if hit.head else "") for hit in hits] == obvious(
        text, log, ignore_case=ignore_case
    )
    assert not any(hit.cut for hit in hits)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 120), st.booleans()), min_size=1, max_size=4),
    st.lists(st.integers(0, 500), max_size=8),
)
def test_of_a_long_line_the_beginning_is_shown(sizes: list[tuple[int, bool]], cuts: list[int]) -> None:
    head = b"[2026-11-24T06:40:21,123][INFO ] "
    log = b"\n".join(head + b"x" * size + (b"needle" if hit else b"") + b"y" * size for size, hit in sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LONGEST", 40)
        patch.setattr(lines, "_HELD", 50)
        hits = found(b"needle", log, cuts)
    wanted = obvious(b"needle", log)
    assert [(hit.at, hit.text) for hit in hits] == [(at, line[:40]) for at, line, _ in wanted]
    assert [hit.cut for hit in hits] == [len(line) > 40 for _, line, _ in wanted]
    assert all(hit.head for hit in hits)


REGEXES = [
    r"ne+dle",
    r"^\[.*INFO",
    r"(need|x)le$",
    r"e\s*x",
    r"[^x]e\b",
    r"\bx+\b",
    r"\b",
    "(?i)N.*E",
    r"(?:dle|nee)+x",
]


@settings(max_examples=600)
@given(WORDS, st.lists(st.integers(0, 300), max_size=6), st.sampled_from(REGEXES))
def test_a_regular_expression_is_held_against_each_line_wherever_the_log_is_cut(
    log: bytes, cuts: list[int], regex: str
) -> None:
    hits = found_of(compile_pattern(regex, regex=True, ignore_case=False), log, cuts)
    at, wanted = 0, list[tuple[int, bytes]]()
    for line in log.split(b"\n"):
        wanted += [(at, line)] if re.search(regex.encode(), line) else []
        at += len(line) + 1
    assert [(hit.at, hit.text) for hit in hits] == wanted


def test_of_a_long_line_a_regular_expression_sees_the_beginning_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "_HELD", 50)
    search = LineSearch(compile_pattern("a+b|x$", regex=True, ignore_case=False))
    log = b"ab" + b"x" * 98 + b"\n" + b"x" * 100 + b"ab\n" + b"ab\n"
    hits = [line for at in range(0, len(log), 10) for line in search.feed(at, log[at : at + 10])]
    assert ([hit.at for hit in [*hits, *search.finish()]], search.partly) == ([0, 204], 1)
    whole = LineSearch(compile_pattern("a+b|x$", regex=True, ignore_case=False))
    assert ([hit.at for hit in whole.feed(0, log)], whole.partly) == ([0, 101, 204], 0)


def test_what_lies_between_two_pieces_joins_nothing() -> None:
    search = LineSearch(compile_pattern("needle", regex=False, ignore_case=False))
    assert [*search.feed(0, b"[2026-11-24T06:40:21,123][INFO ] a nee")] == []
    assert [*search.feed(500, b"dle\nneedle\n")] == [Line(504, b"needle", False, None)]


def test_case_is_that_of_ascii_alone() -> None:
    assert found(b"k", "\u212a K".encode() + b"\n", [], ignore_case=True)[0].at == 0
    assert found(b"k", "\u212a".encode() + b"\n", [], ignore_case=True) == []
    assert LONGEST == 65536
