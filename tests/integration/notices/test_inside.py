"""A webhook of a tenant is no way into the operator's network."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from logkeep.domain.notice import Event, Notice
from logkeep.domain.notice_target import Destination, TargetKind
from logkeep.notify.addresses import AddressRefused, check_addresses, resolve
from logkeep.notify.webhook import Webhooks
from tests.real.certificates import Authority, found_authority
from tests.support.notices import SECRET
from tests.support.receivers import Receiver, receiving, respond

NOTICE = Notice(id="0" * 32, event=Event.TEST, at=0, since=0, cause="it is a test")
INSIDE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.0.0.5", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "168.63.129.16", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.5", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::", "2001::1", "2001:db8::1", "100::1",
]  # fmt: skip


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Whom this machine trusts."""
    found = found_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.ca))
    return found


@pytest.fixture
def receiver(authority: Authority) -> Iterator[Receiver]:
    """With a certificate for hooks.example.com."""
    certificate, key, _ = authority.issue("hooks.example.com")
    with receiving((certificate, key)) as receiver:
        yield receiver


class Names:
    """A resolver that gives these answers, one after the other."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0)


def hook(receiver: Receiver, host: str = "hooks.example.com", scheme: str = "https") -> Destination:
    url = f"{scheme}://{host}:{receiver.port}/t0ken"
    return Destination(kind=TargetKind.WEBHOOK, url=url, secret=SECRET, guarded=True)


def sender(names: Names, *allowed: str) -> Webhooks:
    return Webhooks("0", [ip_network(one) for one in allowed], find=names, seconds=3.0)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_the_inside_are_refused(address: str) -> None:
    for found in ([address], ["93.184.216.34", address], [address, "2606:2800:220:1::1"]):
        with pytest.raises(AddressRefused):
            check_addresses(found, [], plain=False)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_public_addresses_are_taken_but_not_without_tls(address: str) -> None:
    assert check_addresses([address], [], plain=False)
    with pytest.raises(AddressRefused):
        check_addresses([address], [], plain=True)


def test_a_name_that_leads_inside_is_not_connected_to(receiver: Receiver) -> None:
    for host in (
        "hooks.example.com",
        "localhost",
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ):
        webhooks = sender(Names(["127.0.0.1"])) if host == "hooks.example.com" else Webhooks("0", [], seconds=3.0)
        answer = webhooks.send(hook(receiver, host), NOTICE)
        assert answer.error.startswith("its name leads to an address that tenants may not reach"), (host, answer)
        assert "127" not in answer.error
    assert receiver.received == []


def test_decimal_and_octal_addresses_are_what_the_system_takes_them_for() -> None:
    try:
        found = resolve("2130706433", 443)
    except OSError:
        return
    assert found == ["127.0.0.1"]


def test_an_allowed_one_is_resolved_once_and_known_by_its_name(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    answer = sender(names, "127.0.0.1/32").send(hook(receiver), NOTICE)
    assert answer.error == ""
    assert names.asked == ["hooks.example.com"], "a second answer would be another one"
    (got,) = receiver.received
    assert got.headers["host"] == f"hooks.example.com:{receiver.port}"


def test_the_certificate_must_be_of_the_name(receiver: Receiver) -> None:
    answer = sender(Names(["127.0.0.1"]), "127.0.0.0/8").send(hook(receiver, "other.example.com"), NOTICE)
    assert "certificate verify failed" in answer.error
    assert receiver.received == []


def test_redirects_to_the_inside_are_not_followed_and_what_the_inside_says_is_not_told(receiver: Receiver) -> None:
    with receiving() as inside:
        receiver.answer = lambda handler: respond(handler, 307, b"secret of the inside", Location=inside.url)
        answer = sender(Names(["127.0.0.1"]), "127.0.0.0/8").send(hook(receiver), NOTICE)
        assert answer.error == "307: it leads elsewhere, which is not followed; name the URL that it leads to"
        assert inside.received == []
    receiver.answer = lambda handler: respond(handler, 500, b"secret of the inside")
    answer = sender(Names(["127.0.0.1"]), "127.0.0.0/8").send(hook(receiver), NOTICE)
    assert answer.error == "500 Internal Server Error"


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert sender(Names(["127.0.0.1"]), "127.0.0.0/8").send(hook(receiver), NOTICE).error == ""


def test_without_tls_only_what_is_allowed_is_reached() -> None:
    with receiving() as plain:
        allowed = sender(Names(["127.0.0.1"]), "127.0.0.0/8").send(hook(plain, scheme="http"), NOTICE)
        refused = sender(Names(["127.0.0.1"]), "10.0.0.0/8").send(hook(plain, scheme="http"), NOTICE)
        assert (allowed.error, len(plain.received)) == ("", 1)
        assert "without TLS" in refused.error


def test_a_name_that_nobody_knows_or_that_is_not_answered(receiver: Receiver) -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    webhooks = Webhooks("0", [], find=unknown, seconds=1.0)
    assert webhooks.send(hook(receiver), NOTICE).error == "cannot be reached: [Errno -2] Name or service not known"
