"""A source that stops in the middle of a file once its job was ended by somebody else."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TypeVar

from logkeep.errors import JobSuperseded
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog

_T = TypeVar("_T")


class StoppableSource(LogSource):
    """Every call raises `JobSuperseded` once `ended` is set."""

    def __init__(self, source: LogSource, ended: Event) -> None:
        self._source = source
        self._ended = ended

    def list(self) -> Listing:
        _check(self._ended)
        return self._source.list()

    def open(self, name: str) -> OpenLog:
        _check(self._ended)
        return _StoppableLog(self._source.open(name), self._ended)

    def run(self, action: Callable[[], _T]) -> _T:
        return self._source.run(action)


class _StoppableLog(OpenLog):
    def __init__(self, log: OpenLog, ended: Event) -> None:
        self._log = log
        self._ended = ended
        self.close = log.close

    def stat(self) -> LogFile:
        _check(self._ended)
        return self._log.stat()

    def read_at(self, offset: int, length: int) -> bytes:
        _check(self._ended)
        return self._log.read_at(offset, length)


def _check(ended: Event) -> None:
    if ended.is_set():
        raise JobSuperseded()
