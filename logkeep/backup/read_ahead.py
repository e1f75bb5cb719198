"""Reading ahead: small files of another machine are fetched many at a time, before they are opened.

Each call of a remote source waits for an answer, and a small file takes a dozen calls. A file that was fetched is the
file as it was then, as if it had been opened at that moment. It is used only where any later write shows in a listing,
by size or time, and only until the next listing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from threading import Thread
from typing import NamedTuple, TypeVar

from logkeep.backup.content import read_exactly
from logkeep.backup.observation import is_settled
from logkeep.clock import Clock
from logkeep.errors import SourceFileError
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog

LARGEST = 128 * 1024  # bytes of a file that is fetched
IN_FLIGHT = 16  # files that are fetched, or being fetched, before they are opened, at most
_FIRST = 2  # the same of a link of which nothing is known
_QUICK_SECONDS = 1.0  # a link on which a file takes longer gets fewer at a time, so that each answer comes in time
_HELD_BYTES = 32 * 1024 * 1024  # of files that were opened once, and may be again
_HELD_SECONDS = 30.0

_T = TypeVar("_T")


class _Fetched(NamedTuple):
    file: LogFile
    data: bytes
    until: float  # monotonic clock


class ReadAhead(LogSource):
    """A source that fetches the files it is told to `expect`. Used by one thread."""

    def __init__(self, source: LogSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._expected: Sequence[LogFile] = ()  # in the order in which they will be opened
        self._places: dict[str, int] = {}  # of their names
        self._begun = 0  # of them are fetched, or being fetched
        self._in_flight = _FIRST
        self._fetching: dict[str, Future[tuple[_Fetched | None, float]]] = {}
        self._held: OrderedDict[str, _Fetched] = OrderedDict()
        self._held_bytes = 0

    def run(self, action: Callable[[], _T]) -> _T:
        try:
            return self._source.run(action)
        finally:
            self._forget()

    def list(self) -> Listing:
        self._forget()
        return self._source.list()

    def expect(self, files: Sequence[LogFile]) -> None:
        self._fetching, self._begun = {}, 0
        self._expected = [file for file in files if 0 < file.size <= LARGEST]
        self._places = {file.name: place for place, file in enumerate(self._expected)}

    def open(self, name: str) -> OpenLog:
        fetched = self._take(name)
        return _FetchedLog(fetched) if fetched else self._source.open(name)

    def _take(self, name: str) -> _Fetched | None:
        """Return the file if it was fetched in time; meanwhile those behind it are fetched."""
        place = self._places.get(name)
        if place is not None:
            self._fetch_between(place, place + self._in_flight)
            if future := self._fetching.pop(name, None):
                found, seconds = future.result()
                self._in_flight = min(2 * self._in_flight, IN_FLIGHT) if seconds < _QUICK_SECONDS else 1
                self._hold(name, found)
        return self._held_now(name)

    def _held_now(self, name: str) -> _Fetched | None:
        fetched = self._held.get(name)
        return fetched if fetched and time.monotonic() < fetched.until else None

    def _fetch_between(self, start: int, end: int) -> None:
        for file in self._expected[max(self._begun, start) : end]:
            if self._held_now(file.name):
                continue
            future = self._fetching[file.name] = Future()
            # A daemon, as it may hang for as long as a call of the source may.
            Thread(target=self._fetch_into, args=(future, file), name="read-ahead", daemon=True).start()
        self._begun = max(self._begun, end)

    def _fetch_into(self, future: Future[tuple[_Fetched | None, float]], listed: LogFile) -> None:
        began = time.monotonic()
        try:
            found = self._fetch(listed)
            future.set_result((found, time.monotonic() - began))
        except BaseException as error:
            future.set_exception(error)

    def _fetch(self, listed: LogFile) -> _Fetched | None:
        """Return a file that is as it was listed; None for one that has to be opened and looked at.

        Raises `SourceUnreachable`.
        """
        try:
            with closing(self._source.open(listed.name)) as log:
                file = log.stat()
                began = time.monotonic()
                if not is_settled(file, self._clock) or _looks(file) != _looks(listed):
                    return None
                data = read_exactly(log, 0, file.size)
                if len(data) != file.size or _looks(log.stat()) != _looks(file):
                    return None
        except SourceFileError:
            return None  # opening it tells what is wrong
        # NULs are judged by how long they stand, which needs the file as it is then.
        return None if b"\0" in data else _Fetched(file, data, began + _HELD_SECONDS)

    def _hold(self, name: str, fetched: _Fetched | None) -> None:
        if fetched is None:
            return
        if before := self._held.pop(name, None):
            self._held_bytes -= len(before.data)
        self._held[name] = fetched
        self._held_bytes += len(fetched.data)
        while self._held_bytes > _HELD_BYTES:
            _, oldest = self._held.popitem(last=False)
            self._held_bytes -= len(oldest.data)

    def _forget(self) -> None:
        self.expect(())
        self._held.clear()
        self._held_bytes = 0


class _FetchedLog(OpenLog):
    def __init__(self, fetched: _Fetched) -> None:
        self._fetched = fetched

    def stat(self) -> LogFile:
        return self._fetched.file

    def read_at(self, offset: int, length: int) -> bytes:
        return self._fetched.data[offset : offset + length]

    def close(self) -> None:
        pass


def _looks(file: LogFile) -> tuple[int, int, int]:
    return file.size, file.mtime_ns, file.ctime_ns
