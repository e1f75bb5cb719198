"""Whose address a request has: the peer's, or what trusted proxies say of who asked the first of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.types import Scope

_HEADER = b"x-forwarded-for"
_MOST_HOPS = 32  # that are looked at; each proxy on the way adds one

Address = IPv4Address | IPv6Address


class ClientAddresses:
    """Finds the address of a client; knows the proxies that are trusted to tell it."""

    def __init__(self, proxies: Sequence[str]) -> None:
        """Trust these addresses and networks, which the settings have checked."""
        self._trusted = [ip_network(proxy, strict=False) for proxy in proxies]

    def find(self, scope: Scope) -> str:
        """Return the address of the right-most hop that is no trusted proxy; what is left of it may be forged.

        Where a hop is no address, return that of the proxy that passed it on; '' where the peer has none.
        """
        client = scope["client"]
        peer = client[0] if client else ""
        address = _parse(peer) if self._trusted else None
        if address is None or not self._is_trusted(address):
            return peer
        for hop in _hops(scope):
            before = _parse(hop)
            if before is None:
                break
            address = before
            if not self._is_trusted(address):
                break
        return str(address)

    def find_scheme(self, scope: Scope) -> str:
        """Return `http` or `https`, by which the client asked; where a trusted proxy passed it on, what that says."""
        client = scope["client"]
        peer = _parse(client[0]) if client and self._trusted else None
        if peer is not None and self._is_trusted(peer):
            said = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
            if said and said[-1].strip().lower() in {b"http", b"https"}:
                return said[-1].strip().lower().decode()
        return str(scope["scheme"])

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _hops(scope: Scope) -> Iterator[str]:
    """Yield hops from right to left. Several headers count as one, joined in their order."""
    values = [value for name, value in scope["headers"] if name == _HEADER]
    hops = b",".join(values).rsplit(b",", _MOST_HOPS)[-_MOST_HOPS:] if values else []
    return (hop.decode("latin-1").strip() for hop in reversed(hops))


def _parse(text: str) -> Address | None:
    """Parse an address, also one with a port or in brackets; return an IPv4 address mapped into IPv6 as IPv4.

    What follows a '%' is dropped: it names an interface of another machine.
    """
    if text.startswith("["):
        text, closed, _ = text[1:].partition("]")
        text = text if closed else ""
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
