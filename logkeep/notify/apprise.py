"""Chats, e-mail and pagers, by the library Apprise and its own URLs. They are the operator's alone."""

from __future__ import annotations

import logging
import threading
from typing import Any

from logkeep.domain.notice import Notice
from logkeep.domain.notice_target import Answer, Destination
from logkeep.errors import SettingError
from logkeep.notify.bounded import run_within
from logkeep.notify.secrecy import hide

_SECONDS = 30.0  # as a mail server may take some
_log = logging.getLogger("apprise")


def check_url(url: str, key: str) -> None:
    """Raise `SettingError` that names the setting `key`, where Apprise is not installed or does not take the URL."""
    if not _open(url, key):
        raise SettingError(
            f"{key}: Apprise does not take this URL; https://appriseit.com/services/ shows how it is written"
        )


def send(to: Destination, notice: Notice) -> Answer:
    """Send a notice once."""
    said = _Said()
    try:
        sent = run_within(_SECONDS, lambda: _notify(to.url, notice, said))
    except TimeoutError as error:
        return Answer(f"it is not known whether it was sent: {error}")
    except Exception as error:  # of any of its hundred senders
        return Answer(hide(f"cannot be sent: {error}", to.url))
    if sent:
        return Answer()
    return Answer(hide(f"cannot be sent: {'; '.join(said.lines) or 'Apprise does not say why'}", to.url))


def _open(url: str, key: str) -> Any:
    """Return an `Apprise` with this URL, and without any if it does not take it. Raises `SettingError`."""
    try:
        import apprise  # noqa: PLC0415  an extra, and slow to import
    except ImportError:
        raise SettingError(f"{key}: Apprise is not installed; `pip install 'logkeep[notify]'`") from None
    # It would write URLs with their secrets into the log.
    _log.propagate = False
    if not _log.handlers:
        _log.addHandler(logging.NullHandler())
    opened = apprise.Apprise()
    opened.add(url)
    return opened


def _notify(url: str, notice: Notice, said: _Said) -> bool:
    sender = _open(url, "apprise")
    said.thread = threading.get_ident()
    _log.addHandler(said)
    try:
        body = f"{notice.text}\n\nNotice {notice.id}"
        return bool(sender.notify(title=notice.title, body=body, body_format="text"))
    finally:
        _log.removeHandler(said)


class _Said(logging.Handler):
    """Keeps what the library warns of in one thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.thread = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread and len(self.lines) < 3:
            self.lines.append(record.getMessage()[:300])
