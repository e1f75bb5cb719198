"""The operations as data: path, method, parameters, body, answer and errors of each.

docs/contract.md, "Operations" and "Clusters" and "Identity" say where they are published.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from logkeep import errors
from logkeep.contract import identity, models, requests
from logkeep.contract.requests import Body, Parameter
from logkeep.domain.access import Right

JSON, NDJSON, BYTES = "application/json", "application/x-ndjson", "application/octet-stream"


class WaitsFor(StrEnum):
    """What a call may wait for, besides reading a few rows; each kind has threads of its own (api.pools)."""

    READS = "reading the database"
    WRITES = "writing to the database"
    SIGN_IN = "checking passwords"
    NODES = "nodes and clusters"
    BUCKETS = "buckets"


@dataclass(frozen=True, slots=True)
class Link:
    """Where values of a request and its answer are parameters of another operation, as OpenAPI's link."""

    operation: str  # its id
    parameters: dict[str, str]  # runtime expressions by name


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the published API; `{name}` in the path stands for one segment."""

    id: str  # operationId, as the SDKs and the audit log name it
    method: str
    path: str
    status: int = 200  # of success
    summary: str = ""
    query: tuple[Parameter, ...] = ()
    body: Body | None = None
    answer: Any = models.Nothing  # type of the JSON answer, or of a line of NDJSON
    content_type: str = JSON  # of the answer
    header: tuple[str, str] | None = None  # that the answer has besides, and what it is
    raises: tuple[type[errors.LogkeepError], ...] = ()  # besides what every signed call may raise
    links: tuple[Link, ...] = ()
    signed: bool = True
    right: Right = Right.OPERATE  # what the caller needs; what only reads says so
    waits_for: WaitsFor = WaitsFor.READS
    seconds: float | None = None  # until its first byte, where that may take longer than others of its kind

    @property
    def mutating(self) -> bool:
        """Tell if each call of it is recorded in the audit."""
        return self.method != "GET" and self.right is not Right.READ


_CLUSTERS = "/v1.0/{project_id}/clusters"
_CLUSTER = _CLUSTERS + "/{cluster_id}"
_SAME_CLUSTER = {"project_id": "$request.path.project_id", "cluster_id": "$request.path.cluster_id"}
_SETTING_ERRORS = (
    errors.InvalidField,
    errors.EmptyBody,
    errors.InvalidAgency,
    errors.InvalidPeriod,
    errors.InvalidZone,
    errors.UnknownBucket,
    errors.BucketNotWritable,
)

START_LOGS = Operation(
    "StartLogs",
    "POST",
    _CLUSTER + "/logs/open",
    summary="Open log backup; opening what is open changes it",
    query=(requests.BACKUP_ACTION,),
    body=requests.START_LOGS_BODY,
    raises=_SETTING_ERRORS,
    links=(
        Link("ShowGetLogSetting", _SAME_CLUSTER),
        Link("CreateLogBackup", _SAME_CLUSTER),
        Link("StartLogAutoBackupPolicy", _SAME_CLUSTER),
        Link("StopLogs", _SAME_CLUSTER),
    ),
    waits_for=WaitsFor.BUCKETS,
)
STOP_LOGS = Operation(
    "StopLogs",
    "PUT",
    _CLUSTER + "/logs/close",
    summary="Close log backup: the policy ends, failed records go, objects stay",
    query=(requests.BACKUP_ACTION,),
    raises=(errors.InvalidField, errors.BackupClosed),
    links=(Link("ShowGetLogSetting", _SAME_CLUSTER), Link("StartLogs", _SAME_CLUSTER)),
    waits_for=WaitsFor.WRITES,
)
LIST_LOGS_JOB = Operation(
    "ListLogsJob",
    "GET",
    _CLUSTER + "/logs/records",
    summary="List the backup jobs, newest first",
    right=Right.READ,
    query=(*requests.PAGE, requests.STATUS),
    answer=models.ListLogsJobResponse,
    raises=(errors.InvalidField,),
    links=(
        Link(
            "ShowJob",
            {"cluster_id": "$request.path.cluster_id", "job_id": "$response.body#/clusterLogRecord/0/jobId"},
        ),
    ),
)
SHOW_GET_LOG_SETTING = Operation(
    "ShowGetLogSetting",
    "GET",
    _CLUSTER + "/logs/settings",
    summary="Read the setting; null before it was opened for the first time",
    right=Right.READ,
    query=(requests.ACTION,),
    answer=models.GetLogSettingResponse,
    raises=(errors.InvalidField,),
)
UPDATE_LOG_SETTING = Operation(
    "UpdateLogSetting",
    "POST",
    _CLUSTER + "/logs/settings",
    summary="Change the setting of an open log backup",
    query=(requests.BACKUP_ACTION,),
    body=requests.UPDATE_LOG_SETTING_BODY,
    raises=(*_SETTING_ERRORS, errors.BackupClosed),
    links=(Link("ShowGetLogSetting", _SAME_CLUSTER),),
    waits_for=WaitsFor.BUCKETS,
)
START_LOG_AUTO_BACKUP_POLICY = Operation(
    "StartLogAutoBackupPolicy",
    "POST",
    _CLUSTER + "/logs/policy/update",
    summary="Back up daily from now on, or at another time",
    body=requests.POLICY_BODY,
    raises=(errors.InvalidField, errors.EmptyBody, errors.InvalidPeriod, errors.InvalidZone, errors.BackupClosed),
    links=(Link("StopLogAutoBackupPolicy", _SAME_CLUSTER),),
    waits_for=WaitsFor.WRITES,
)
STOP_LOG_AUTO_BACKUP_POLICY = Operation(
    "StopLogAutoBackupPolicy",
    "PUT",
    _CLUSTER + "/logs/policy/close",
    summary="End the daily backup",
    raises=(errors.BackupClosed,),
    waits_for=WaitsFor.WRITES,
)
CREATE_LOG_BACKUP = Operation(
    "CreateLogBackup",
    "POST",
    _CLUSTER + "/logs/collect",
    summary="Start a backup; its record is listed as RUNNING before the answer",
    raises=(errors.BackupClosed, errors.BackupRunning),
    links=(Link("ListLogsJob", _SAME_CLUSTER),),
    waits_for=WaitsFor.WRITES,
)
SHOW_LOG_BACKUP = Operation(
    "ShowLogBackup",
    "POST",
    _CLUSTER + "/logs/search",
    summary="Search the newest 10,000 records of a log that a node is writing to",
    right=Right.READ,
    body=requests.SEARCH_BODY,
    answer=models.LogSearchResponse,
    raises=(errors.InvalidField, errors.EmptyBody),
    waits_for=WaitsFor.NODES,
)
LIST_CLUSTERS_DETAILS = Operation(
    "ListClustersDetails",
    "GET",
    _CLUSTERS,
    summary="List the clusters, newest first",
    right=Right.READ,
    query=(*requests.PAGE, requests.ENGINE),
    answer=models.ClusterListResponse,
    raises=(errors.InvalidField,),
    links=(
        Link(
            "ShowClusterDetail",
            {"project_id": "$request.path.project_id", "cluster_id": "$response.body#/clusters/0/id"},
        ),
    ),
)
SHOW_CLUSTER_DETAIL = Operation(
    "ShowClusterDetail",
    "GET",
    _CLUSTER,
    summary="Read one cluster and its nodes",
    right=Right.READ,
    answer=models.ClusterDetail,
)
KEYSTONE_LIST_PROJECTS = Operation(
    "KeystoneListProjects",
    "GET",
    "/v3/projects",
    summary="Find the project of the caller, by its name or that of its region",
    right=Right.IDENTIFY,
    query=requests.PROJECTS_QUERY,
    answer=models.ProjectList,
    raises=(errors.InvalidField,),
)
KEYSTONE_LIST_AUTH_DOMAINS = Operation(
    "KeystoneListAuthDomains",
    "GET",
    "/v3/auth/domains",
    summary="Show the account",
    right=Right.IDENTIFY,
    answer=identity.AccountList,
)
KEYSTONE_CREATE_TOKEN = Operation(
    "KeystoneCreateToken",
    "POST",
    "/v3/auth/tokens",
    status=201,
    summary="Get a token, in X-Subject-Token, for a password or another token",
    right=Right.IDENTIFY,
    body=identity.TOKEN_BODY,
    answer=identity.TokenAnswer,
    header=("X-Subject-Token", "The token, for X-Auth-Token."),
    raises=(errors.InvalidField, errors.EmptyBody, errors.WrongPassword),
    signed=False,
    waits_for=WaitsFor.SIGN_IN,
)

OPERATIONS = (
    START_LOGS,
    STOP_LOGS,
    LIST_LOGS_JOB,
    SHOW_GET_LOG_SETTING,
    UPDATE_LOG_SETTING,
    START_LOG_AUTO_BACKUP_POLICY,
    STOP_LOG_AUTO_BACKUP_POLICY,
    CREATE_LOG_BACKUP,
    SHOW_LOG_BACKUP,
    LIST_CLUSTERS_DETAILS,
    SHOW_CLUSTER_DETAIL,
    KEYSTONE_LIST_PROJECTS,
    KEYSTONE_LIST_AUTH_DOMAINS,
    KEYSTONE_CREATE_TOKEN,
)

HEALTH = Operation(
    "Health", "GET", "/healthz", summary="Whether the process answers", answer=models.Health, signed=False
)
READY = Operation(
    "Ready", "GET", "/readyz", summary="Whether the service can work", answer=models.Readiness, signed=False
)
OPENAPI = Operation("OpenApi", "GET", "/openapi.json", summary="This document", answer=dict[str, Any], signed=False)
