"""A thread that does something again and again, and says why the last time failed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger("logkeep.work")


class Repeated:
    def __init__(
        self, name: str, action: Callable[[], None], seconds: float, *, failed: str, after: float = 0.0
    ) -> None:
        """`action` is done so many `seconds` after its last time has ended, and first so many `after` the start.

        `failed` is what the log says where it fails.
        """
        self._action = action
        self._seconds = seconds
        self._after = after
        self._failed = failed
        self.problem = ""  # why the last time failed
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
                if self.problem != str(error):  # a full disk is not to be filled by what is said of it
                    _log.exception(self._failed)
                self.problem = str(error)
            pause = self._seconds
