"""A service that breaks off: how long it is waited for, and from where it is asked on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.cli import download
from logkeep.cli.client import Broken, NotAnswering
from logkeep.cli.download import Download, Incomplete, drop_first
from logkeep.cli.errors import CommandFailed
from logkeep.contract.native.responses import KeptLine
from logkeep.errors import StoreCorrupt

DATA = bytes(range(256))
KEPT = KeptLine("n1", "a.log", 1, "a.log", 200, 10, 210, 200, timed=True)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Service:
    """Gives some bytes at each request, then breaks off; where the list has ended, all."""

    def __init__(self, *sizes: int, error: type[CommandFailed | StoreCorrupt] = Broken, forever: bool = False) -> None:
        self.sizes, self.error, self.forever = list(sizes), error, forever
        self.asked: list[int] = []
        self.encoded: list[bool] = []

    @contextmanager
    def read_kept(
        self, _cluster: Any, kept: KeptLine, start: int, since: str, until: str, *, encoded: bool
    ) -> Generator[Iterator[bytes]]:
        self.asked.append(start)
        self.encoded.append(encoded)
        yield self._pieces(DATA[start : kept.end])

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        size = self.sizes.pop(0) if self.sizes else 0 if self.forever else len(data)
        for at in range(0, min(size, len(data)), 7):
            yield data[at : min(size, at + 7)]
        if size < len(data):
            raise self.error("it broke off")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(download, "time", found)
    return found


def test_it_goes_on_from_the_last_byte(clock: Clock) -> None:
    service = Service(50, 0, 30)
    assert b"".join(Download(service, None).read(KEPT)) == DATA[10:210]  # type: ignore[arg-type]
    assert service.asked == [10, 60, 60, 90]
    service = Service(50)
    assert b"".join(Download(service, None).read(KEPT, 120)) == DATA[130:210]  # type: ignore[arg-type]
    assert service.asked == [130, 180]


def test_what_cannot_be_decoded_is_asked_for_plain(clock: Clock) -> None:
    service = Service(50, error=StoreCorrupt)
    assert b"".join(Download(service, None).read(KEPT)) == DATA[10:210]  # type: ignore[arg-type]
    assert (service.asked, service.encoded, clock.now) == ([10, 60], [True, False], 0)
    with pytest.raises(StoreCorrupt):
        list(Download(Service(50, 0, error=StoreCorrupt), None).read(KEPT))  # type: ignore[arg-type]


def test_records_of_a_span_come_again_and_are_left_out(clock: Clock) -> None:
    service = Service(50, 20, 90)
    assert b"".join(Download(service, None, "2026-11-24").read(KEPT, 5)) == DATA[15:210]  # type: ignore[arg-type]
    assert service.asked == [10, 10, 10, 10]


@pytest.mark.parametrize("error", [Broken, NotAnswering])
def test_a_minute_without_a_byte_is_the_most(clock: Clock, error: type[CommandFailed]) -> None:
    service = Service(50, 0, 0, 20, error=error, forever=True)
    with pytest.raises(error):
        list(Download(service, None).read(KEPT))  # type: ignore[arg-type]
    assert 60 < clock.now < 70
    assert len(service.asked) < 50


def test_less_than_was_listed_is_a_failure(clock: Clock) -> None:
    short = KeptLine("n1", "a.log", 1, "a.log", 300, 0, 300, 300, timed=True)
    with pytest.raises(Incomplete, match=r"256 bytes of a\.log came instead of 300"):
        list(Download(Service(), None).read(short))  # type: ignore[arg-type]


def test_what_is_there_is_not_asked_for(clock: Clock) -> None:
    service = Service()
    assert list(Download(service, None).read(KEPT, 200)) == []  # type: ignore[arg-type]
    assert service.asked == []


@given(st.lists(st.binary(max_size=5)), st.integers(0, 30))
def test_first_bytes_are_dropped_wherever_they_are_cut(pieces: list[bytes], size: int) -> None:
    assert b"".join(drop_first(iter(pieces), size)) == b"".join(pieces)[size:]
