"""Requests and responses of the CSS API V1, to and from domain values.

docs/contract.md, "Operations" and "Clusters" and "Identity" have a section for each operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

import msgspec

from logkeep.contract.fields import (
    Fields,
    boolean_field,
    listed,
    read_object,
    read_query,
    required_text,
    shown,
    text_field,
)
from logkeep.contract.requests import (
    ACCOUNT_ID,
    ACTION,
    BASE,
    ENABLED,
    ENGINE,
    KEYWORD,
    LEVELS,
    LIMIT,
    OFFSET,
    PAGE,
    PAGE_NUMBER,
    PARENT_ID,
    PER_PAGE,
    PROJECT_NAME,
    PROJECTS_QUERY,
    REAL_TIME,
    SEARCH_LIMIT,
    START,
    STATUS,
    TIME_INDEX,
    names_of,
)
from logkeep.domain.backup_job import BackupJob, JobStatus, JobType, StatusFilter
from logkeep.domain.cluster import Cluster, Node, Project
from logkeep.domain.log_line import LogKind, LogLine, LogQuery
from logkeep.domain.log_setting import LogSetting, LogSettingChange, parse_period
from logkeep.errors import InvalidAgency, InvalidField, InvalidPeriod

NOTHING = b"{}"  # body of a mutating call; no other suits all clients (docs/contract.md, "Types in answers")
_PAGE = names_of(PAGE)
_RECORDS_QUERY = _PAGE | {STATUS.name}
_CLUSTERS_QUERY = _PAGE | {ENGINE.name}
_ACTION_QUERY = frozenset({ACTION.name})
_PROJECTS_QUERY = names_of(PROJECTS_QUERY)
ACCOUNT = "default"  # id and name of the account: there is one, and this is Keystone's name for it

_encode = msgspec.json.Encoder().encode


# Requests


class Page(NamedTuple):
    """Which part of a list is asked for."""

    offset: int  # number of the first entry, from 1
    limit: int


def read_records_query(raw: bytes) -> tuple[Page, StatusFilter]:
    """Read the query of ListLogsJob."""
    query = read_query(raw, _RECORDS_QUERY)
    return read_page(query), StatusFilter(STATUS.read(query))


def read_clusters_query(raw: bytes) -> tuple[Page, str]:
    """Read the query of ListClustersDetails: the page, and the engine or '' for all."""
    query = read_query(raw, _CLUSTERS_QUERY)
    return read_page(query), ENGINE.read(query)


class ProjectsQuery(NamedTuple):
    """Which projects are asked for."""

    name: str | None  # of the project or its region
    elsewhere: bool  # of another account or below something else, or one that cannot be used: there is none
    page: int  # from 1
    per_page: int


def read_projects_query(raw: bytes) -> ProjectsQuery:
    """Read the query of KeystoneListProjects."""
    query = read_query(raw, _PROJECTS_QUERY)
    accounts, enabled = {ACCOUNT_ID.read(query), PARENT_ID.read(query)}, ENABLED.read(query)
    elsewhere = not accounts <= {"", ACCOUNT} or enabled is False
    return ProjectsQuery(PROJECT_NAME.read(query) or None, elsewhere, PAGE_NUMBER.read(query), PER_PAGE.read(query))


def read_page(query: dict[str, str]) -> Page:
    """Read `offset`, or `start`, its older name; neither has an upper limit (docs/contract.md, "Paging")."""
    offset, start = OFFSET.read(query), START.read(query)
    return Page(offset if OFFSET.name in query else start, LIMIT.read(query))


def asks_real_time(raw_query: bytes) -> bool:
    """Tell if `action` asks for real-time collection into a cluster, instead of backup into a bucket."""
    return ACTION.read(read_query(raw_query, _ACTION_QUERY)) == REAL_TIME


def refuse_real_time(raw_query: bytes) -> None:
    """Raise `InvalidField` where `action` asks for real-time collection, which is not offered."""
    if asks_real_time(raw_query):
        raise InvalidField(
            ACTION.name, f"{shown(REAL_TIME)} came; real-time collection is not offered here, {BASE!r} is"
        )


def read_opening(raw_query: bytes, body: bytes) -> LogSettingChange:
    """Read query and body of StartLogs. The daily backup is on only if a period is given."""
    change = read_setting_change(raw_query, body)
    if change.auto_enable and not change.period:
        raise InvalidPeriod("period: is missing; with auto_enable true write it as 'HH:MM GMT+HH:MM'")
    return change


def read_setting_change(raw_query: bytes, body: bytes) -> LogSettingChange:
    """Read query and body of UpdateLogSetting; an empty string counts as missing."""
    refuse_real_time(raw_query)
    fields = read_object(body)
    auto_enable = boolean_field(fields, "auto_enable")
    period = _read_period(fields)
    if auto_enable is None and period:
        auto_enable = True
    return LogSettingChange(
        agency=_read_agency(fields),
        bucket=required_text(fields, "log_bucket", "the name of a bucket"),
        base_path=required_text(fields, "log_base_path", "the path in the bucket, for example 'css/log'"),
        auto_enable=auto_enable,
        period=None if auto_enable is False else period,
    )


def read_policy(body: bytes) -> str:
    """Read the period from the body of StartLogAutoBackupPolicy."""
    period = _read_period(read_object(body))
    if not period:
        raise InvalidPeriod("period: is missing; write it as 'HH:MM GMT+HH:MM', for example '00:00 GMT+08:00'")
    return period


def _read_agency(fields: Fields) -> str:
    agency = fields.get("agency")
    if not isinstance(agency, str) or not agency:
        came = "is missing" if agency is None or agency == "" else f"{shown(agency)} came"
        raise InvalidAgency(f"agency: {came}; a name of letters, digits, '-' and '_' is allowed")
    return agency


def _read_period(fields: Fields) -> str | None:
    period = fields.get("period")
    if period is not None and not isinstance(period, str):
        raise InvalidPeriod(f"period: {shown(period)} came; write it as 'HH:MM GMT+HH:MM'")
    text = text_field(fields, "period")
    if text:
        parse_period(text)  # also where it is not used because auto_enable is false
    return text or None


def read_search(body: bytes) -> tuple[str, LogQuery]:
    """Read the node's name and the query from the body of ShowLogBackup."""
    fields = read_object(body)
    node = required_text(fields, "instance_name", "the name of a node, as ShowClusterDetail gives it")
    kind = required_text(fields, "log_type", "instance, deprecation, indexingSlow or searchSlow")
    if kind not in set(LogKind):
        raise InvalidField("log_type", f"{shown(kind)} came; {listed(tuple(LogKind))} is allowed")
    level = _matching(fields, "level", LEVELS, "ALL, or DEBUG, INFO, WARN and ERROR joined by '|'") or "ALL"
    if level != "ALL" and kind == LogKind.DEPRECATION:
        raise InvalidField("level", "the deprecation log takes ALL only")
    limit = fields.get("limit")
    if limit is None:
        limit = 100
    elif isinstance(limit, float) and limit.is_integer():  # 1.0 is a whole number in JSON
        limit = int(limit)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= SEARCH_LIMIT:
        raise InvalidField("limit", f"{shown(limit)} came; a whole number from 1 to {SEARCH_LIMIT} is allowed")
    return node, LogQuery(
        kind=LogKind(kind),
        levels=frozenset() if level == "ALL" else frozenset(level.split("|")),
        limit=limit,
        before=_matching(fields, "time_index", TIME_INDEX, "a time such as 2026-11-24T00:00:00,000"),
        keyword=_matching(fields, "keyword", KEYWORD, "at most 64 letters, digits, spaces and _ - . [ ]"),
    )


