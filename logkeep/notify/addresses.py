"""Addresses of receivers: resolved once, all checked, and connected to as they were checked."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from logkeep.errors import LogkeepError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]  # host and port: addresses; raises `OSError`

EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_NAT64 = ip_network("64:ff9b::/96")
# Public by their numbers, or as older Pythons see them: Azure's and Oracle's services for their own machines, and forms
# of IPv6 that stand for others.
_DENIED = [
    ip_network(text)
    for text in ("168.63.129.16/32", "192.0.0.0/24", "2001::/23", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10")
]


class AddressRefused(LogkeepError):
    """The receiver is at an address that may not be reached."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def check_addresses(found: Sequence[str], allowed: Sequence[Network], *, plain: bool) -> list[Address]:
    """Return the addresses that a name resolved to. Raises `AddressRefused` if one of them is of the inside.

    Those in `allowed` may be reached, and only they without TLS, which is `plain`.
    """
    addresses = [ip_address(text.partition("%")[0]) for text in found]
    for address in addresses:
        meant = _meant(address)
        if lies_in(meant, allowed):
            continue
        if plain or not _is_public(meant):
            # Not which one: it would tell who may not know it what the names of the inside mean.
            raise AddressRefused(
                "its name leads to an address that tenants may not reach"
                + (" without TLS" if plain else "")
                + "; name one that is public, or let the operator add the network to notices.allow"
            )
    return addresses


def _meant(address: Address) -> Address:
    """Return the address of IPv4 that one of IPv6 stands for; else the same."""
    if isinstance(address, IPv6Address):
        return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped or address
    return address


def lies_in(address: Address, networks: Sequence[Network]) -> bool:
    """Return whether an address, or that of IPv4 which it stands for, lies in one of the networks."""
    address = _meant(address)
    return any(address in network for network in networks if network.version == address.version)


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not lies_in(address, _DENIED)
    )
