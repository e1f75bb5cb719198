"""A request as a browser sends it: its headers, its cookies, and by which name the browser knows the console."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from ipaddress import ip_address

from starlette.types import Scope

_HOST = re.compile(r"\[([0-9a-f:.]+)\](?::\d+)?|([^:\[\]/@]+)(?::\d+)?", re.IGNORECASE)


class ConsoleRequest:
    """One request."""

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.scope = scope
        self.id = request_id
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers = _by_name(scope["headers"])

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def host(self) -> str:
        return self.header(b"host")

    @property
    def is_part(self) -> bool:
        """Return whether the script asks for a part of a page."""
        return b"hx-request" in self.headers

    @property
    def accepts_gzip(self) -> bool:
        return "gzip" in self.header(b"accept-encoding")

    @property
    def is_same_site(self) -> bool:
        """Return whether a page of the console sends it, as far as the browser tells."""
        return self.header(b"sec-fetch-site") in {"", "same-origin", "none"}

    @cached_property
    def cookies(self) -> dict[str, str]:
        """Return the first cookie of each name, which browsers send of the nearest path.

        Those of other programs on this machine come along, as ports do not part them, and may hold anything.
        """
        found: dict[str, str] = {}
        for pair in self.header(b"cookie").split(";"):
            name, _, value = pair.partition("=")
            found.setdefault(name.strip(), value.strip())
        return found

    def is_for(self, hosts: Iterable[str]) -> bool:
        """Return whether a browser may know the console by the name that it asked for.

        A name of somebody else's can be pointed at this address, whose page would then read all (DNS rebinding); an
        address cannot.
        """
        found = _HOST.fullmatch(self.host)
        if not found:
            return False
        name = (found[1] or found[2]).lower().rstrip(".")
        return name in {"localhost", *(one.lower() for one in hosts)} or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _by_name(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by name; several cookies are joined as HTTP/2 allows to part them, of others the last counts."""
    headers = dict(pairs)
    cookies = [value for name, value in pairs if name == b"cookie"]
    if len(cookies) > 1:
        headers[b"cookie"] = b"; ".join(cookies)
    return headers
