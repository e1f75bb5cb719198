"""A node as a process of its own: writes numbered lines into every log, rotates as real ones do, and journals what went.

What is written is a function of seed, family and line number, so that nobody has to keep it in order to check it. The
process takes from standard input how many lines it may have written by now, and ends when all are written.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.rotation import SimulatedNode

CLUSTER, NODE = "oslogs", "n1"
KEPT_DATED = 12  # rotated server logs that the node keeps, in place of 2 GB
RECORD = 50  # lines after which a record with a stack trace comes; generations end between two records
TRACE = range(1, 6)  # its lines behind the first
BURST = 27  # rotations in a row, as in a crash storm
BURST_KEPT = 3  # where nothing may be in doubt
_SPLITTING = ("dated", "index", "jvm_start")  # whose writer flushes its buffer in the middle of a line
_DAYS = 3  # that the times of the lines go over
_START = datetime(2026, 11, 22, 18, tzinfo=UTC)
_TICK = 0.004  # seconds
_BUFFERED = 0.04  # seconds between two writes to a log, on average


@dataclass(frozen=True, slots=True)
class Family:
    """A log: how it is rotated, and how its lines look."""

    name: str
    manner: str
    form: Callable[[str, int, str], str]  # time, number, words


def _text(at: str, number: int, words: str) -> str:
    if number % RECORD in TRACE:
        return f"\tat org.opensearch.action.support.TransportAction.lambda$1(TransportAction.java:{number}) #{number:09d}#\n"
    return f"[{at}][WARN ][o.o.c.r.a.AllocationService] [{NODE}] #{number:09d}# {words}\n"


def _json(kind: str) -> Callable[[str, int, str], str]:
    begin = f'{{"type": "{kind}", "timestamp": "'
    middle = f'+0000", "level": "WARN", "component": "o.o.n.Node", "cluster.name": "{CLUSTER}", "node.name": "{NODE}", "message": "#'

    def form(at: str, number: int, words: str) -> str:
        place = number % RECORD
        if place == 0:
            return f'{begin}{at}{middle}{number:09d}# {words}" , \n'
        if place in TRACE:
            head, end = ('"stacktrace": [', "") if place == 1 else ("", "] }" if place == TRACE[-1] else "")
            return f'{head}"at org.opensearch.transport.InboundHandler.handle(InboundHandler.java) #{number:09d}#"{end or ","}\n'
        return f'{begin}{at}{middle}{number:09d}# {words}" }}\n'

    return form


def _slow_text(at: str, number: int, words: str) -> str:
    return (
        f"[{at}][WARN ][i.s.s.query              ] [{NODE}] [app-trace][{number % 5}] took[{number % 97}ms], "
        f'took_millis[{number % 97}], total_hits[{number % 1000} hits], source[{{"query":"{words}"}}], id[#{number:09d}#]\n'
    )


def _slow_json(at: str, number: int, words: str) -> str:
    return (
        f'{{"type": "index_search_slowlog", "timestamp": "{at}+0000", "level": "WARN", "component": "i.s.s.query", "cluster.name": '
        f'"{CLUSTER}", "node.name": "{NODE}", "message": "[app-trace][0]", "took_millis": "{number % 97}", '
        f'"source": "{{\\"query\\":\\"{words}\\"}}", "id": "#{number:09d}#" }}\n'
    )


def _gc(at: str, number: int, words: str) -> str:
    return (
        f"[{at.replace(',', '.')}+0000][4711][gc,heap] GC(#{number:09d}#) Pause Young {len(words)}M->{number % 512}M\n"
    )


def _plain(at: str, number: int, words: str) -> str:
    return f"[{at}][INFO ][proxy] #{number:09d}# GET /_search {words}\n"


FAMILIES = (
    Family("oslogs.log", "dated", _text),
    Family("oslogs_server.json", "dated", _json("server")),
    Family("oslogs_audit.json", "dated", _json("audit")),
    Family("oslogs_deprecation.log", "index", _text),
    Family("oslogs_deprecation.json", "index", _json("deprecation")),
    Family("oslogs_index_search_slowlog.log", "index", _slow_text),
    Family("oslogs_index_search_slowlog.json", "index", _slow_json),
    Family("oslogs_index_indexing_slowlog.json", "index", _slow_json),
    Family("gc.log", "jvm_start", _gc),
    Family("proxy.log", "logrotate", _plain),
    Family("copied.log", "copytruncate", _plain),
)


@dataclass(frozen=True)
class Writing:
    """What one run writes: all families share the lines equally."""

    seed: int
    lines: int
    rotations: int
    distinct: bool = False  # no line stands in two families

    @property
    def each(self) -> int:
        """Lines of one family, whole records."""
        return -(-self.lines // len(FAMILIES) // RECORD) * RECORD

    def total(self) -> int:
        return self.each * len(FAMILIES)

    def time_of(self, number: int) -> datetime:
        return _START + timedelta(milliseconds=number * self._step_ms)

    @property
    def _step_ms(self) -> int:
        return max(1, _DAYS * 86_400_000 // self.each)

    def text(self, family: Family, first: int, end: int) -> bytes:
        """Lines [first, end) of a family."""
        words, step, form = _words(self.seed), self._step_ms, family.form
        own = f" {family.name}" if self.distinct else ""
        begin = int(_START.timestamp() * 1000)
        written: list[str] = []
        known, second = -1, ""
        for number in range(first, end):
            ms = begin + number * step
            if ms // 1000 != known:
                known = ms // 1000
                second = datetime.fromtimestamp(known, UTC).strftime("%Y-%m-%dT%H:%M:%S,")
            written.append(
                form(f"{second}{ms % 1000:03d}", number, words[(number * 2654435761 >> 9) % len(words)] + own)
            )
        return "".join(written).encode()

    def ends(self, family: Family) -> Iterator[int]:
        """The line numbers at which a family is rotated: by size, now and then a burst, and at midnight where dated."""
        chance = random.Random(f"{self.seed} {family.name}")
        usual = self.each * len(FAMILIES) / self.rotations * 0.9
        in_a_row = BURST_KEPT if self.distinct else BURST
        burst_at = chance.randrange(max(1, self.rotations // len(FAMILIES) // 2))
        at = rolled = 0
        while True:
            burst = burst_at <= rolled < burst_at + in_a_row
            size = usual / 8 if burst else usual * chance.uniform(0.7, 1.3)
            rolled += 1
            midnight = self._midnight(at) if family.manner == "dated" else self.each
            at = min(at + max(RECORD, round(size / RECORD) * RECORD), midnight)
            if at >= self.each:
                return
            yield at

    def _midnight(self, number: int) -> int:
        """The first line of the next day, between two records."""
        now = self.time_of(number)
        day = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        passed = round((day - _START).total_seconds() * 1000) // self._step_ms
        return max(number + RECORD, -(-passed // RECORD) * RECORD)


def _words(seed: int) -> list[str]:
    if seed not in _WORDS:
        chance = random.Random(seed)
        _WORDS[seed] = [_phrase(chance) for _ in range(251)]
    return _WORDS[seed]


_WORDS: dict[int, list[str]] = {}


def _phrase(chance: random.Random) -> str:
    many = chance.choice((1, 2, 4, 12))
    return " ".join(
        chance.choice(("shard", "größer", "分片", "failed", f"{chance.random():.12f}")) for _ in range(many)
    )


class _Counted:
    """Stands for all that was written; only its length is kept."""

    def __init__(self) -> None:
        self.length = self.lines = 0

    def __len__(self) -> int:
        return self.length

    def __iadd__(self, data: bytes) -> _Counted:
        self.length += len(data)
        self.lines += data.count(b"\n")
        return self


class NumberedNode(SimulatedNode):
    """Journals what happens to the bytes of each family, with the time before an operation that removes any."""

    def __init__(self, directory: Path, journal: Path, seed: int, keep: int = 4) -> None:
        super().__init__(directory, seed, keep=keep)
        self._journal = journal.open("a", encoding="utf-8")
        self._began = 0  # when the operation under way began, ns

    def close(self) -> None:
        self._journal.close()

    def note(self, event: str, family: str, *values: Any, at: int | None = None) -> None:
        self._journal.write(json.dumps([event, at or time.time_ns(), family, *values]) + "\n")
        self._journal.flush()

    def append(self, family: str, data: bytes) -> None:
        log = self._family(family)
        log.waiting += data
        self._flush(log)

    def step_of(self, steps: Iterator[str]) -> str | None:
        self._began = time.time_ns()
        return next(steps, None)

    def _family(self, name: str) -> Any:
        if name not in self._families:
            log = super()._family(name)
            log.written = _Counted()
            self.note("generation", name, 0, 0)
        return self._families[name]

    def _create(self, log: Any) -> str:
        if isinstance(log.written, _Counted):
            self.note("generation", log.name, len(log.written), log.written.lines)
        return super()._create(log)

    def _truncate(self, log: Any) -> Iterator[str]:
        self.note("generation", log.name, len(log.written), log.written.lines)
        yield from super()._truncate(log)

    def _forget(self, log: Any, name: str, reason: str) -> None:
        known = len(log.lost)
        super()._forget(log, name, reason)
        for lost in log.lost[known:]:
            self.note("gone", log.name, lost.start, lost.end, lost.reason, at=self._began)

    def _flush(self, log: Any) -> None:
        super()._flush(log)
        if log.open_as is not None and isinstance(log.written, _Counted):
            self.note("written", log.name, len(log.written))

    def delete_oldest(self, family: str) -> None:
        self._began = time.time_ns()
        self.rotate(family, "delete")

    def rotated_files(self, family: str) -> int:
        log = self._families[family]
        return sum(1 for name in log.files if name not in (log.name, log.open_as))


@dataclass
class _Progress:
    """How far one family is."""

    family: Family
    ends: Iterator[int]
    next_end: int
    at: int = 0  # lines handed to the node
    rest: bytes = b""  # of a line that is in the file in part
    steps: Iterator[str] | None = None  # rotation under way
    due: float = 0.0  # when its next step comes
    write_at: float = 0.0
    held: bool = False  # lines wait while log4j2 renames; no line is ever in two files


class _Writer:
    """Writes and rotates, all families side by side, as fast as it is allowed to."""

    def __init__(self, writing: Writing, node: NumberedNode, rate: float, keep_dated: int) -> None:
        self._writing, self._node, self._rate = writing, node, rate
        self._keep_dated = keep_dated
        self._chance = random.Random(writing.seed)
        self._logs = [self._begin(family) for family in FAMILIES]
        self._allowed = 0

    def _begin(self, family: Family) -> _Progress:
        ends = self._writing.ends(family)
        return _Progress(family, ends, next(ends, self._writing.each))

    def run(self) -> None:
        while any(log.at < self._writing.each or log.steps or log.rest for log in self._logs):
            self._take_allowance()
            for log in self._logs:
                self._advance(log)
            time.sleep(0.0007 if any(log.steps for log in self._logs) else _TICK)

    def _take_allowance(self) -> None:
        while select.select([0], [], [], 0)[0]:
            told = os.read(0, 4096).split()
            if not told:  # whoever started this has gone
                sys.exit(1)
            self._allowed = int(told[-1])

    def _advance(self, log: _Progress) -> None:
        if log.rest and self._chance.random() < 0.5:
            self._node.append(log.family.name, log.rest)
            log.rest = b""
        if log.steps and time.monotonic() >= log.due:
            self._step(log)
        if log.held:
            return
        if log.at == log.next_end and log.at < self._writing.each:
            if not log.steps and not log.rest:
                self._rotate(log)
            return
        self._write(log)

    def _write(self, log: _Progress) -> None:
        now = time.monotonic()
        if log.rest or now < log.write_at:
            return
        log.write_at = now + self._chance.uniform(0.0, 2 * _BUFFERED)
        share = min(self._allowed // len(FAMILIES), log.next_end) - log.at
        many = min(share, max(1, round(self._rate * _BUFFERED * self._chance.uniform(0.2, 1.8))))
        if many <= 0:
            return
        data = self._writing.text(log.family, log.at, log.at + many)
        log.at += many
        cut = len(data)
        if log.family.manner in _SPLITTING and self._chance.random() < 0.2:
            cut -= self._chance.randrange(1, 40)  # a buffer that was flushed in the middle of a line
        self._node.append(log.family.name, data[:cut])
        log.rest = data[cut:]

    def _rotate(self, log: _Progress) -> None:
        log.next_end = next(log.ends, self._writing.each)
        self._node.now = self._writing.time_of(log.at - 1)
        self._node.note("rotation", log.family.name)
        log.steps = self._node.rotate_steps(log.family.name, log.family.manner)
        log.held = log.family.manner in _SPLITTING
        self._step(log)

    def _step(self, log: _Progress) -> None:
        assert log.steps
        step = self._node.step_of(log.steps)
        if step is None:
            log.steps = None
            while log.family.manner == "dated" and self._node.rotated_files(log.family.name) > self._keep_dated:
                self._node.delete_oldest(log.family.name)
            return
        log.held = log.held and not step.startswith("open")
        # Compressing takes about 120 ms in all; every other step follows at once.
        log.due = time.monotonic() + (0.03 if step.startswith("grow") else 0.0007)


def read_journal(path: Path) -> Iterator[list[Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("journal", type=Path)
    for name in ("seed", "lines", "rotations"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="lines a second at most, of each family")
    parser.add_argument("--distinct", action="store_true", help="let no line stand in two logs")
    parser.add_argument("--keep", type=int, default=4, help="rotated files of each log that stay")
    given = parser.parse_args()
    writing = Writing(given.seed, given.lines, given.rotations, given.distinct)
    os.umask(0o022)  # an SFTP server may run as another user
    with closing(NumberedNode(given.directory, given.journal, given.seed, given.keep)) as node:
        _Writer(writing, node, given.rate, max(given.keep, KEPT_DATED)).run()


if __name__ == "__main__":
    main()
