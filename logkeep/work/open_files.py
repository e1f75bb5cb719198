"""Log lines about a process that has no file descriptor left: its port takes no connections then, and says nothing."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

import structlog

from logkeep.domain.causes import Cause

_QUIET_SECONDS = 60.0  # between two log entries
_log = structlog.get_logger("logkeep.work")


class OpenFiles:
    """Look whether this process can open a file."""

    def __init__(self, path: str = os.devnull, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._quiet_until = float("-inf")
        self._exhausted = False  # and logged

    def look(self) -> None:
        """Log, once a minute at most, that no file can be opened, and once that one can again."""
        exhausted, now = not _can_open(self._path), self._now()
        if exhausted and now >= self._quiet_until:
            told = Cause.OPEN_FILES.tell(path="a file or connection")
            _log.error("too many files are open", code=Cause.OPEN_FILES.code, error=told)
            self._exhausted, self._quiet_until = True, now + _QUIET_SECONDS
        elif self._exhausted and not exhausted:
            _log.info("files can be opened again")
            self._exhausted = False


def _can_open(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return error.errno not in {errno.EMFILE, errno.ENFILE}
    return True