def _matching(fields: Fields, name: str, pattern: str, allowed: str) -> str:
    """Return the text of a field, '' where it is missing. Raises `InvalidField` if the pattern does not match."""
    text = text_field(fields, name)
    if text and not re.fullmatch(pattern, text):
        raise InvalidField(name, f"{shown(text)} came; {allowed} is allowed")
    return text


# Responses


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """`{}`, the answer of a call that changes something."""


_Digits = Annotated[str, msgspec.Meta(pattern="^[0-9]+$", description="for the Go and Java SDKs")]
_JobId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class ClusterLogRecord(msgspec.Struct, rename="camel", gc=False):  # a page has up to 1000, none refers to another
    id: str
    cluster_id: str
    create_at: int | _Digits  # Unix ms; the type depends on the client (docs/contract.md, "Types in answers")
    log_path: str
    status: JobStatus
    finished_at: int | None  # Unix ms; null while running; never a string
    job_types: JobType
    failed_msg: str | None
    job_id: _JobId


class GapView(msgspec.Struct, rename="camel"):
    """Bytes of one log that went before they could be kept."""

    node: str
    family: str
    after: str  # time of the last line kept before the gap, as written there; '' where unknown
    until: str
    at_least: int  # bytes
    reason: str


class ListLogsJobResponse(msgspec.Struct, rename="camel"):
    cluster_log_record: list[ClusterLogRecord]
    total_size: int


class LogEntry(msgspec.Struct, rename="camel"):
    content: str
    date: str  # yyyy-MM-ddTHH:mm:ss,SSS
    level: str


class LogSearchResponse(msgspec.Struct, rename="camel"):
    """Has `log_list`, or for Logstash `instance_log` (docs/contract.md, "ShowLogBackup")."""

    type: str
    completed: bool  # false where more matched than is given
    log_list: list[LogEntry] | msgspec.UnsetType = msgspec.UNSET
    instance_log: str | msgspec.UnsetType = msgspec.UNSET


class LogConfiguration(msgspec.Struct, rename="camel"):
    id: str
    cluster_id: str
    obs_bucket: str
    agency: str
    update_at: int  # Unix ms
    base_path: str
    auto_enable: bool
    period: str | None
    log_switch: bool


