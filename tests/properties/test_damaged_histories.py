"""Random histories of a compressed log that is cut, damaged, grown, appended to and replaced between backups."""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from logkeep.backup import node_backup
from logkeep.domain.manifest import Flaw
from tests.unit.backup.test_flawed import PACK, left, zstd
from tests.unit.backup.test_node_backup import Kept

NAMES = ("prod-2026-11-23-1.log", "prod-2026-11-23-2.log", "archive/prod-2026-11-23-1.log")
TAIL = 256  # bytes before an error that a decoder may take with it
OPEN: dict[str, Callable[[], Any]] = {
    "gz": lambda: zlib.decompressobj(31),
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    "bz2": bz2.BZ2Decompressor,
    "zst": zstd.ZstdDecompressor,
}
MAGIC = {"gz": b"\x1f\x8b", "xz": b"\xfd7zXZ\0", "bz2": b"BZh", "zst": b"\x28\xb5\x2f\xfd"}

places = st.floats(0, 1, exclude_max=True)
states = st.one_of(
    st.just(("whole",)),
    st.tuples(st.just("cut"), places),
    st.tuples(st.just("flip"), places, st.integers(0, 7)),
    st.tuples(st.just("garbage"), st.sampled_from((b"garbage", b"\0\0\0x", b"\n", b"\0" * 1000))),
)
steps = st.one_of(
    st.tuples(st.just("put"), states, st.booleans()),
    st.tuples(st.just("append"), st.integers(0, 300)),
    st.tuples(st.just("rename"), st.integers(0, 1)),
    st.just(("backup",)),
)


def lines(first: int, last: int) -> bytes:
    """They share nothing that would let one take another's place, and compress badly."""
    return b"".join(
        b"[2026-11-23T10:00:00,000] %d %s\n" % (n, os.urandom(0) + b"%x" % hash((n, 7))) for n in range(first, last)
    )


def comes_out(stored: bytes, suffix: str) -> tuple[bytes, Flaw]:
    """What the decoders of the standard library give, byte by byte, and how it ends."""
    plain = b""
    rest = stored
    while True:
        decoder = OPEN[suffix]()
        fed = 0
        try:
            while not decoder.eof and fed < len(rest):
                plain += decoder.decompress(rest[fed : fed + 1])
                fed += 1
        except (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, ValueError, EOFError):
            return plain, Flaw.DAMAGED
        if not decoder.eof:
            return plain, Flaw.CUT
        rest = rest[fed:].lstrip(b"\0")
        if not rest:
            return plain, Flaw.NONE
        if not rest.startswith(MAGIC[suffix]):
            return plain, Flaw.CUT if MAGIC[suffix].startswith(rest) else Flaw.GARBAGE


class Log:
    """One compressed file of one log, and what the backups of it must come to."""

    def __init__(self, directory: Path, suffix: str, many: int) -> None:
        self.kept = Kept(directory)
        self.suffix = suffix
        self.members = [lines(0, many)]
        self.number = many
        self.name = f"{NAMES[0]}.{suffix}"
        self.said: set[tuple[str, str]] = set()
        self.old = True  # has stood still
        self.put(("whole",), old=True)

    @property
    def path(self) -> Path:
        return self.kept.directory / self.name

    def whole(self) -> bytes:
        return b"".join(PACK[self.suffix](member) for member in self.members)

    def put(self, state: tuple[Any, ...], *, old: bool) -> None:
        data = bytearray(self.whole())
        match state:
            case ("cut", place):
                del data[int(place * len(data)) :]
            case ("flip", place, bit):
                data[int(place * len(data))] ^= 1 << bit
            case ("garbage", behind):
                data += behind
        self.old = old
        left(self.kept, self.name, bytes(data), minutes=5 if old else 0)

    def act(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("put", state, old):
                self.put(state, old=old)
            case ("append", count):
                self.members.append(lines(self.number, self.number + count))
                self.number += count
                self.put(("whole",), old=True)
            case ("rename", number) if self.old:  # what is being written has its name
                after = f"{NAMES[number]}.{self.suffix}"
                self.path.rename(self.kept.directory / after)
                self.name = after
            case ("backup",):
                self.back_up()

    def back_up(self) -> None:
        outcome = self.kept.back_up()
        assert not outcome.failures
        stored = self.path.read_bytes()
        plain, flaw = self.content(stored)
        event(f"{flaw.name} {self.old}")
        told = {warning.code for warning in outcome.warnings}
        if flaw not in {Flaw.NONE, Flaw.GARBAGE} and not self.old:
            assert told == {"LK-LOG-WAITING"} or not stored
            return
        again = self.kept.back_up()
        assert {warning.code for warning in again.warnings} <= ({"LK-LOG-CUT"} if not stored else set())
        self.check_kept(plain, flaw)
        self.check_told(flaw, stored, told | {warning.code for warning in again.warnings})

    def content(self, stored: bytes) -> tuple[bytes, Flaw]:
        magic = MAGIC[self.suffix]
        if not stored or magic.startswith(stored[: len(magic)]):
            return comes_out(stored, self.suffix)
        return stored, Flaw.FOREIGN

    def check_kept(self, plain: bytes, flaw: Flaw) -> None:
        """What comes out is kept, and of what can be believed no line twice."""
        generations = self.kept.catalogue.contents(self.kept.store.objects).get("prod.log", [])
        needed = plain[:-TAIL] if flaw is Flaw.DAMAGED else plain
        assert any(one.startswith(needed) for one in generations) or not needed
        if flaw is Flaw.NONE:
            whole = b"".join(self.members)
            assert whole in generations or not whole
        unproven = {c.generation for c in self.kept.catalogue.kept.values() if c.unproven}
        believed = [c for c in self.kept.catalogue.kept.values() if c.generation not in unproven and c.kept]
        assert len(believed) <= 1, "kept twice"

    def check_told(self, flaw: Flaw, stored: bytes, told: set[str]) -> None:
        code = {
            Flaw.NONE: "",
            Flaw.CUT: "LK-LOG-CUT",
            Flaw.GARBAGE: "LK-LOG-GARBAGE",
            Flaw.DAMAGED: "LK-LOG-DAMAGED",
            Flaw.FOREIGN: "LK-LOG-DAMAGED",
        }[flaw]
        assert told <= {code}, f"{told} of {flaw}"
        if code and (code, str(len(stored))) not in self.said and not self.said:
            assert told == {code}
        self.said |= {(one, str(len(stored))) for one in told}


@contextmanager
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(node_backup, "_MAX_WAITS", 2)


@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(sorted(PACK)), st.integers(0, 600), st.lists(steps, min_size=1, max_size=8))
def test_nothing_readable_is_lost_or_kept_twice_and_each_flaw_is_told(
    suffix: str, many: int, history: list[tuple[Any, ...]]
) -> None:
    with directory() as place:
        log = Log(place, suffix, many)
        for step in history:
            log.act(step)
        log.back_up()
        log.put(("whole",), old=False)
        log.back_up()
        assert not log.kept.catalogue.gaps
