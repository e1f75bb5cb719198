"""How settings name hosts that are read over SSH: `sftp.hosts`, `sftp.jump`."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from logkeep.errors import SettingError

_JUMP = re.compile(
    r"(?P<user>[^\s@/:]+)@(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[\w.-]+))(?::(?P<port>\d{1,5}))?"
)
_HOST = re.compile(r"\[[^\s\[\]/]+\]|[^\s\[\]/:]+|[^\s\[\]/]*:[^\s\[\]/]*:[^\s\[\]/]*")  # an IPv6 address has two ':'


@dataclass(frozen=True, slots=True)
class Address:
    user: str
    host: str
    port: int = 22

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" + (f":{self.port}" if self.port != 22 else "")


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One of `sftp.hosts`: `[user@]host[:/directory]`, with `*` and `?` in user and host."""

    user: str
    host: str
    directory: bytes  # b'' is any

    @classmethod
    def parse(cls, text: str, key: str = "sftp.hosts") -> AllowedHost:
        """Parse an entry of `sftp.hosts`. Raises `SettingError` that names the setting `key`."""
        name, separator, directory = text.partition(":/")
        user, at, host = name.rpartition("@")
        if not _HOST.fullmatch(host) or (at and not user) or not text.isprintable():
            raise SettingError(
                f"{key}: {text!r} is not written as host, user@host or host:/directory; each port of a host is allowed"
            )
        path = posixpath.normpath(f"/{directory}") if separator else ""
        host = host.removeprefix("[").removesuffix("]").lower()
        return cls(user or "*", host, os.fsencode(path.replace("//", "/")))

    def allows(self, address: Address, directory: bytes) -> bool:
        return (
            fnmatchcase(address.host, self.host)
            and fnmatchcase(address.user, self.user)
            and (not self.directory or is_below(directory, self.directory))
        )


def parse_jump(text: str) -> Address | None:
    """Parse `user@host` or `user@host:port`; None for ''. Raises `SettingError`."""
    if not text:
        return None
    found = _JUMP.fullmatch(text)
    port = int(found["port"] or 22) if found else 0
    if found is None or not 0 < port <= 65535:
        raise SettingError(f"sftp.jump: {text!r} is not written as user@host or user@host:port")
    return Address(found["user"], found["six"] or found["host"], port)


def is_below(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(root.rstrip(b"/") + b"/")
