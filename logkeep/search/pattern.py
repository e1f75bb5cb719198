"""Patterns: what a line must contain, as a text or as a regular expression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import re2

from logkeep.errors import InvalidField
from logkeep.search.regex import LineRegex, Unsupported, read_regex

_MEMORY = 8 * 1024 * 1024  # bytes of a compiled expression and its states; RE2 forgets states beyond it
# Instructions of a compiled expression. Where its states do not fit into the memory, each byte that is looked at may
# cost a step for each of them: 8 s for a MiB and 1,000 of them. `a.{0,200}b` has 1,800.
_MOST_STEPS = 2000
_NEAR = 4096  # bytes that are looked through before RE2 is called, which costs as much as a few KiB
_LONGEST_REGEX = 4096  # characters
_SHOWN = 40  # characters of a regular expression that a message shows


class Pattern(Protocol):
    """What a line must contain. May be used by several threads at once."""

    @property
    def literals(self) -> tuple[bytes, ...]:
        """Texts of which every line that matches contains all, but for the case of ASCII letters; longest first."""
        ...

    @property
    def longest(self) -> int | None:
        """The bytes of a match; None where matches differ, or may depend on what stands around them."""
        ...

    def find(self, data: bytes, start: int, end: int) -> int:
        """Return the offset of the first match within a line, or -1.

        `data[start:end]` is of whole lines: `start` is where one begins, `end` behind a line end or where the data
        ends. The offset is at most that of the line end, where what matches is the place behind the last character.
        """
        ...

    def find_all(self, line: bytes) -> Iterator[tuple[int, int]]:
        """Yield where the matches in a line, without its end, begin and end; those of no length are left out."""
        ...


def compile_pattern(text: str, *, regex: bool, ignore_case: bool) -> Pattern:
    """Make a pattern of a text that is taken as it is, or of a regular expression in RE2's syntax.

    `ignore_case` takes ASCII letters for alike, and no others. Lines end with LF: `^` and `$` are their ends, and `$`
    is before a CR too that stands there; else CR is a character as any. `.` and classes mean characters of UTF-8, so
    they do not match bytes that are none. Raises `InvalidField`.
    """
    if not regex:
        return _compile_text(text, ignore_case)
    if len(text) > _LONGEST_REGEX:
        raise _wrong(f"is longer than {_LONGEST_REGEX} characters")
    _compile(text, text)  # for a message that shows what was sent
    try:
        line = read_regex(text, ignore_case=ignore_case)
    except Unsupported as error:
        raise _wrong(f"is not taken: character {error.at + 1}: {error}") from error
    if line.never:
        raise _wrong("matches only across the end of a line, and lines are looked at one by one")
    compiled = _compile(line.text, text)
    if max(compiled.programsize, compiled.reverseprogramsize) > _MOST_STEPS:
        raise _wrong("is too large; repeat less often, or less")
    if compiled.search(b""):
        raise _wrong("matches an empty line too; it must need some character")
    return _Regex(line, compiled)


def _wrong(reason: str) -> InvalidField:
    return InvalidField("text", f"the regular expression {reason}")


def _compile_text(text: str, ignore_case: bool) -> Pattern:
    wanted = text.encode("utf-8", "surrogatepass")
    if not wanted or b"\n" in wanted:
        raise InvalidField("text", "a text of one line is needed, without its end")
    return _Text(wanted, ignore_case)


class _Text:
    """A text as it is."""

    def __init__(self, text: bytes, ignore_case: bool) -> None:
        self.literals = (text,)
        self.longest = len(text)
        self._near = None if ignore_case and text.lower() != text.upper() else text
        options = _options()
        options.encoding = re2.Options.Encoding.LATIN1
        self._far = re2.compile(b"".join(_write_byte(byte, ignore_case) for byte in text), options)
        re2.purge()

    def find(self, data: bytes, start: int, end: int) -> int:
        if self._near is not None:
            near = min(end, start + _NEAR + self.longest)
            found = data.find(self._near, start, near)
            if found >= 0 or near == end:
                return found
            start += _NEAR
        match = self._far.search(data, start, end)
        return match.start() if match else -1

    def find_all(self, line: bytes) -> Iterator[tuple[int, int]]:
        return (match.span() for match in self._far.finditer(line))


class _Regex:
    """A regular expression."""

    def __init__(self, line: LineRegex, compiled: Any) -> None:
        self.literals = tuple(literal.encode() for literal in line.literals)
        self.longest = None
        self._compiled = compiled
        self._first = _Text(self.literals[0], False) if self.literals and not line.folds else None

    def find(self, data: bytes, start: int, end: int) -> int:
        if data[end - 1 : end] == b"\n":
            end -= 1  # else `\b` would take the begin of the next line for a place in this one
        if start >= end:
            return -1
        if self._first:
            found = self._first.find(data, start, end)
            if found < 0:
                return -1
            start = max(start, data.rfind(b"\n", start, found) + 1)
        match = self._compiled.search(data, start, end)
        return match.start() if match else -1

    def find_all(self, line: bytes) -> Iterator[tuple[int, int]]:
        return (match.span() for match in self._compiled.finditer(line) if match.end() > match.start())


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MEMORY
    options.never_nl = True  # `[^x]` and `\s` do not match LF
    options.never_capture = True
    options.log_errors = False
    return options


def _compile(text: str, sent: str) -> Any:
    """Compile an expression; raise `InvalidField` in words of the one that was sent."""
    try:
        return re2.compile(text.encode(), _options())
    except UnicodeEncodeError as error:
        raise _wrong(f"is not taken: character {error.start + 1} is half of one") from error
    except re2.error as error:
        raise _wrong(_tell_fault(error, sent)) from error
    finally:
        re2.purge()  # it holds the last 128 with their memory


def _tell_fault(error: Exception, text: str) -> str:
    """Put RE2's message into words. It ends with the part that is wrong, or with all where it does not know which."""
    message = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
    reason, _, part = message.partition(": ")
    at = text.find(part) if part and part != text and text.count(part) == 1 else _find_fault(text)
    place = "" if at is None else f": character {at + 1}"
    shown = f" in {part[:_SHOWN]!r}" if part and part != text else ""
    return f"is not taken{place}: {reason}{shown}"


def _find_fault(text: str) -> int | None:
    try:
        read_regex(text, ignore_case=False)
    except Unsupported as error:
        return error.at
    return None


def _write_byte(byte: int, ignore_case: bool) -> bytes:
    char = bytes([byte])
    if ignore_case and char.isalpha():
        return b"[" + char.lower() + char.upper() + b"]"
    return b"\\x%02x" % byte