class GetLogSettingResponse(msgspec.Struct, rename="camel"):
    log_configuration: LogConfiguration | None
    real_time_log_collect_record: None = None  # null means off (docs/contract.md, "Real-time collection")


class Datastore(msgspec.Struct):
    type: str
    version: str


class Instance(msgspec.Struct):
    status: str
    type: str
    id: str
    name: str
    ip: str


class ClusterDetail(msgspec.Struct):
    """The members that every SDK needs (docs/contract.md, "ShowClusterDetail"); Logkeep knows no others."""

    id: str
    name: str
    status: str
    datastore: Datastore
    created: str
    updated: str
    endpoint: str | None
    instances: list[Instance]


class ClusterListResponse(msgspec.Struct, rename="camel"):
    clusters: list[ClusterDetail]
    total_size: int


class Links(msgspec.Struct):
    self: str
    next: str | None = None
    previous: str | None = None


class SelfLink(msgspec.Struct):
    self: str


class KeystoneProject(msgspec.Struct):
    id: str
    name: str
    links: SelfLink
    domain_id: str = ACCOUNT
    parent_id: str = ACCOUNT
    is_domain: bool = False
    enabled: bool = True
    description: str = ""


class ProjectList(msgspec.Struct):
    projects: list[KeystoneProject]
    links: Links


class Health(msgspec.Struct):
    status: Literal["ok"]


class Readiness(msgspec.Struct, omit_defaults=True):
    status: Literal["ready", "not ready"]
    problems: list[str] = []


_AVAILABLE = "200"  # status of a cluster and of an instance


def render_records(jobs: Iterable[BackupJob], total: int, *, digit_strings: bool) -> bytes:
    """Render the answer of ListLogsJob; `digit_strings` makes `createAt` a string."""
    return _encode(ListLogsJobResponse([make_record(job, digit_strings=digit_strings) for job in jobs], total))


def render_setting(setting: LogSetting | None) -> bytes:
    """Render the answer of ShowGetLogSetting; None before the first opening and for real-time collection."""
    return _encode(GetLogSettingResponse(_configuration(setting) if setting else None))


def render_search(lines: Sequence[LogLine], kind: LogKind, *, completed: bool, logstash: bool) -> bytes:
    """Render the answer of ShowLogBackup: newest line first, but oldest first in the single text of Logstash."""
    if logstash:
        text = "\n".join(line.content for line in reversed(lines))
        return _encode(LogSearchResponse("", completed, instance_log=text))
    entries = [LogEntry(line.content, line.date, line.level) for line in lines]
    return _encode(LogSearchResponse(kind, completed, log_list=entries))


def render_clusters(clusters: Sequence[Cluster], total: int) -> bytes:
    """Render the answer of ListClustersDetails."""
    return _encode(ClusterListResponse([_cluster(cluster) for cluster in clusters], total))


def render_cluster(cluster: Cluster) -> bytes:
    """Render the answer of ShowClusterDetail."""
    return _encode(_cluster(cluster))


def render_projects(projects: Sequence[Project], url: str, *, found_by: str | None = None) -> bytes:
    """Render the answer of KeystoneListProjects; `url` is that of the request, without its query.

    A project is shown under the name it was found by, which may be that of its region: clients compare the two.
    """
    entries = [
        KeystoneProject(project.id, found_by or project.name, SelfLink(f"{url}/{project.id}")) for project in projects
    ]
    return _encode(ProjectList(entries, Links(url)))


def make_record(job: BackupJob, *, digit_strings: bool) -> ClusterLogRecord:
    return ClusterLogRecord(
        id=job.id,
        cluster_id=job.cluster_id,
        create_at=str(job.created_at) if digit_strings else job.created_at,
        log_path=job.log_path,
        status=job.status,
        finished_at=job.finished_at,
        job_types=job.type,
        failed_msg=job.failed_msg,
        job_id=job.job_id,
    )


def _configuration(setting: LogSetting) -> LogConfiguration:
    return LogConfiguration(
        id=setting.id,
        cluster_id=setting.cluster_id,
        obs_bucket=setting.bucket,
        agency=setting.agency,
        update_at=setting.updated_at,
        base_path=setting.base_path,
        auto_enable=setting.period is not None,
        period=setting.period,
        log_switch=setting.enabled,
    )


def _cluster(cluster: Cluster) -> ClusterDetail:
    return ClusterDetail(
        id=cluster.id,
        name=cluster.name,
        status=_AVAILABLE,
        datastore=Datastore(cluster.kind, cluster.version),
        created=_time_text(cluster.created_at),
        updated=_time_text(cluster.updated_at),
        endpoint=cluster.endpoint or None,
        instances=[_instance(node) for node in cluster.nodes],
    )


def _instance(node: Node) -> Instance:
    return Instance(status=_AVAILABLE, type=node.role, id=node.id, name=node.name, ip=node.ip)


def _time_text(unix_ms: int) -> str:
    """Write a time in UTC without a zone: `2023-10-09T02:07:13`."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
