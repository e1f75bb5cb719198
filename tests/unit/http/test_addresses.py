"""Whose address a request has."""

from __future__ import annotations

from typing import Any

import pytest

from logkeep.http.addresses import ClientAddresses

PROXIES = ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7")


def find(peer: str | None, *headers: bytes, proxies: tuple[str, ...] = PROXIES) -> str:
    scope: dict[str, Any] = {
        "client": (peer, 1234) if peer is not None else None,
        "headers": [(b"x-forwarded-for", value) for value in headers],
    }
    return ClientAddresses(proxies).find(scope)


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("203.0.113.1", [b"198.51.100.1"], "203.0.113.1"),  # no proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # what stands left of it anybody may have written
        ("10.0.0.1", [b"198.51.100.1, 10.0.0.2,10.0.0.3"], "198.51.100.1"),
        ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [b"198.51.100.1", b"192.0.2.7"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1:443"], "198.51.100.1"),
        ("10.0.0.1", [b"[2001:db9::1]:443, 2001:db8::5"], "2001:db9::1"),
        ("::ffff:10.0.0.1", [b"::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"nonsense"], "10.0.0.1"),
        ("10.0.0.1", [b""], "10.0.0.1"),
        ("10.0.0.1", [b"\xff"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1," + b"10.0.0.2," * 10_000 + b"10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", [b"fe80::1%" + b"A" * 300], "fe80::1"),  # longer than the audit has room for
        ("10.0.0.1", [b"2001:db9::1%x', 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", [b"[2001:db9::1%25eth0]:443"], "2001:db9::1"),
        (None, [b"198.51.100.1"], ""),
        ("testclient", [b"198.51.100.1"], "testclient"),
    ],
)
def test_it_is_the_right_most_hop_that_is_no_trusted_proxy(
    peer: str | None, headers: list[bytes], address: str
) -> None:
    assert find(peer, *headers) == address


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert find("127.0.0.1", b"198.51.100.1", proxies=()) == "127.0.0.1"
