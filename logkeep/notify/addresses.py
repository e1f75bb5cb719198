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
_WIRE_SERVER = ip_address("168.63.129.16")  # of Azure's machines, for themselves; a public address by its number


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
    addresses = [_plainest(text) for text in found]
    for address in addresses:
        if any(address in network for network in allowed if network.version == address.version):
            continue
        if plain or not _is_public(address):
            # Not which one: it would tell who may not know it what the names of the inside mean.
            raise AddressRefused(
                "its name leads to an address that tenants may not reach"
                + (" without TLS" if plain else "")
                + "; name one that is public, or let the operator add the network to notices.allow"
            )
    return addresses


def _plainest(text: str) -> Address:
    """Return an address; one of IPv6 that stands for one of IPv4 as that."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner and not _is_public(inner):
            return inner
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and address != _WIRE_SERVER
    )
