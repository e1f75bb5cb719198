"""One frozen `Settings`, read once from `logkeep.toml` and `LOGKEEP_…` variables; docs/configuration.md has all."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import msgspec

from logkeep.domain.causes import Cause
from logkeep.domain.notice_target import (
    check_events,
    check_globs,
    check_name,
    check_quiet,
    check_secret,
    check_url,
    check_zone,
)
from logkeep.errors import InvalidField, SettingError
from logkeep.logformat.names import NOT_LOGS

CONFIG_FILE = "logkeep.toml"


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: int = 8475
    max_clock_skew_seconds: int = 900
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks whose X-Forwarded-For is trusted
    connections: int = 0  # at a time; 0 is as many as open files allow, up to 4096
    keep_alive_seconds: float = 120.0  # idle time of connections that have sent a valid key or token
    stranger_seconds: float = 10.0  # idle time of others, and time for the head of their request


class Records(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    running_visible_seconds: float = 5.0
    forecast_keep_days: int = 90  # after the end of the job


class ProjectSources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sources that one project may read besides those that all may."""

    roots: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()  # as sftp.hosts
    agents: tuple[str, ...] = ()  # reserved for the projects that name them


class Sources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    roots: tuple[str, ...] = ()
    exclude: tuple[str, ...] = NOT_LOGS
    max_file_bytes: int = 64 * 1024**3  # plain bytes
    stalled_seconds: float = 300.0  # without progress, after which a local directory counts as hanging
    projects: dict[str, ProjectSources] = {}  # by name


class Sftp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hosts: tuple[str, ...] = ()  # [user@]host[:/directory]; empty: none is allowed
    keys: tuple[str, ...] = ()  # files of private keys; where it is empty, the agent's
    known_hosts: str = "known_hosts"  # in the data directory, unless it is absolute
    jump: str = ""  # user@host[:port]
    connections: int = 32
    timeout_seconds: float = 30.0


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jobs_at_once: int = 2  # of each worker
    jobs_in_all: int = 0  # of all workers together; 0 is no limit
    nodes_at_once: int = 2  # of one job
    turn_seconds: float = 600.0  # how long a job keeps its slot while others wait
    poll_seconds: float = 0.25
    queue_keep_days: float = 1.0  # workflows that have ended
    bandwidth_mib: float = 0.0  # MiB a second of plain logs, all jobs of a worker together; 0 is no limit
    cluster_bandwidth_mib: float = 0.0  # the same for one job


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep_days: int = 400


class Verify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    every_hours: float = 24.0  # 0 is never
    sample_percent: float = 5.0  # of the objects of a cluster that are read back each time


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    every_hours: float = 24.0  # 0 is never


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: bool = True  # made in the background, of what backups have kept


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    spread_minutes: float = 1.0  # window after the period in which clusters start, each at a moment of its own
    stale_after_hours: float = 26.0
    missed_keep_days: int = 400  # daily runs that were missed


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep_days: int = 800  # of what the archive took: the last 62 each, the ends of months before


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: str = ""  # host and port; '' is nowhere
    named_clusters: int = 100  # with more clusters than this, none is named


