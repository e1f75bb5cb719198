"""Thread that repeats an action, and remembers why it failed last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from logkeep.errors import CatalogueError
from logkeep.service.outage import DatabaseOutage

_STOP_SECONDS = 5.0  # for the run under way, which may hang in a database that does not answer
_OUTAGE_SECONDS = 2.0  # between runs while the database fails, so that the end of an outage is seen soon
_QUIET_SECONDS = 60.0  # between two log entries on failures of one thread
_log = structlog.get_logger("logkeep.work")


class QuietLog:
    """Log of the failures of one thread: they may last, and each come in other words."""

    def __init__(self) -> None:
        self._last = ""
        self._quiet_until = float("-inf")

    def log_exception(self, event: str, error: Exception) -> None:
        """Log the exception being handled if it is another one than the last, at most once a minute."""
        now = time.monotonic()
        if now >= self._quiet_until and self._last != str(error):
            _log.exception(event)
            self._last, self._quiet_until = str(error), now + _QUIET_SECONDS


class PeriodicThread:
    """Thread that runs an action periodically. A failure is logged, and does not end the thread."""

    def __init__(
        self,
        name: str,
        action: Callable[[], None],
        seconds: float,
        *,
        failed: str,
        outage: DatabaseOutage,
        after: float = 0.0,
    ) -> None:
        """Run `action` first `after` seconds after the start, then `seconds` after each end, sooner in an outage.

        `failed` is the log message for a failure that is not the database's; that one is told to `outage`.
        """
        self._name = name
        self._action = action
        self._seconds = seconds
        self._after = after
        self._failed = failed
        self._outage = outage
        self.problem = ""  # error of the last run, '' if it succeeded
        self._quiet = QuietLog()
        self._running_since: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """Let it stop behind the run under way."""
        self._stopped.set()

    def stop(self) -> None:
        """Stop, and wait at most `_STOP_SECONDS` for the run under way."""
        self.cancel()
        self._thread.join(_STOP_SECONDS)

    def running_seconds(self) -> float:
        """Return how long the run under way has lasted, 0 if there is none."""
        since = self._running_since
        return time.monotonic() - since if since is not None else 0.0

    def _run(self) -> None:
        pause = self._after
        while not self._stopped.wait(pause):
            self._running_since, pause = time.monotonic(), self._seconds
            try:
                self._action()
                self.problem = ""
                self._outage.worked(self._name)
            except CatalogueError as error:
                self.problem = str(error)
                self._outage.failed(error, self._name)
                pause = min(pause, _OUTAGE_SECONDS)
            except Exception as error:
                self._quiet.log_exception(self._failed, error)
                self.problem = str(error)
            self._running_since = None
