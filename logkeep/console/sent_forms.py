"""Forms that make something each time: one that a browser sends again, as on a reload, makes no second one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

from logkeep.errors import LogkeepError

_KEPT_MS = 15 * 60_000
_MOST = 10_000  # forms that are remembered, the oldest go first


class SentAlready(LogkeepError):
    """This form was sent already; nothing was made a second time."""


class SentForms:
    """Forms that this process was sent, by their tokens, which are other ones on each page that is shown."""

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}  # when (Unix ms), the oldest first
        self._lock = Lock()

    @contextmanager
    def once(self, token: str, now_ms: int) -> Generator[None]:
        """Let a form be carried out once; again where that failed. Raises `SentAlready`."""
        mac = token.rpartition(".")[2]
        with self._lock:
            if now_ms - self._sent.get(mac, -_KEPT_MS) < _KEPT_MS:
                raise SentAlready()
            self._sent.pop(mac, None)
            while len(self._sent) >= _MOST:
                del self._sent[next(iter(self._sent))]
            self._sent[mac] = now_ms
        try:
            yield
        except BaseException:
            with self._lock:
                self._sent.pop(mac, None)
            raise
