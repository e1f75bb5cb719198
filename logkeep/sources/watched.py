"""Sources on mounts that may hang, watched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from logkeep.errors import SourceUnreachable
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog
from logkeep.watchdog import Left, Watchdog, Watched

_T = TypeVar("_T")


class Hanging(SourceUnreachable):
    """A call of a source does not come back."""

    def __init__(self, message: str, *, began: bool) -> None:
        super().__init__(message)
        self.began = began  # the very call; not, where an earlier one hangs


def watch_sources(seconds: float, setting: str = " (sources.stalled_seconds)") -> Watchdog:
    """Return a watchdog that raises `Hanging` after so many seconds, whose source a message names by `setting`."""

    def hanging(watched: Watched, began: bool) -> Hanging:
        return Hanging(
            f"the log directory {watched.directory} hangs: it gave no sign of progress for {seconds:g} s"
            f"{setting}; see that what is mounted at {watched.point} answers, or unmount it (`umount -l`) and "
            "mount it anew; what was kept stays, and the next backup goes on from there",
            began=began,
        )

    return Watchdog(seconds, hanging)


class WatchedSource(LogSource):
    """A source that fails where it hangs."""

    def __init__(self, source: LogSource, watched: Watched, watchdog: Watchdog) -> None:
        self._source = source
        self._watched = watched
        self._watchdog = watchdog

    def list(self) -> Listing:
        return self._watchdog.call(self._watched, self._source.list)

    def open(self, name: str) -> OpenLog:
        log = self._watchdog.call(self._watched, lambda: self._source.open(name), lambda log: log and log.close())
        return _WatchedLog(log, self._watched, self._watchdog)

    def run(self, action: Callable[[], _T]) -> _T:
        return self._watchdog.run(self._watched, lambda: self._source.run(action))


class _WatchedLog(OpenLog):
    """Where a call hangs, its own thread closes the file once it comes back: until then the number stays taken."""

    def __init__(self, log: OpenLog, watched: Watched, watchdog: Watchdog) -> None:
        self._log = log
        self._watched = watched
        self._watchdog = watchdog
        self._hangs: Hanging | Left | None = None

    def stat(self) -> LogFile:
        return self._call(self._log.stat)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._call(lambda: self._log.read_at(offset, length))

    def close(self) -> None:
        """Close the file. Never raises `Hanging`; the next call of the source does."""
        if self._hangs:
            return
        try:
            self._watchdog.call(self._watched, self._log.close)
        except MemoryError:
            self._log.close()  # else it would stay open
        except Hanging as error:
            if not error.began:  # another call hangs, and closing may, too
                threading.Thread(target=self._log.close, name="source-close", daemon=True).start()

    def _call(self, action: Callable[[], _T]) -> _T:
        if self._hangs:
            raise self._hangs
        try:
            return self._watchdog.call(self._watched, action, lambda _result: self._log.close())
        except (Hanging, Left) as error:
            if error.began:
                self._hangs = error
            raise
