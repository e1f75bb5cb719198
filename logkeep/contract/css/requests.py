"""Requests of the CSS API V1, to domain values (docs/contract.md, "Operations")."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from logkeep.contract.bodies import NAME, member, read_body
from logkeep.contract.fields import listed, read_query, shown
from logkeep.contract.parameters import PAGE, Choice, Page, names_of, read_page
from logkeep.domain import cluster
from logkeep.domain.backup_job import StatusFilter
from logkeep.domain.cluster import MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS
from logkeep.domain.log_line import LogKind, LogQuery
from logkeep.domain.log_setting import AGENCY, MAX_PATH, LogSettingChange, parse_period
from logkeep.errors import InvalidAgency, InvalidField, InvalidPeriod

BASE, REAL_TIME = "base_log_collect", "real_time_log_collect"
STATUS = Choice(
    "status", "", "FAIL, or NOT_FAIL for running and successful ones; empty for all.", ("", "FAIL", "NOT_FAIL")
)
ENGINE = Choice("datastoreType", "", "Kind of cluster; empty for all.", ("", "elasticsearch", "logstash", "opensearch"))
ACTION = Choice(
    "action", BASE, "Backup into a bucket, or collection into a cluster, which reads as off here.", (BASE, REAL_TIME)
)
BACKUP_ACTION = Choice("action", BASE, "Backup into a bucket; to switch collection is not offered here.", (BASE,))
_PAGE = names_of(PAGE)
_RECORDS_QUERY = _PAGE | {STATUS.name}
_CLUSTERS_QUERY = _PAGE | {ENGINE.name}
_ACTION_QUERY = frozenset({ACTION.name})

# `HH:MM GMT±HH:MM`, from GMT-12:00 to GMT+14:00 (docs/contract.md, "Period")
PERIOD = (
    r"([01]?[0-9]|2[0-3]):[0-5][0-9] "
    r"GMT(\+(0[0-9]|1[0-3]):?[0-5][0-9]|\+14:?00|-(0[0-9]|1[01]):?[0-5][0-9]|-12:?00)"
)
# One to many folders; what it cannot say: a folder is not '..', nor begins or ends with a space, and has 240 bytes.
BASE_PATH = r"""^(?![/.])(?!.*///)(?!.*\.\.\.)[^\\:*?"<>|'{}\x00-\x1f\x7f-\x9f]*[^\\:*?"<>|'{}\x00-\x1f\x7f-\x9f.]$"""
SEARCH_LIMIT = 10_000


_Agency = member(
    "Kept and shown as it was sent; where agencies are configured, one of them.",
    {"pattern": f"^{AGENCY}$"},
    says="a name of letters, digits, '-' and '_' is allowed",
    error=InvalidAgency,
)
_BasePath = member(
    f"Folder in the bucket; at most {MAX_PATH} bytes, no folder of it '.' or '..', none with a space at an end.",
    {"maxLength": MAX_PATH, "pattern": BASE_PATH},
    give="the path in the bucket, for example 'css/log'",
)
_Period = member(
    "Time of the daily backup and its zone; empty is as good as none.",
    {"pattern": f"^({PERIOD})?$"},
    says="write it as 'HH:MM GMT+HH:MM'",
    error=InvalidPeriod,
)
_NewPeriod = member(
    "Time of the daily backup.",
    {"pattern": f"^{PERIOD}$"},
    says="write it as 'HH:MM GMT+HH:MM', for example '00:00 GMT+08:00'",
    error=InvalidPeriod,
)


class StartLogsReq(Struct):
    agency: Annotated[str, _Agency]
    log_bucket: Annotated[str, member("A configured bucket; it is written to once.", NAME, give="the name of a bucket")]
    log_base_path: Annotated[str, _BasePath]
    auto_enable: Annotated[bool | None, member("Whether to back up daily at `period`.", needs="period")] = None
    period: Annotated[str, _Period] = ""


class UpdateLogSettingReq(StartLogsReq):
    pass


class AutoBackupPolicyReq(Struct):
    period: Annotated[str, _NewPeriod]


_Node = member("Name of a node of the cluster.", NAME, give="the name of a node, as ShowClusterDetail gives it")
_Kind = member(
    "Which log.",
    says=f"{listed(tuple(LogKind))} is allowed",
    give="instance, deprecation, indexingSlow or searchSlow",
)
_LEVEL = "(DEBUG|INFO|WARN|ERROR)"
_Levels = member(
    "ALL, or levels joined by '|'; the deprecation log takes ALL only, Logstash ignores it.",
    pattern=rf"ALL|{_LEVEL}(\|{_LEVEL})*",
    says="ALL, or DEBUG, INFO, WARN and ERROR joined by '|' is allowed",
)
_Limit = member("100 where it is missing.", says=f"a whole number from 1 to {SEARCH_LIMIT} is allowed")
_Before = member(
    "Only records of an earlier time than this, yyyy-MM-ddTHH:mm:ss,SSS.",
    pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{3}",
    says="a time such as 2026-11-24T00:00:00,000 is allowed",
)
_Keyword = member(
    "What the records must hold.",
    pattern=r"[A-Za-z0-9_\-. \[\]]{0,64}",
    says="at most 64 letters, digits, spaces and _ - . [ ] is allowed",
)


class GetLogBackupReq(Struct):
    instance_name: Annotated[str, _Node]
    log_type: Annotated[LogKind, _Kind]
    level: Annotated[str, _Levels] = ""
    limit: Annotated[int, Meta(ge=1, le=SEARCH_LIMIT), _Limit] = 100
    time_index: Annotated[str, _Before] = ""
    keyword: Annotated[str, _Keyword] = ""


_TagKey = member("Unique within the cluster.", NAME | {"maxLength": MAX_TAG_KEY}, give="the key of each tag")
_TagValue = member("Empty for none.", {"maxLength": MAX_TAG_VALUE})
_TagAction = member(
    "create adds tags, or gives them another value; delete removes those of these keys.",
    says="'create' or 'delete' is allowed",
    give="'create' or 'delete'",
)


class Tag(Struct):
    key: Annotated[str, _TagKey]
    value: Annotated[str, _TagValue] = ""


class TagReq(Struct):
    tag: Annotated[Tag, member("The tag.", give="an object with key and value")]


class BatchTagsReq(Struct):
    action: Annotated[Literal["create", "delete"], _TagAction]
    tags: Annotated[list[Tag], member("Tags of the cluster.", {"maxItems": MAX_TAGS}, give="a list of {key, value}")]


def read_records_query(raw: bytes) -> tuple[Page, StatusFilter]:
    """Read the query of ListLogsJob."""
    query = read_query(raw, _RECORDS_QUERY)
    return read_page(query), StatusFilter(STATUS.read(query))


def read_clusters_query(raw: bytes) -> tuple[Page, str]:
    """Read the query of ListClustersDetails: the page, and the engine or '' for all."""
    query = read_query(raw, _CLUSTERS_QUERY)
    return read_page(query), ENGINE.read(query)


def asks_real_time(raw_query: bytes) -> bool:
    """Return whether `action` asks for real-time collection into a cluster, instead of backup into a bucket."""
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
    asked = read_body(body, UpdateLogSettingReq)
    if asked.period:
        parse_period(asked.period)  # also where it is not used because auto_enable is false
    auto_enable = True if asked.auto_enable is None and asked.period else asked.auto_enable
    return LogSettingChange(
        agency=asked.agency,
        bucket=asked.log_bucket,
        base_path=asked.log_base_path,
        auto_enable=auto_enable,
        period=None if auto_enable is False else asked.period or None,
    )


def read_policy(body: bytes) -> str:
    """Read the period from the body of StartLogAutoBackupPolicy."""
    period = read_body(body, AutoBackupPolicyReq).period
    parse_period(period)
    return period


def read_tag(body: bytes) -> cluster.Tag:
    """Read the body of CreateClustersTags."""
    tag = read_body(body, TagReq).tag
    return cluster.Tag(tag.key, tag.value)


def read_tags(body: bytes) -> tuple[str, list[cluster.Tag]]:
    """Read the body of UpdateBatchClustersTags: the action, and at most `MAX_TAGS` tags."""
    asked = read_body(body, BatchTagsReq)
    if len(asked.tags) > MAX_TAGS:
        raise InvalidField("tags", f"{len(asked.tags)} came; at most {MAX_TAGS} are allowed")
    return asked.action, [cluster.Tag(tag.key, tag.value) for tag in asked.tags]


def read_search(body: bytes) -> tuple[str, LogQuery]:
    """Read the node's name and the query from the body of ShowLogBackup."""
    asked = read_body(body, GetLogBackupReq)
    level = asked.level or "ALL"
    if level != "ALL" and asked.log_type is LogKind.DEPRECATION:
        raise InvalidField("level", "the deprecation log takes ALL only")
    return asked.instance_name, LogQuery(
        kind=asked.log_type,
        levels=frozenset() if level == "ALL" else frozenset(level.split("|")),
        limit=asked.limit,
        before=asked.time_index,
        keyword=asked.keyword,
    )
