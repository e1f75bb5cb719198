"""E-mail by Apprise, to a real SMTP server; and URLs that it does not take."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from logkeep.domain.notice import DeliveryState, Event, Notice
from logkeep.domain.notice_target import Destination, TargetKind
from logkeep.errors import SettingError
from logkeep.notify import apprise
from logkeep.service import notice_targets
from tests.real.servers import free_port
from tests.support.notices import telling

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library
NOTICE = Notice(
    id="0123456789abcdef" * 2,
    event=Event.BACKUP_FAILED,
    at=0,
    since=0,
    cluster_id="c",
    cluster="prod",
    cause="cluster prod: the backup, 3 min ago, failed: LK-SOURCE-UNREACHABLE: node n1: it does not answer",
    remedy="see `logkeep records prod --status FAIL`",
)


class Mailbox:
    """What an SMTP server got."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = "250 OK"
        self.port = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        if self.answer.startswith("250"):
            self.mails.append(mail)
        return self.answer


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    from aiosmtpd.controller import Controller

    mailbox = Mailbox()
    mailbox.port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


def url(port: int) -> str:
    return f"mailto://127.0.0.1:{port}?from=logkeep@example.com&to=ops@example.com&mode=insecure"


def test_a_mail_says_all_and_names_the_notice(mailbox: Mailbox) -> None:
    to = Destination(kind=TargetKind.APPRISE, url=url(mailbox.port))
    assert apprise.send(to, NOTICE).error == ""
    (mail,) = mailbox.mails
    assert mail["subject"] == "Logkeep: prod: backup failed"
    assert mail["to"] == "ops@example.com"
    body = mail.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    assert "Cluster prod: the backup, 3 min ago, failed: LK-SOURCE-UNREACHABLE: node n1: it" in lines
    assert "See `logkeep records prod --status FAIL`" in lines
    assert f"Notice {NOTICE.id}" in lines
    assert max(map(len, lines)) <= 80


def test_a_server_that_refuses_or_is_away_is_told_without_the_password(mailbox: Mailbox) -> None:
    mailbox.answer = "554 no, pa55word-of-ours is not welcome"
    for port in (mailbox.port, 1):
        secret = (
            f"mailto://logkeep:pa55word-of-ours@127.0.0.1:{port}?from=a@example.com&to=ops@example.com&mode=insecure"
        )
        error = apprise.send(Destination(kind=TargetKind.APPRISE, url=secret), NOTICE).error
        assert error.startswith("cannot be sent: ")
        assert "pa55word" not in error
    assert mailbox.mails == []


def test_several_at_a_time_keep_their_errors_apart(mailbox: Mailbox) -> None:
    errors: dict[int, str] = {}

    def send(port: int) -> None:
        errors[port] = apprise.send(Destination(kind=TargetKind.APPRISE, url=url(port)), NOTICE).error

    threads = [threading.Thread(target=send, args=(port,)) for port in (1, mailbox.port)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors[mailbox.port] == ""
    assert errors[1].startswith("cannot be sent: ")


def test_settings_with_a_wrong_url_are_refused_by_their_key(tmp_path: Path) -> None:
    for at, wrong in enumerate(("nothing://pa55word", "mailto://pa55word:::", "pa55word")):
        with pytest.raises(SettingError) as raised, telling(tmp_path / str(at), f'name = "ops"\napprise = "{wrong}"'):
            pass
        assert raised.value.message.startswith("notify.ops.apprise: Apprise does not take this URL")
        assert "pa55word" not in raised.value.message


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingError) as raised, telling(tmp_path / "i", f'name = "ops"\napprise = "{url(1)}"'):
        pass
    assert raised.value.message == "notify.ops.apprise: Apprise is not installed; `pip install 'logkeep[notify]'`"


def test_it_is_tried_by_hand(tmp_path: Path, mailbox: Mailbox) -> None:
    with telling(tmp_path / "i", f'name = "ops"\napprise = "{url(mailbox.port)}"') as installation:
        assert notice_targets.test_target(installation.runtime, "", "ops").state is DeliveryState.DELIVERED
        assert mailbox.mails[0]["subject"] == "Logkeep: test"
        assert "mailto" not in repr(installation.runtime.notices).replace("Destination(mailto)", "")