class Console(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    hosts: tuple[str, ...] = ()  # names by which browsers reach it, besides addresses and localhost
    idle_minutes: float = 60.0  # after which a session ends
    url: str = ""  # where browsers reach it, as https://logkeep.example.com; '' where that is not known


class Notices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    allow: tuple[str, ...] = ()  # networks that webhooks of tenants may reach besides public addresses
    give_up_days: float = 3.0  # after which a notice is not sent any more
    keep_days: int = 90


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[notify]]`: one of `url`, `apprise` and `ping`."""

    name: str
    url: str = ""
    apprise: str = ""
    ping: str = ""
    secret: str = ""  # whsec_…, which signs what is sent to `url`
    clusters: tuple[str, ...] = ()  # patterns of names, as `projects`
    projects: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    quiet: str = ""  # 22:00-07:00
    zone: str = "UTC"
    every_hours: float = 0.0  # of a ping; 0 is after each success

    def __repr__(self) -> str:
        return f"Target(name={self.name!r})"  # URLs hold tokens and passwords


class Bucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""  # '' is the folder buckets/<name> of the data directory
    credentials: dict[str, str] = {}


class Agency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    description: str = ""
    credentials: dict[str, dict[str, str]] = {}  # by bucket; if missing, those of the bucket


class NodeAgent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""
    token: str = ""
    fingerprint: str = ""  # SHA-256 of the certificate; '' is to ask `ca`
    ca: str = ""  # file of certificates; '' is what the system trusts


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings, with their defaults."""

    directory: Path
    database: str = ""  # '' is SQLite in the data directory
    log_level: str = "info"
    server: Server = Server()
    records: Records = Records()
    sources: Sources = Sources()
    sftp: Sftp = Sftp()
    backup: Backup = Backup()
    audit: Audit = Audit()
    verify: Verify = Verify()
    retention: Retention = Retention()
    search: Search = Search()
    policy: Policy = Policy()
    usage: Usage = Usage()
    metrics: Metrics = Metrics()
    console: Console = Console()
    notices: Notices = Notices()
    notify: tuple[Target, ...] = ()
    buckets: dict[str, Bucket] = {}
    agencies: dict[str, Agency] = {}
    agents: dict[str, NodeAgent] = {}

    @property
    def embedded(self) -> bool:
        """Return whether the database is a file, which one process has for itself."""
        return self.database_url.startswith("sqlite")

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.directory / 'logkeep.db'}"


_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": Server,
    "records": Records,
    "sources": Sources,
    "sftp": Sftp,
    "backup": Backup,
    "audit": Audit,
    "verify": Verify,
    "retention": Retention,
    "search": Search,
    "policy": Policy,
    "usage": Usage,
    "metrics": Metrics,
    "console": Console,
    "notices": Notices,
}
_TOP = ("database", "log_level")
_NOT_SETTINGS = {
    "LOGKEEP_DIR",
    "LOGKEEP_ENDPOINT",
    "LOGKEEP_AK",
    "LOGKEEP_SK",
    "LOGKEEP_SECURITY_TOKEN",
    "LOGKEEP_PROJECT_ID",
}
_RANGES: dict[str, tuple[float, float]] = {
    "server.port": (0, 65535),
    "server.max_clock_skew_seconds": (1, 86_400),
    "server.connections": (0, 1_000_000),
    "server.keep_alive_seconds": (0.1, 86_400),
    "server.stranger_seconds": (0.1, 3600),
    "records.running_visible_seconds": (0, 3600),
    "records.forecast_keep_days": (0, 36_500),
    "sftp.connections": (1, 1000),
    "sftp.timeout_seconds": (1, 3600),
    "backup.jobs_at_once": (1, 64),
    "backup.jobs_in_all": (0, 10_000),
    "backup.nodes_at_once": (1, 64),
    "backup.turn_seconds": (1, 86_400),
    "sources.max_file_bytes": (1024**2, 2**62),
    "sources.stalled_seconds": (1, 86_400),
    "backup.poll_seconds": (0.01, 60),
    "backup.queue_keep_days": (0.05, 365),
    "backup.bandwidth_mib": (0, 1_000_000),
    "backup.cluster_bandwidth_mib": (0, 1_000_000),
    "audit.keep_days": (1, 36_500),
    "verify.every_hours": (0, 8760),
    "verify.sample_percent": (0, 100),
    "retention.every_hours": (0, 8760),
    "policy.spread_minutes": (0, 720),
    "policy.stale_after_hours": (24, 8760),
    "usage.keep_days": (62, 36_500),
    "policy.missed_keep_days": (1, 36_500),
    "metrics.named_clusters": (0, 10_000),
    "console.idle_minutes": (1, 10_080),
    "notices.give_up_days": (0.01, 7),
    "notices.keep_days": (10, 36_500),
}


def documentation(page: str) -> Path:
    """Return where a page of the documentation lies: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "docs"
    return (installed if installed.is_dir() else package.parent / "docs") / f"{page}.md"


def load_settings(directory: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of the installation in `directory`. Raises `SettingError` naming the wrong key."""
    document = _read_file(directory / CONFIG_FILE)
    for name, value in environment.items():
        if name.startswith("LOGKEEP_") and name not in _NOT_SETTINGS:
            _apply_variable(document, name, value)
    _refuse_nul(document)
    document["directory"] = directory.absolute()
    try:
        settings = msgspec.convert(document, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"{CONFIG_FILE}: {_readable(_name_keys(document, str(error)))}") from error
    for key, (least, most) in _RANGES.items():
        section, _, name = key.partition(".")
        if not least <= getattr(getattr(settings, section), name) <= most:
            raise SettingError(f"{key}: from {least} to {most} is allowed")
    if settings.log_level not in {"debug", "info", "warning", "error"}:
        raise SettingError("log_level: is one of debug, info, warning, error")
    _check_sources(settings)
    for proxy in settings.server.trusted_proxies:
        _check_network("server.trusted_proxies", proxy)
    for network in settings.notices.allow:
        _check_network("notices.allow", network)
    _check_console_url(settings.console.url)
    check_targets(settings.notify)
    for name in settings.buckets:
        check_bucket_name(name, f"buckets.{name}")
    return settings


def check_bucket_name(name: str, key: str) -> None:
    """Raise `SettingError` that names the setting `key`, for a name that no bucket may have."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
        raise SettingError(f"{key}: a bucket's name has 1 to 63 letters, digits, '.', '_' or '-'")


def _refuse_nul(value: object, key: str = "") -> None:
    """Raise `SettingError` for a NUL, which no system call accepts and which would fail only later."""
    if isinstance(value, str) and "\0" in value:
        raise SettingError(f"{key}: holds a NUL; leave it out")
    if isinstance(value, dict):
        for name, member in cast(dict[str, object], value).items():
            _refuse_nul(member, f"{key}.{name}".removeprefix("."))
    if isinstance(value, list):
        for member in cast(list[object], value):
            _refuse_nul(member, key)


def _check_network(key: str, text: str) -> None:
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise SettingError(
            f"{key}: {text!r} is no address and no network; write it as 10.0.0.5 or 10.0.0.0/24"
        ) from None


def _check_console_url(url: str) -> None:
    try:
        if url:
            check_url(url, "console.url", plain=True)
    except InvalidField as error:
        raise SettingError(error.message) from error


def check_targets(targets: Sequence[Target]) -> None:
    """Raise `SettingError` for a target of notices that cannot be one; its message shows no secret."""
    for position, target in enumerate(targets, 1):
        where = f"notify.{target.name}" if target.name else f"notify, number {position}"
        try:
            _check_target(target)
        except InvalidField as error:
            raise SettingError(f"{where}.{error.message}") from error
        if [one.name for one in targets].count(target.name) > 1:
            raise SettingError(f"{where}: there are two of this name")


def _check_target(target: Target) -> None:
    check_name(target.name)
    if [bool(target.url), bool(target.apprise), bool(target.ping)].count(True) != 1:
        raise InvalidField("url", "write one of url, apprise and ping")
    if target.url or target.ping:
        check_url(target.url or target.ping, "url" if target.url else "ping", plain=True)
    if target.secret:
        check_secret(target.secret)
    if target.secret and not target.url:
        raise InvalidField("secret", "is for a url alone, as only that is signed")
    if not 0 <= target.every_hours <= 8760 or (target.every_hours and not target.ping):
        raise InvalidField("every_hours", "is for a ping alone, from 0 to 8760")
    check_globs(target.clusters, "clusters")
    check_globs(target.projects, "projects")
    check_events(target.events)
    check_quiet(target.quiet)
    check_zone(target.zone)


def _check_sources(settings: Settings) -> None:
    projects = settings.sources.projects.items()
    given = [(f"sources.projects.{name}", project) for name, project in projects]
    for where, roots in [("sources", settings.sources.roots), *((name, one.roots) for name, one in given)]:
        for root in roots:
            if not Path(root).is_absolute():
                raise SettingError(f"{where}.roots: {root!r} is no absolute directory")
    for where, project in given:
        for agent in project.agents:
            if agent not in settings.agents:
                raise SettingError(f"{where}.agents: there is no [agents.{agent}]")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: is no valid TOML: {error}") from error
    except OSError as error:
        raise SettingError(Cause.SETTINGS_DENIED.tell(path=path, said=error.strerror)) from error


def _apply_variable(document: dict[str, Any], name: str, value: str) -> None:
    """Set a value by its variable: `LOGKEEP_SERVER_PORT` is `server.port`; lists are separated by commas."""
    key = name.removeprefix("LOGKEEP_").lower()
    if key in _TOP:
        document[key] = value
        return
    section, _, rest = key.partition("_")
    known = _SECTIONS.get(section)
    if known is None or rest not in known.__struct_fields__:
        raise SettingError(f"{name}: there is no such setting; {documentation('configuration')} lists them")
    is_list = isinstance(getattr(known(), rest), tuple)
    parts: Any = [part.strip() for part in value.split(",") if part.strip()] if is_list else value
    document.setdefault(section, {})[rest] = parts


def _name_keys(document: dict[str, Any], message: str) -> str:
    """Return the message with the keys of tables, for which msgspec writes `[...]`: those that alone are refused so."""
    text, at, path = message.partition(" - at `$")
    where: list[str] = []
    for name, index in re.findall(r"\.([^.\[`]+)|(\[[^\]]*\])", path):
        if index == "[...]":
            tables = {key: _only(document, where, key) for key in _at(document, where)}
            key = next((key for key, only in tables.items() if _refusal(only) == message), "?")
            document = tables.get(key, document)
            where.append(key)
        else:
            where.append(name or index)
    return f"{text}{at}.{'.'.join(where).replace('.[', '[')}`" if at else message


def _at(document: dict[str, Any], where: Sequence[str]) -> dict[str, Any]:
    for key in where:
        document = document[key]
    return document


def _only(document: dict[str, Any], where: Sequence[str], key: str) -> dict[str, Any]:
    """Return the document with nothing but this key in the table at `where`."""
    if not where:
        return {key: document[key]}
    return {**document, where[0]: _only(document[where[0]], where[1:], key)}


def _refusal(document: dict[str, Any]) -> str:
    try:
        msgspec.convert(document, Settings, strict=False)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _readable(message: str) -> str:
    """Rewrite an error of msgspec: `Expected `int` - at `$.server.port`` becomes `server.port: expected `int``."""
    found = re.fullmatch(r"(.*?)(?: - at `\$\.?(.*)`)?", message, re.DOTALL)
    text, key = (found[1], found[2]) if found else (message, None)
    return f"{key}: {text[0].lower()}{text[1:]}" if key else text
