"""Log lines about a database that fails for a while: one at the beginning, one at the end."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

import structlog

from logkeep.errors import CatalogueError

_QUIET_SECONDS = 60.0  # after an outage; a database that comes and goes must not fill the log
_CODE = re.compile(r"\((LK-[A-Z-]+)\)$")
_log = structlog.get_logger("logkeep.database")


class DatabaseOutage:
    """Outage of the database as all threads of this process see it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failing: set[str] = set()  # threads whose last run failed
        self._began: float | None = None
        self._error = ""
        self._logged = False
        self._quiet_until = float("-inf")

    def failed(self, error: CatalogueError, thread: str = "") -> None:
        """Note a failure; `thread` names one that runs again, and tells by `worked` that it no longer fails."""
        with self._lock:
            now = self._now()
            if thread:
                self._failing.add(thread)
            if self._began is None:
                self._began = now
            self._error = error.message
            if not self._logged and now >= self._quiet_until:
                self._logged = True
                _log.error("the database fails; work goes on when it is back", code=_code(error), error=error.message)

    def worked(self, thread: str) -> None:
        """Note a success. The outage is over when no thread fails any more."""
        if self._began is None:  # without the lock: it is asked each second by several threads
            return
        with self._lock:
            self._failing.discard(thread)
            if not self._failing:
                self._end()

    def lasts(self) -> tuple[float, str]:
        """Return for how many seconds it has lasted, and the last error; 0 where there is none."""
        with self._lock:
            return (0.0, "") if self._began is None else (self._now() - self._began, self._error)

    def _end(self) -> None:
        now, began = self._now(), self._began
        if self._logged and began is not None:
            _log.info("the database is back", seconds=round(now - began, 1))
            self._quiet_until = now + _QUIET_SECONDS
        self._began, self._logged = None, False


def _code(error: CatalogueError) -> str:
    found = _CODE.search(error.message)
    return found[1] if found else error.code
