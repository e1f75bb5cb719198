"""Regular expressions of one line in RE2's syntax: written anew for lines and ASCII case, and what each match holds."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

_LONGEST_LITERAL = 256  # characters of a counted repetition that are written out
_MOST_LITERALS = 16
_ESCAPE = re.compile(r"\\(?:x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|.)", re.ASCII | re.DOTALL)
_UNICODE = re.compile(r"\\([pP])(?:\{(\^?)([^}]*)\}|(.))", re.DOTALL)
_NAMED = re.compile(r"\[:(\^?)(\w+):\]", re.ASCII)
_GROUP = re.compile(r"\(\?(?:P?<\w+>|([imsU]*)(?:-([imsU]+))?([:)]))")
_NUMBER = "(0|[1-9][0-9]*)"
_REPEAT = re.compile(rf"(?:([*+?])|\{{{_NUMBER}(?:(,){_NUMBER}?)?\}})\??")
_CONTROL = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_CASED = {"Lu": "a-z", "Ll": "A-Z"}  # Unicode classes that hold ASCII letters of one case, and those of the other
_FOLDED_BEYOND = {"k", "s"}  # the ASCII letters that Unicode takes for alike with others: U+212A, U+017F
_LINE_END = (10, 10)  # as a range
_END_OF_LINE = r"(?:\r?$)"  # logs of Windows end their lines with CR LF


class Unsupported(Exception):
    """A part of a regular expression that is not taken here."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at = at  # characters before it


class LineRegex(NamedTuple):
    """A regular expression as RE2 is given it."""

    text: str  # begins with `(?m)`; has no flags else, no groups that are captured, no `\\A`, `\\z` and `\\C`
    literals: tuple[str, ...]  # each line that matches holds all of them, but for the case of ASCII letters if `folds`
    folds: bool  # whether some letter stands for both cases
    never: bool  # whether it can match only across a line end


class _Part(NamedTuple):
    """What is known of a part of the expression."""

    exact: str | None = None  # the only text that it matches
    held: frozenset[str] = frozenset()  # what each of its matches holds, besides
    never: bool = False  # it matches no part of a line

    def holds(self) -> frozenset[str]:
        return self.held | {self.exact} if self.exact else self.held


_ANY = _Part()
_EMPTY = _Part("")
_NEVER = _Part(never=True)


@dataclass
class _Group:
    at: int  # where it begins in the text
    folds: bool  # in what follows
    parts: list[_Part] = field(default_factory=list[_Part])
    branches: list[_Part] = field(default_factory=list[_Part])


def read_regex(text: str, *, ignore_case: bool) -> LineRegex:
    """Read an expression that RE2 has found to be right; `ignore_case` as if it began with `(?i)`.

    ASCII letters alone are alike then: RE2's own `(?i)k` finds U+212A too. Raises `Unsupported`.
    """
    return _Reader(text, ignore_case).read()


