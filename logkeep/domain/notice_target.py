"""Targets of notices: who is told of what, and when."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from fnmatch import fnmatchcase
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from logkeep.domain.notice import Event, Notice
from logkeep.errors import InvalidField

MOST_TARGETS = 20  # of a project
MAX_TARGET_NAME, MAX_TARGET_URL = 64, 2048  # characters
MOST_GLOBS, MAX_GLOB = 50, 64
SECRET_PREFIX = "whsec_"  # noqa: S105  of the Standard Webhooks specification
_SECRET_BYTES = range(24, 65)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class TargetKind(StrEnum):
    """How a target is reached."""

    WEBHOOK = "webhook"
    APPRISE = "apprise"
    PING = "ping"  # a dead man's switch, which is asked while all is well


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeTarget:
    """A target as it is shown; times are Unix ms."""

    name: str
    kind: TargetKind
    address: str  # without any secret: scheme and host only
    configured: bool  # in logkeep.toml
    clusters: tuple[str, ...] = ()  # patterns of names; empty is every one
    events: tuple[Event, ...] = ()  # empty is every one
    quiet: str = ""  # 22:00-07:00; '' is never
    zone: str = "UTC"
    every_hours: float = 0  # of a ping; 0 is after each success
    created_at: int = 0
    failing_since: int | None = None  # None unless the last attempt failed
    last_error: str = ""
    last_delivered_at: int | None = None
    waiting: int = 0  # notices


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a target is reached, with its secrets."""

    kind: TargetKind
    url: str
    secret: str = ""  # that signs; '' for no signature
    guarded: bool = False  # named by a tenant: no address of the inside

    def __repr__(self) -> str:
        return f"Destination({show_address(self.url)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a target wants to be told, and when."""

    key: str  # `/NAME` for a target of logkeep.toml, else `PROJECT/NAME`
    clusters: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()  # patterns of names; of logkeep.toml only
    events: tuple[Event, ...] = ()
    quiet: str = ""
    zone: str = "UTC"

    @property
    def name(self) -> str:
        return self.key.partition("/")[2]

    @property
    def project_id(self) -> str:
        """Return the project that named it, '' for a target of logkeep.toml."""
        return self.key.partition("/")[0]

    def wants(self, notice: Notice) -> bool:
        if self.project_id and self.project_id != notice.project_id:
            return False
        return (
            (not self.events or notice.event in self.events)
            and _matches(notice.cluster, self.clusters)
            and _matches(notice.project, self.projects)
        )

    def watches(self, project: str, cluster: str) -> bool:
        """Return whether it is about a cluster, by the names."""
        return _matches(cluster, self.clusters) and _matches(project, self.projects)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredTarget:
    """A target of logkeep.toml."""

    subscription: Subscription
    destination: Destination
    every_hours: float = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt to send."""

    error: str = ""  # '' if it was delivered
    status: int = 0  # of HTTP; 0 where there is none
    retry_after: float = 0  # seconds, as the receiver asks for

    @property
    def is_gone(self) -> bool:
        """Return whether the receiver wants nothing any more."""
        return self.status == 410

    @property
    def is_refused(self) -> bool:
        """Return whether the receiver takes others, but not this one."""
        return 400 <= self.status < 500 and self.status not in {401, 403, 404, 408, 410, 425, 429}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTarget:
    """A webhook as somebody names it."""

    name: str
    url: str
    secret: str = ""  # '' makes one
    clusters: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    quiet: str = ""
    zone: str = "UTC"

    def __repr__(self) -> str:
        return f"NewTarget(name={self.name!r})"  # a URL may hold a token


def check_name(name: str) -> str:
    """Return the name of a target. Raises `InvalidField`."""
    if not _NAME.fullmatch(name):
        raise InvalidField("name", "1 to 64 letters, digits, '.', '_' or '-' are allowed, and a letter or digit first")
    return name


def check_url(url: str, field: str, *, plain: bool) -> str:
    """Return a URL of http, where `plain` allows it, or https. Raises `InvalidField` that does not show it."""
    if len(url) > MAX_TARGET_URL or not _PRINTABLE.fullmatch(url):
        raise InvalidField(
            field, f"write it as https://host/path, at most {MAX_TARGET_URL} characters, none of them blank"
        )
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0 or parts.scheme not in {"http", "https"}:
            raise ValueError
    except ValueError:
        raise InvalidField(field, "write it as https://host/path") from None
    if parts.username is not None or parts.password is not None:
        raise InvalidField(field, "leave out user and password; the signature tells who sends")
    if parts.scheme == "http" and not plain:
        raise InvalidField(field, "http would send it for all to read; write https://")
    return url


def check_secret(secret: str) -> str:
    """Return a secret: `whsec_` and base64 of 24 to 64 bytes. Raises `InvalidField` that does not show it."""
    try:
        if secret.startswith(SECRET_PREFIX) and len(b64decode(secret[6:], validate=True)) in _SECRET_BYTES:
            return secret
    except (NotBase64, ValueError):
        pass
    raise InvalidField("secret", "write whsec_ and base64 of 24 to 64 bytes, such as `openssl rand -base64 32` makes")


def check_globs(globs: Iterable[str], field: str) -> tuple[str, ...]:
    """Return patterns of names, in which `*` is anything and `?` one character. Raises `InvalidField`."""
    given = tuple(globs)
    if len(given) > MOST_GLOBS or any(not glob or len(glob) > MAX_GLOB or not glob.isprintable() for glob in given):
        raise InvalidField(field, f"at most {MOST_GLOBS} patterns of 1 to {MAX_GLOB} characters, such as prod-*")
    return given


def check_events(events: Iterable[str]) -> tuple[Event, ...]:
    """Return events by their names. Raises `InvalidField` that names those that there are."""
    given = tuple(events)
    known = [event.value for event in Event if event is not Event.TEST]
    if not set(given) <= set(known):
        raise InvalidField("events", f"are of: {', '.join(known)}")
    return tuple(dict.fromkeys(map(Event, given)))


def check_zone(zone: str) -> str:
    """Return the IANA name of a zone. Raises `InvalidField`."""
    try:
        _zone(zone)
    except (KeyError, ValueError, OSError):  # of names that are none, or lead out of the folder of zones
        raise InvalidField("zone", "is no zone that is known here; write it as Europe/Berlin, or UTC") from None
    return zone


def check_quiet(quiet: str) -> str:
    """Return quiet hours. Raises `InvalidField`."""
    found = _QUIET.fullmatch(quiet)
    if quiet and (not found or found.group(1, 2) == found.group(3, 4)):
        raise InvalidField("quiet", "write it as 22:00-07:00, from and to, at different times")
    return quiet


def quiet_until(quiet: str, zone: str, now: int) -> int:
    """Return when the quiet hours end that `now` lies in, `now` where it lies in none; Unix ms."""
    found = _QUIET.fullmatch(quiet)
    if not found:
        return now
    begin, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    here = datetime.fromtimestamp(now / 1000, _zone(zone))
    at = here.time()
    is_quiet = begin <= at < end if begin < end else at >= begin or at < end
    if not is_quiet:
        return now
    day = here.date() + timedelta(days=1 if at >= end else 0)
    over = datetime.combine(day, end, _zone(zone))
    return max(now, round(over.timestamp() * 1000))


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # which not every machine has the files for


def _matches(name: str, globs: tuple[str, ...]) -> bool:
    """Return whether a name matches any of the patterns; '' is of what concerns none alone, and matches all."""
    return not globs or not name or any(fnmatchcase(name, glob) for glob in globs)


def show_address(url: str) -> str:
    """Return scheme and host of a URL, without what may be secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{host}" if parts.scheme in {"http", "https"} else parts.scheme
