"""Requests as data: parameters of paths and queries, members of bodies (docs/contract.md, "Operations" and "Clusters").

models.py reads queries by these parameters; the published document shows the same ranges and choices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from logkeep.contract.fields import MAX_INTEGER, query_choice, query_integer, shown
from logkeep.domain.log_line import LogKind
from logkeep.domain.span import MOMENT, Moment, read_moment
from logkeep.errors import InvalidField

Schema = dict[str, object]  # JSON Schema, 2020-12

BASE, REAL_TIME = "base_log_collect", "real_time_log_collect"
NO_NUL = r"^[^\x00]*$"  # no database holds it
TEXT: Schema = {"type": "string", "maxLength": 4096, "pattern": NO_NUL}


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in a query."""

    name: str
    default: int
    about: str
    high: int = MAX_INTEGER
    low: int = 1

    def read(self, query: dict[str, str]) -> int:
        return query_integer(query, self.name, self.default, low=self.low, high=self.high)

    @property
    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high, "default": self.default}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words in a query."""

    name: str
    default: str
    about: str
    choices: tuple[str, ...]

    def read(self, query: dict[str, str]) -> str:
        return query_choice(query, self.name, self.choices, self.default)

    @property
    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.choices), "default": self.default}


@dataclass(frozen=True, slots=True)
class Text:
    """Any text in a query; '' is as good as none."""

    name: str
    about: str
    pattern: str = NO_NUL

    def read(self, query: dict[str, str]) -> str:
        return query.get(self.name, "")

    @property
    def schema(self) -> Schema:
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class Time:
    """A bound of a span of time in a query; '' is as good as none."""

    name: str
    about: str

    def read(self, query: dict[str, str]) -> Moment | None:
        text = query.get(self.name, "")
        try:
            return read_moment(text) if text else None
        except ValueError as error:
            raise InvalidField(self.name, f"{shown(text)} came; {error}") from None

    @property
    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({MOMENT})?$"}


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false in a query; None where it is missing."""

    name: str
    about: str

    def read(self, query: dict[str, str]) -> bool | None:
        return query_choice(query, self.name, ("true", "false"), "true") == "true" if self.name in query else None

    @property
    def schema(self) -> Schema:
        return {"type": "boolean"}


Parameter = Number | Choice | Text | Time | Flag


def names_of(parameters: Iterable[Parameter]) -> frozenset[str]:
    return frozenset(parameter.name for parameter in parameters)


OFFSET = Number("offset", 1, "Number of the first entry, counted from 1; beyond the last one the list is empty.")
START = Number("start", 1, "Older name of `offset`, which wins where both are sent.")
LIMIT = Number("limit", 10, "The most entries to list.", high=1000)
PAGE = (OFFSET, START, LIMIT)
STATUS = Choice(
    "status", "", "FAIL, or NOT_FAIL for running and successful ones; empty for all.", ("", "FAIL", "NOT_FAIL")
)
ENGINE = Choice("datastoreType", "", "Kind of cluster; empty for all.", ("", "elasticsearch", "logstash", "opensearch"))
ACTION = Choice(
    "action", BASE, "Backup into a bucket, or collection into a cluster, which reads as off here.", (BASE, REAL_TIME)
)
BACKUP_ACTION = Choice("action", BASE, "Backup into a bucket; to switch collection is not offered here.", (BASE,))
PROJECT_NAME = Text("name", "The exact name of a project or of its region, as the official SDKs send; empty for all.")
ACCOUNT_ID = Text("domain_id", "The account; there is one.")
PARENT_ID = Text("parent_id", "What the project belongs to: the account.")
ENABLED = Flag("enabled", "Whether it can be used, as every project can.")
PAGE_NUMBER = Number("page", 1, "Number of the page.")
PER_PAGE = Number("per_page", 5000, "The most entries of a page.", high=5000)
PROJECTS_QUERY = (PROJECT_NAME, ACCOUNT_ID, PARENT_ID, ENABLED, PAGE_NUMBER, PER_PAGE)


@dataclass(frozen=True, slots=True)
class PathParameter:
    """A variable segment of a path."""

    about: str
    schema: Schema