class _Reader:
    def __init__(self, text: str, ignore_case: bool) -> None:
        self._text = text
        self._at = 0
        self._out = ["(?m)"]
        self._groups = [_Group(0, ignore_case)]
        self._folded = False  # whether some letter stands for both cases

    def read(self) -> LineRegex:
        while self._at < len(self._text):
            self._read_token(self._text[self._at])
        if len(self._groups) > 1:
            raise Unsupported(self._groups[-1].at, "the parenthesis is not closed")
        whole = _choose(_end_branch(self._groups[0]))
        return LineRegex("".join(self._out), _largest(whole.holds()), self._folded, whole.never)

    def _read_token(self, char: str) -> None:
        if char == "(":
            self._open()
        elif char == ")":
            self._close()
        elif char == "|":
            _end_branch(self._groups[-1])
            self._pass(1)
        elif repeat := _REPEAT.match(self._text, self._at):
            self._repeat(repeat)
        elif char == "[":
            self._read_class()
        elif char == "\\":
            self._read_escape()
        elif char in "^$.":
            known = _EMPTY if char == "^" else _ANY
            self._add(1, _END_OF_LINE if char == "$" else char, known)
        else:
            self._add_char(1, ord(char))

    def _pass(self, length: int) -> None:
        """Take characters as they are."""
        self._out.append(self._text[self._at : self._at + length])
        self._at += length

    def _add(self, length: int, written: str, part: _Part) -> None:
        """Write a part of which `length` characters of the text tell."""
        self._at += length
        self._out.append(written)
        self._groups[-1].parts.append(part)

    def _add_char(self, length: int, code: int) -> None:
        char = chr(code)
        folds = self._groups[-1].folds and char.isascii() and char.isalpha()
        written = _write_both(char.lower()) if folds else _write_char(code)
        self._folded |= folds
        self._add(length, written, _char_part(char.lower() if folds else char))

    def _open(self) -> None:
        found = _GROUP.match(self._text, self._at)
        if self._text.startswith("(?", self._at) and not found:
            raise Unsupported(self._at, f"{self._text[self._at : self._at + 4]!r} begins no group that is known here")
        folds = self._groups[-1].folds
        if found and found[3]:
            folds = (folds or "i" in found[1]) and "i" not in (found[2] or "")
        begun = self._at
        self._at += len(found[0]) if found else 1
        if found and found[3] == ")":
            self._groups[-1].folds = folds
            return
        self._groups.append(_Group(begun, folds))
        self._out.append("(?:")

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise Unsupported(self._at, "no parenthesis is open there")
        part = _choose(_end_branch(self._groups.pop()))
        self._add(1, ")", part)

    def _repeat(self, found: re.Match[str]) -> None:
        parts = self._groups[-1].parts
        if not parts:
            raise Unsupported(self._at, f"there is nothing before {found[0]!r}")
        if found[1]:
            least, once = int(found[1] == "+"), False
        else:
            least = int(found[2])
            once = not found[3] or found[2] == found[4]
        parts[-1] = _repeated(parts[-1], least, once)
        self._pass(len(found[0]))

    def _read_escape(self) -> None:
        if self._text.startswith("\\Q", self._at):
            self._read_quoted()
        elif found := _UNICODE.match(self._text, self._at):
            self._add(len(found[0]), self._unicode(found, alone=True), _ANY)
        else:
            self._read_escaped(self._escape())

    def _read_escaped(self, escape: str) -> None:
        char = escape[1]
        if char in "AbBz":
            written = {"A": "^", "z": _END_OF_LINE}.get(char, escape)
            self._add(2, written, _ANY if char == "z" else _EMPTY)
        elif char in "dDsSwW":
            self._add(2, escape, _ANY)
        else:
            self._add_char(len(escape), self._code(escape))

    def _read_quoted(self) -> None:
        """Read what stands between `\\Q` and `\\E`, or the end."""
        end = self._text.find("\\E", self._at + 2)
        quoted = self._text[self._at + 2 : end if end >= 0 else None]
        for char in quoted:
            self._add_char(0, ord(char))
        self._at += 2 + len(quoted) + (2 if end >= 0 else 0)

    def _escape(self) -> str:
        found = _ESCAPE.match(self._text, self._at)
        if not found:
            raise Unsupported(self._at, "nothing follows the backslash")
        return found[0]

    def _code(self, escape: str) -> int:
        """Return the character of an escape. Raises `Unsupported` for one that stands for something else."""
        char = escape[1]
        if char == "x" and len(escape) > 2 and (code := int(escape[2:].strip("{}"), 16)) <= sys.maxunicode:
            return code
        if char in "01234567":
            return int(escape[1:], 8)
        if char in _CONTROL:
            return _CONTROL[char]
        if char.isalnum() or not char.isascii():
            raise Unsupported(self._at, f"{escape} has no meaning here")
        return ord(char)

    def _unicode(self, found: re.Match[str], *, alone: bool) -> str:
        """Write a Unicode class; `alone` outside of brackets."""
        name = found[3] if found[4] is None else found[4]
        other = _CASED.get(name) if self._groups[-1].folds else None
        if other is None:
            return found[0]
        self._folded = True
        negated = (found[1] == "P") != (found[2] == "^")
        if alone:
            return f"[{'^' if negated else ''}\\p{{{name}}}{other}]"
        if negated:
            raise Unsupported(self._at, f"where case is ignored, {found[0]} is taken outside of brackets only")
        return f"\\p{{{name}}}{other}"

    def _read_class(self) -> None:
        begun = self._at
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        ranges, names = list[tuple[int, int]](), list[str]()
        first = self._at
        while self._at == first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise Unsupported(begun, "the bracket is not closed")
            self._read_member(ranges, names)
        if self._groups[-1].folds:
            folded = [*ranges, *_other_case(ranges)]
            self._folded |= folded != ranges
            ranges = folded
        part = _ANY if negated or names else self._class_part(ranges)
        written = "".join([*(_write_range(low, high) for low, high in ranges), *names])
        both = part.exact in _FOLDED_BEYOND and len(set(ranges) - {_LINE_END}) == 2
        self._add(1, _write_both(part.exact) if both and part.exact else f"[{'^' if negated else ''}{written}]", part)

    def _read_member(self, ranges: list[tuple[int, int]], names: list[str]) -> None:
        """Read a member of a class into one of the two lists."""
        if found := _NAMED.match(self._text, self._at):
            self._at += len(found[0])
            name = found[2]
            if self._groups[-1].folds and name in {"upper", "lower"}:
                self._folded, name = True, "alpha"
            names.append(f"[:{found[1]}{name}:]")
        elif found := _UNICODE.match(self._text, self._at):
            names.append(self._unicode(found, alone=False))
            self._at += len(found[0])
        elif re.compile(r"\\[dDsSwW]").match(self._text, self._at):
            names.append(self._text[self._at : self._at + 2])
            self._at += 2
        else:
            low = high = self._read_char()
            if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in {"]", ""}:
                self._at += 1
                high = self._read_char()
            ranges.append((low, high))

    def _read_char(self) -> int:
        if not self._text.startswith("\\", self._at):
            self._at += 1
            return ord(self._text[self._at - 1])
        escape = self._escape()
        code = self._code(escape)
        self._at += len(escape)
        return code

    def _class_part(self, ranges: list[tuple[int, int]]) -> _Part:
        if any(low != high for low, high in ranges):
            return _ANY
        chars = {chr(low) for low, _ in ranges} - {"\n"}
        if len(chars) < 2:
            return _char_part(chars.pop() if chars else "\n")
        lower = {char.lower() for char in chars}
        if len(lower) > 1 or not all(map(str.isascii, chars)):
            return _ANY
        self._folded = True
        return _Part(lower.pop())


