"""Thread that repeats an action, and remembers why it failed last."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger("logkeep.work")


class PeriodicThread:
    """Thread that runs an action periodically. A failure is logged, and does not end the thread."""

    def __init__(
        self, name: str, action: Callable[[], None], seconds: float, *, failed: str, after: float = 0.0
    ) -> None:
        """Run `action` first `after` seconds after the start, then `seconds` after each end.

        `failed` is the log message for a failure.
        """
        self._action = action
        self._seconds = seconds
        self._after = after
        self._failed = failed
        self.problem = ""  # error of the last run, '' if it succeeded
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        pause = self._after
        while not self._stopped.wait(pause):
            try:
                self._action()
                self.problem = ""
            except Exception as error:
                if self.problem != str(error):  # not again and again: the disk may be full
                    _log.exception(self._failed)
                self.problem = str(error)
            pause = self._seconds
