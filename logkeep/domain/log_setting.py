"""Log setting of a cluster, its rules, and the start times of its daily backup (docs/contract.md, "StartLogs")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from logkeep.errors import InvalidAgency, InvalidField, InvalidPeriod, InvalidZone


@dataclass(frozen=True, slots=True)
class LogSetting:
    """Destination and schedule of a cluster's log backup."""

    id: str  # UUID
    cluster_id: str
    enabled: bool
    agency: str
    bucket: str
    base_path: str
    period: str | None  # as the client sent it; None: no automatic backup
    updated_at: int  # Unix ms
    failures_cleared_at: int = 0  # Unix ms; records of jobs that failed before this moment were cleared
    adaptive: bool = False  # extra runs start before a node deletes lines that are not backed up


@dataclass(frozen=True, slots=True)
class LogSettingChange:
    """Request to open log backup, or to change its setting."""

    agency: str
    bucket: str
    base_path: str
    auto_enable: bool | None = None  # None: not given
    period: str | None = None


AGENCY = "[A-Za-z0-9_-]{1,64}"  # a pattern
_PERIOD = re.compile(r"(\d{1,2}):(\d{2}) (\S.*)", re.ASCII)
_ZONE = re.compile(r"GMT([+-])(\d{2}):?(\d{2})", re.ASCII)
_FORBIDDEN_IN_PATH = re.compile(r"""[\\:*?"<>|'{}\x00-\x1f\x7f-\x9f\ud800-\udfff]""")
_DAY_MS = 24 * 60 * 60 * 1000
_MINUTE = timedelta(minutes=1)
_PARTS_OF_HOURS = (-570, -210, 210, 270, 330, 345, 390, 525, 570, 630, 765)  # where clocks are set so
OFFSETS = tuple(sorted((*range(-12 * 60, 14 * 60 + 1, 60), *_PARTS_OF_HOURS)))  # minutes ahead of UTC, for a choice
MAX_PATH = 512  # bytes
_MAX_FOLDER = 240  # file systems allow 255 bytes


def check_agency(agency: str) -> None:
    """Raise `InvalidAgency` if the name breaks the rules of CSS."""
    if not re.fullmatch(AGENCY, agency):
        raise InvalidAgency()


def check_base_path(path: str) -> None:
    """Raise `InvalidField` if the path breaks the rules of docs/contract.md, "Backup path"."""
    field = "log_base_path"
    if not path:
        raise InvalidField(field, "is missing; give the path in the bucket, for example 'css/log'")
    if len(path.encode(errors="surrogatepass")) > MAX_PATH:
        raise InvalidField(field, f"is too long; at most {MAX_PATH} bytes in UTF-8 are allowed")
    if _FORBIDDEN_IN_PATH.search(path):
        raise InvalidField(field, "must not contain control characters or any of \\ : * ? \" < > | ' { }")
    if path.startswith("/"):
        raise InvalidField(field, "must not start with '/'")
    if path.startswith(".") or path.endswith("."):
        raise InvalidField(field, "must not start or end with '.'")
    if "///" in path or "..." in path:
        raise InvalidField(field, "must not have more than two '/' or '.' in a row")
    for part in path.split("/"):
        if part in {".", ".."} or part != part.strip() or len(part.encode(errors="surrogatepass")) > _MAX_FOLDER:
            raise InvalidField(
                field,
                f"a folder in it must not be '.' or '..', begin or end with a space, or have over {_MAX_FOLDER} bytes",
            )


@dataclass(frozen=True, slots=True)
class DailyTime:
    """Time of day in a zone of fixed offset."""

    hour: int
    minute: int
    offset: timedelta

    @property
    def time_text(self) -> str:
        return f"{self.hour:02}:{self.minute:02}"

    @property
    def zone_text(self) -> str:
        return write_zone(self.offset // _MINUTE)

    def last_due(self, now_ms: int) -> int:
        """Return the latest moment (Unix ms), not after `now_ms`, at which a backup is due."""
        zone = timezone(self.offset)
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
        due = now.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        if due > now:
            due -= timedelta(days=1)
        return int(due.timestamp()) * 1000

    def next_due(self, now_ms: int) -> int:
        """Return the first moment (Unix ms) after `now_ms` at which a backup is due."""
        return self.last_due(now_ms) + _DAY_MS


def write_zone(minutes: int) -> str:
    """Return a zone that is so many minutes ahead of UTC, as a period names it: `GMT+08:00`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"GMT{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def parse_period(period: str) -> DailyTime:
    """Parse `HH:MM GMT±HH:MM`. Raises `InvalidPeriod` for a wrong time, `InvalidZone` for a wrong zone."""
    found = _PERIOD.fullmatch(period)
    if not found:
        raise InvalidPeriod()
    hour, minute, zone_text = int(found[1]), int(found[2]), found[3]
    if hour > 23 or minute > 59:
        raise InvalidPeriod()
    zone = _ZONE.fullmatch(zone_text)
    if not zone:
        raise InvalidZone()
    hours, minutes = int(zone[2]), int(zone[3])
    offset = timedelta(hours=hours, minutes=minutes) * (1 if zone[1] == "+" else -1)
    if minutes > 59 or not timedelta(hours=-12) <= offset <= timedelta(hours=14):
        raise InvalidZone()
    return DailyTime(hour, minute, offset)