def _write_both(lower: str) -> str:
    """Write an ASCII letter of either case.

    RE2 takes `[kK]` for a `k` of `(?i)`, and where it makes one class of `a|[kK]` adds U+212A; of `k|K` it does not.
    """
    return f"(?:{lower}|{lower.upper()})" if lower in _FOLDED_BEYOND else f"[{lower}{lower.upper()}]"


def _write_char(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{{{code:x}}}"


def _write_range(low: int, high: int) -> str:
    return _write_char(low) if low == high else f"{_write_char(low)}-{_write_char(high)}"


def _other_case(ranges: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Yield the ASCII letters of the other case."""
    for low, high in ranges:
        for first, last, to in ((65, 90, 32), (97, 122, -32)):
            if max(low, first) <= min(high, last):
                yield max(low, first) + to, min(high, last) + to


def _char_part(char: str) -> _Part:
    if char == "\n":
        return _NEVER
    return _ANY if "\ud800" <= char <= "\udfff" else _Part(char)


def _end_branch(group: _Group) -> list[_Part]:
    """Join the parts of a branch; return all branches of the group that are read."""
    group.branches.append(_join(group.parts))
    group.parts = []
    return group.branches


def _join(parts: list[_Part]) -> _Part:
    """Return what is known of parts that follow each other."""
    if any(part.never for part in parts):
        return _NEVER
    run, held, exact = "", set[str](), True
    for part in parts:
        if part.exact is None:
            held |= {run, *part.held}
            run, exact = "", False
        else:
            run += part.exact
    return _Part(run) if exact else _Part(held=frozenset(held | {run}) - {""})


def _choose(branches: list[_Part]) -> _Part:
    """Return what is known of a choice."""
    able = [branch for branch in branches if not branch.never]
    if not able:
        return _NEVER
    if len(able) == 1 or all(branch == able[0] for branch in able):
        return able[0]
    holds = [branch.holds() for branch in able]
    common = {
        one for one in frozenset[str]().union(*holds) if all(any(one in text for text in texts) for texts in holds)
    }
    return _Part(held=frozenset(common))


def _repeated(part: _Part, least: int, once: bool) -> _Part:
    """Return what is known of a part that comes `least` times, and no more often if `once`."""
    if least == 0:
        return _ANY
    if part.never or part.exact == "":
        return part
    if part.exact and len(part.exact) * least <= _LONGEST_LITERAL:
        text = part.exact * least
        return _Part(text) if once else _Part(held=frozenset({text}))
    return _Part(held=part.holds())


def _largest(texts: frozenset[str]) -> tuple[str, ...]:
    """Return the longest ones first, without those that another holds."""
    ordered = sorted(texts, key=lambda text: (-len(text), text))
    kept = list[str]()
    for text in ordered:
        if text and not any(text in longer for longer in kept):
            kept.append(text)
    return tuple(kept[:_MOST_LITERALS])