_HEX = "[0-9A-Fa-f]"
PATH_PARAMETERS = {  # by name
    "project_id": PathParameter("The project of the key.", {"type": "string", "pattern": "^[0-9a-z]{32}$"}),
    "cluster_id": PathParameter(
        "A cluster of the project.",
        {"type": "string", "pattern": f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$"},
    ),
    "job_id": PathParameter("`jobId` of a record.", {"type": "string", "pattern": f"^{_HEX}{{32}}$"}),
    "node": PathParameter("Name of a node.", {"type": "string", "pattern": NO_NUL, "minLength": 1}),
    "generation": PathParameter(
        "Number of a log within its node.", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    ),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a body by its name in snake_case; one that may be missing may also be null."""

    name: str
    schema: Schema
    about: str = ""
    required: bool = False
    needs: str = ""  # the member that must be there where this one is true


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object in a request: it has one of these sets of members; members of other names are ignored."""

    name: str
    alternatives: tuple[tuple[Member, ...], ...]
    required: bool = True


# `HH:MM GMT±HH:MM`, from GMT-12:00 to GMT+14:00 (docs/contract.md, "Period")
PERIOD = (
    r"([01]?[0-9]|2[0-3]):[0-5][0-9] "
    r"GMT(\+(0[0-9]|1[0-3]):?[0-5][0-9]|\+14:?00|-(0[0-9]|1[01]):?[0-5][0-9]|-12:?00)"
)
# One to many folders; what it cannot say: a folder is not '..', nor begins or ends with a space, and has 240 bytes.
BASE_PATH = r"""^(?![/.])(?!.*///)(?!.*\.\.\.)[^\\:*?"<>|'{}\x00-\x1f\x7f-\x9f]*[^\\:*?"<>|'{}\x00-\x1f\x7f-\x9f.]$"""

_SETTING = (
    Member(
        "agency",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "Kept and shown as it was sent; where agencies are configured, one of them.",
        required=True,
    ),
    Member("log_bucket", TEXT | {"minLength": 1}, "A configured bucket; it is written to once.", required=True),
    Member(
        "log_base_path",
        {"type": "string", "maxLength": 512, "pattern": BASE_PATH},
        "Folder in the bucket; at most 512 bytes, no folder of it '.' or '..', none with a space at an end.",
        required=True,
    ),
    Member("auto_enable", {"type": "boolean"}, "Whether to back up daily at `period`.", needs="period"),
    Member(
        "period",
        {"type": "string", "pattern": f"^({PERIOD})?$"},
        "Time of the daily backup and its zone; empty is as good as none.",
    ),
)
START_LOGS_BODY = Body("StartLogsReq", (_SETTING,))
UPDATE_LOG_SETTING_BODY = Body("UpdateLogSettingReq", (_SETTING,))
POLICY_BODY = Body(
    "AutoBackupPolicyReq",
    ((Member("period", {"type": "string", "pattern": f"^{PERIOD}$"}, "Time of the daily backup.", required=True),),),
)
SEARCH_LIMIT = 10_000
_LEVEL = "(DEBUG|INFO|WARN|ERROR)"
LEVELS = rf"(ALL|{_LEVEL}(\|{_LEVEL})*)"
TIME_INDEX = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{3}"
KEYWORD = r"[A-Za-z0-9_\-. \[\]]{0,64}"
SEARCH_BODY = Body(
    "GetLogBackupReq",
    (
        (
            Member("instance_name", TEXT | {"minLength": 1}, "Name of a node of the cluster.", required=True),
            Member("log_type", {"type": "string", "enum": list(LogKind)}, "Which log.", required=True),
            Member(
                "level",
                {"type": "string", "pattern": f"^({LEVELS})?$"},
                "ALL, or levels joined by '|'; the deprecation log takes ALL only, Logstash ignores it.",
            ),
            Member("limit", {"type": "integer", "minimum": 1, "maximum": SEARCH_LIMIT}, "100 where it is missing."),
            Member(
                "time_index",
                {"type": "string", "pattern": f"^({TIME_INDEX})?$"},
                "Only records of an earlier time than this, yyyy-MM-ddTHH:mm:ss,SSS.",
            ),
            Member("keyword", {"type": "string", "pattern": f"^{KEYWORD}$"}, "What the records must hold."),
        ),
    ),
)
