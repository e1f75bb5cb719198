"""Where time and level stand in the heads of lines that are alike."""

from __future__ import annotations

import re
from dataclasses import dataclass

from logkeep.logformat.lines import HEAD_BYTES, JSON_LEVEL, JSON_TIME, TEXT

LEVEL_BYTES = 16  # enough for a level and what ends it: `DEPRECATION]`, ` "DEPRECATION"`
_TEXT_LEVEL_VALUE = re.compile(rb"([A-Z]+) *\]")
_JSON_LEVEL_VALUE = re.compile(rb' *"([A-Z]+)"')

ANY_DIGIT = 0x0A  # in a layout; no line holds this byte
_DIGITS = bytes.maketrans(b"0123456789", bytes((ANY_DIGIT,)) * 10)


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets of time and level in the heads of lines, taken from one line."""

    time_at: int
    level_at: int  # start of the level's value; without a level, end of the time
    level: re.Pattern[bytes] | None  # of the value; None where lines show no level
    zone: str  # as written; '' for none
    pattern: bytes  # common to all up to the level, with `ANY_DIGIT` for any digit but those of the zone

    @staticmethod
    def of(line: bytes) -> Layout | None:
        """Return the layout of a line; None if it begins no record, or has its level before its time."""
        text = line.startswith(b"[")
        time = TEXT.match(line) if text else JSON_TIME.search(line)
        if time is None:
            return None
        found = time if text else JSON_LEVEL.search(line)
        level_at = found.start(4 if text else 1) if found else -1
        level = _TEXT_LEVEL_VALUE if text else _JSON_LEVEL_VALUE
        if level_at < 0:
            level_at, level = time.end(), None
        if not time.end(2) <= level_at <= HEAD_BYTES - LEVEL_BYTES:
            return None
        end = time.end(3) if time[3] else time.end(2)
        pattern = (
            line[: time.start(1)],
            line[time.start(1) : time.end(2)].translate(_DIGITS),
            time[3] or b"",
            line[end:level_at].translate(_DIGITS),
        )
        return Layout(time.start(1), level_at, level, (time[3] or b"").decode(), b"".join(pattern))

    @property
    def width(self) -> int:
        return self.level_at + (LEVEL_BYTES if self.level else 0)
