"""What a line must contain: texts and regular expressions, against Python's own."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from logkeep.errors import InvalidField
from logkeep.search.pattern import compile_pattern

LINES = st.lists(
    st.text(st.sampled_from("abABkK01 .-\t[\u212aſé中"), max_size=12).map(str.encode), min_size=1, max_size=6
)

# What RE2 and Python understand alike, of bytes: parts of which each is an expression.
ATOMS = st.sampled_from(
    [
        *("a", "b", "k", "K", "0", "1", r"\.", r"\[", ".", "-", " ", r"\t", "ab", "bk0", r"\x61", "(?:)", "[a]"),
        *("[ab]", "[^a]", "[kK]", "[a-k]", "[^0-9 ]", r"\d", r"\D", r"\w", r"\W", r"[\s0]", "^", "$", r"\b", r"\A"),
    ]
)
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?"])


def _put_together(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    groups = st.tuples(st.sampled_from(["(", "(?:", "(?i:"]), inner).map(lambda both: f"{both[0]}{both[1]})")
    return st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.tuples(groups, REPEATS).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda some: f"({'|'.join(some)})"),
    )


def _repeated(both: tuple[str, str]) -> str:
    atom, repeat = both
    return f"(?:{atom}){repeat}" if repeat else atom


REGEXES = st.recursive(st.tuples(ATOMS, REPEATS).map(_repeated), _put_together, max_leaves=8)


def matching(regex: str, data: bytes, *, ignore_case: bool = False, is_regex: bool = True) -> list[int]:
    """The numbers of the lines that match, asked as a search does: from behind each line that did."""
    pattern = compile_pattern(regex, regex=is_regex, ignore_case=ignore_case)
    numbers, at = list[int](), 0
    while (found := pattern.find(data, at, len(data))) >= 0:
        assert at <= found <= len(data)
        numbers.append(data.count(b"\n", 0, found))
        stop = data.find(b"\n", found)
        at = len(data) if stop < 0 else stop + 1
    return numbers


@settings(max_examples=800)
@given(REGEXES, LINES, st.booleans(), st.booleans())
def test_the_lines_are_those_that_python_finds(regex: str, lines: list[bytes], ignore_case: bool, ended: bool) -> None:
    if not all(line.isascii() for line in lines) and re.search(r"\.|\^|\\[DWb]", regex):
        lines = [line.decode().encode("ascii", "ignore") for line in lines]  # Python takes bytes for characters
    oracle = re.compile(regex.encode(), re.IGNORECASE if ignore_case else 0)
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    try:
        pattern = compile_pattern(regex, regex=True, ignore_case=ignore_case)
    except InvalidField as error:
        event(str(error)[:60])
        assert "empty line" in str(error) or "across" in str(error)
        assert "across" in str(error) or oracle.search(b"")
        return
    wanted = [number for number, line in enumerate(lines) if oracle.search(line)]
    assert matching(regex, data, ignore_case=ignore_case) == wanted
    event(f"{len(wanted) > 0} {len(pattern.literals)}")
    for number in wanted:
        assert all(literal.lower() in lines[number].lower() for literal in pattern.literals)


@settings(max_examples=500)
@given(st.text(st.sampled_from("abkK0.[\\é中\u212a"), min_size=1, max_size=4), LINES, st.booleans())
def test_a_text_is_taken_as_it_is(text: str, lines: list[bytes], ignore_case: bool) -> None:
    needle, data = text.encode(), b"\n".join(lines)
    wanted = [
        number
        for number, line in enumerate(lines)
        if (needle.lower() in line.lower() if ignore_case else needle in line)
    ]
    assert matching(text, data, ignore_case=ignore_case, is_regex=False) == wanted
    pattern = compile_pattern(text, regex=False, ignore_case=ignore_case)
    assert (pattern.literals, pattern.longest) == ((needle,), len(needle))


@pytest.mark.parametrize("ignore_case", [True, False])
def test_a_text_is_found_far_and_near(ignore_case: bool) -> None:
    pattern = compile_pattern("[needle.", regex=False, ignore_case=ignore_case)
    for at in (0, 1, 4080, 4090, 4096, 4100, 9000, 100_000):
        data = b"x" * at + b"[needle." + b"[nee\n"
        assert [pattern.find(data, 0, len(data)), pattern.find(data, at, at + 8)] == [at, at]
        assert [pattern.find(data, 0, at + 7), pattern.find(data, at + 1, len(data))] == [-1, -1]


@pytest.mark.parametrize(
    ("regex", "literals"),
    [
        ("master not discovered", ["master not discovered"]),
        (r"took\[\d+ms\].*index", ["index", "took[", "ms]"]),
        ("(ERROR|WARN) .*timeout", ["timeout", " "]),
        ("(timeout after|timeout) 5s", ["timeout", " 5s"]),
        ("a|b", []),
        ("(abc)?def*", ["de"]),
        ("(abc)+d{3}", ["abc", "ddd"]),
        ("x{2}y{2,}z{0,2}", ["xx", "yy"]),
        ("(?i)Failed", ["failed"]),
        ("a(?i)B(?-i)C", ["abC"]),
        ("(?i:a)B", ["aB"]),
        ("[Ff]ailed[.]", ["failed."]),
        (r"\Qa.b*\E+c\x64\.\x{4e2d}", ["cd.中", "a.b", "*"]),
        (r"^foo\b bar$", ["foo bar"]),
        ("(a|b\nc)", ["a"]),
        (r"\x{d800}a|\x{d800}a", ["a"]),
        ("(?P<node>n1)-(?<x>2)", ["n1-2"]),
        ("a{,3}{", ["a{,3}{"]),
        ("[[:alpha:]]b[]c]", ["b"]),
    ],
)
def test_literals_are_what_every_match_holds(regex: str, literals: list[str]) -> None:
    assert [one.decode() for one in compile_pattern(regex, regex=True, ignore_case=False).literals] == literals


@pytest.mark.parametrize(
    ("regex", "line", "found"),
    [
        ("中.{2}文", "中日志文", True),
        ("^.$", "中", True),
        (r"[一-龥]{2}", "日志", True),
        (r"\p{Han}+", "a日", True),
        ("(?i)É", "é", False),
        (r"a$", "a\r", True),
        (r"a\z", "a\r", True),
        (r"a\r$", "a\r", True),
        (r"^a\r?$", "a", True),
        (r"(?-m)^b", "ab", False),
        (r"[^\d]\n?$", "1", False),
        (r"(?s)a.b", "axb", True),
        (r"a\bb", "ab", False),
    ],
)
def test_examples(regex: str, line: str, found: bool) -> None:
    for before, behind in (("", ""), ("x\n", "\nx"), ("\n", "\n")):
        data = f"{before}{line}{behind}".encode()
        pattern = compile_pattern(regex, regex=True, ignore_case=False)
        start = len(before.encode())
        assert (pattern.find(data, start, len(data) - len(behind.encode()) + bool(behind)) >= 0) == found


@pytest.mark.parametrize("regex", ["k", "[k]", "[j-l]", "(?i)k", "s", "[^k]k", r"\x6b", "[^a-jl-zKS]", r"\Qk\E"])
def test_no_letter_beyond_ascii_is_alike(regex: str) -> None:
    pattern = compile_pattern(regex, regex=True, ignore_case=True)
    for line in ("\u212a", "ſ"):
        # a negated class does match it, as one character that is another
        assert (pattern.find(line.encode(), 0, len(line.encode())) >= 0) == (regex == "[^a-jl-zKS]")
    assert compile_pattern("é", regex=False, ignore_case=True).find("É".encode(), 0, 2) == -1


@pytest.mark.parametrize(
    "regex", ["a|[kK]|[sS]", "(?i)a|k|s", "xk|xs|[kK\\n]", "a|(?:[\\nKk]|[sSS])", "(?i)(ak|as|[kK])b|[sS]"]
)
def test_letters_of_a_choice_are_alike_in_ascii_alone(regex: str) -> None:
    """RE2 makes one class of a choice, and takes `[kK]` for a `k` of `(?i)` then."""
    for ignore_case in (False, True):
        pattern = compile_pattern(regex, regex=True, ignore_case=ignore_case)
        for line in ("\u212a", "ſ", "x\u212a", "xſ", "a\u212ab", "aſb"):
            a = "a" in line and ("a|" in regex and "(ak" not in regex)
            data = line.encode()
            assert (pattern.find(data, 0, len(data)) >= 0) == a, line


@settings(max_examples=500)
@given(
    st.sampled_from(
        [
            r"\p{Lu}b",
            r"\P{Lu}b",
            r"[\p{Ll}0]1",
            r"[[:upper:]]k",
            r"[[:^lower:]]k",
            "[A-C]b",
            "[^b-k]a",
            "a(?-i:B)",
            "A|0k",
        ]
    ),
    LINES,
)
def test_the_case_of_a_line_does_not_matter_where_it_is_ignored(regex: str, lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    assert matching(f"(?i){regex}", data) == matching(regex, data, ignore_case=True)
    if "-i" not in regex:
        assert matching(regex, data, ignore_case=True) == matching(regex, data.swapcase(), ignore_case=True)


def test_bytes_that_are_no_text_hide_nothing_beside_them() -> None:
    data = b"\xff\xfe ERROR 12 \xe4\xb8 end\n\xe9ERROR\xff\n"
    assert matching(r"ERROR \d+", data) == [0]
    assert matching("ERROR", data) == [0, 1]
    assert matching("^.ERROR", data) == []


@pytest.mark.parametrize(
    ("regex", "told"),
    [
        ("ab(c", "character 3: missing )"),
        ("ab)c", "character 3: unexpected )"),
        ("ab[c", "character 3: missing ]"),
        ("a[z-b]", "character 3: invalid character class range"),
        ("*a", "character 1: no argument for repetition operator"),
        ("a**", "character 2: bad repetition operator"),
        ("ab\\", "character 3: trailing \\"),
        ("(?<=a)b", "character 1: invalid perl operator"),
        (r"(a)\1", "character 4: invalid escape sequence"),
        (r"a\x", "character 2: invalid escape sequence"),
        (r"a\x{110000}", "character 2: invalid escape sequence"),
        (r"a\Z", "character 2: invalid escape sequence"),
        ("a{1001}", "character 2: invalid repetition size"),
        ("(x{1000}){1000}", "invalid repetition size"),
        ("((x{100}){100}){100}", "invalid repetition size"),
        (r"a\C", "character 2"),
        (r"(?i)[\P{Lu}]", "character 6"),
        ("", "empty line"),
        ("a*", "empty line"),
        ("^$", "empty line"),
        ("a|", "empty line"),
        (r"a\nb", "across the end of a line"),
        (r"[\n]+|a\x{a}", "across the end of a line"),
        (r"\pL{900}", "too large"),
        ("a.{500}b", "too large"),
        ("a" * 4096, "too large"),
        ("a" * 1_000_000, "longer than 4096 characters"),
        ("(" * 1_000_000, "longer than 4096 characters"),
        ("a\ud800", "character 2 is half of one"),
    ],
)
def test_what_is_wrong_is_told(regex: str, told: str) -> None:
    with pytest.raises(InvalidField) as raised:
        compile_pattern(regex, regex=True, ignore_case=False)
    assert told in raised.value.message and len(raised.value.message) < 300
    assert raised.value.field == "text"


@pytest.mark.parametrize("text", ["", "a\nb"])
def test_text_of_no_line_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="one line"):
        compile_pattern(text, regex=False, ignore_case=False)


@settings(max_examples=800)
@given(st.text(st.sampled_from(r"ab()[]{}*+?|\^$.-:,1QEpPnxLu<>isU#="), max_size=14), st.booleans())
def test_any_text_is_a_pattern_or_told(text: str, ignore_case: bool) -> None:
    try:
        pattern = compile_pattern(text, regex=True, ignore_case=ignore_case)
    except InvalidField:
        return
    assert pattern.find(b"\n\n", 0, 2) == -1


@pytest.mark.parametrize(
    "regex",
    [
        "(a+)+$b",
        "(a|a)*c",
        "(a*)*(a*)*b{3}",
        "(.*a){20}c",
        "(((a?){30}){3}a{30}){3}c",
        "(" * 1000 + "a" + ")" * 1000 + "c",
    ],
)
def test_nothing_goes_back_and_tries_again(regex: str) -> None:
    pattern = compile_pattern(regex, regex=True, ignore_case=False)
    data = b"a" * 1_000_000
    begun = time.process_time()
    assert pattern.find(data, 0, len(data)) == -1
    assert time.process_time() - begun < 5  # Python's would take years
