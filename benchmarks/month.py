"""Logs of thirty days for measuring a search, with texts in them that stand in one line."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

from benchmarks.logs import Pool, lines_by_family

DAYS = 30
FIRST_DAY = date(2026, 10, 24)
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_PART = re.compile(rb"[A-Z][a-z]{3,9}")  # of the name of a class
_PARTS = 3
_BATCH = 100  # lines of the same second


@dataclass
class Month:
    """What was written: its size, and texts by kind that stand in one line each."""

    size: int = 0
    rare: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def note(self, kind: str, text: bytes) -> None:
        self.rare.setdefault(kind, []).append(text.decode())


def write_month(directory: Path, total: int, *, ids: bool, seed: int = 8475) -> Month:
    """Write the logs of two nodes of thirty days, each a file a day, some `total` bytes together; the same each time.

    With `ids` each line ends with an id of 32 hex digits or a UUID, and one of 8 hex digits.
    """
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    families = lines_by_family()
    parts = sorted({part for lines in families for line in lines for part in _PART.findall(line)})
    month = Month()
    for log, lines in enumerate(families):
        batches = _batches(Pool(lines, chance))
        for day in range(DAYS):
            with (directory / f"bench{log}-{FIRST_DAY + timedelta(day)}-1.log").open("wb") as file:
                for batch in _day(batches, day, total // DAYS // len(families), chance if ids else None):
                    if not file.tell():
                        _mark(batch, b"".join(chance.sample(parts, _PARTS)), month, ids=ids)
                    file.write(b"\n".join(batch) + b"\n")
                month.size += file.tell()
    return month


def _batches(pool: Pool) -> Iterator[list[bytes]]:
    lines = (line for block in pool.blocks() for line in block.split(b"\n") if line)
    while True:
        yield list(islice(lines, _BATCH))


def _day(batches: Iterator[list[bytes]], day: int, size: int, ids: random.Random | None) -> Iterator[list[bytes]]:
    """Yield lines of a day, each with its time; with ids where there is chance for them."""
    written = 0
    while written < size:
        second = min(86_399, 86_400 * written // size)
        time = f"{FIRST_DAY + timedelta(day)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}".encode()
        batch = [_TIME.sub(time, line, count=1) for line in next(batches)]
        if ids:
            batch = [line + _make_ids(ids.randbytes(20).hex().encode(), number) for number, line in enumerate(batch)]
        written += sum(map(len, batch)) + len(batch)
        yield batch


def _make_ids(digits: bytes, number: int) -> bytes:
    long = digits[8:]
    if number % 2:
        long = b"-".join((long[:8], long[8:12], long[12:16], long[16:20], long[20:]))
    return b" trace[%b] task[%b]" % (long, digits[:8])


def _mark(batch: list[bytes], word: bytes, month: Month, *, ids: bool) -> None:
    """Put a word into one of the lines, and note it, and the ids of others."""
    at = len(batch) // 2
    if ids:
        for kind, line, part in (("32-hex id", at, -2), ("UUID", at + 1, -2), ("8-character id", at + 2, -1)):
            month.note(kind, batch[line].split()[part].partition(b"[")[2].rstrip(b"]"))
    batch[at] += b" " + word
    month.note("word", word)
