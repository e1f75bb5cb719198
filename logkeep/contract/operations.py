"""The operations as data: name, method, path and success status (contract.md 1, 3, 4.6)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the published API; `{name}` in the path stands for one segment."""

    id: str  # operationId, as the SDKs and the audit log name it
    method: str
    path: str
    status: int = 200  # of success; never 202, which clients take for success and errors alike (contract.md 0 #9)


_CLUSTERS = "/v1.0/{project_id}/clusters"
_CLUSTER = _CLUSTERS + "/{cluster_id}"

START_LOGS = Operation("StartLogs", "POST", _CLUSTER + "/logs/open")
STOP_LOGS = Operation("StopLogs", "PUT", _CLUSTER + "/logs/close")
LIST_LOGS_JOB = Operation("ListLogsJob", "GET", _CLUSTER + "/logs/records")
SHOW_GET_LOG_SETTING = Operation("ShowGetLogSetting", "GET", _CLUSTER + "/logs/settings")
UPDATE_LOG_SETTING = Operation("UpdateLogSetting", "POST", _CLUSTER + "/logs/settings")
START_LOG_AUTO_BACKUP_POLICY = Operation("StartLogAutoBackupPolicy", "POST", _CLUSTER + "/logs/policy/update")
STOP_LOG_AUTO_BACKUP_POLICY = Operation("StopLogAutoBackupPolicy", "PUT", _CLUSTER + "/logs/policy/close")
CREATE_LOG_BACKUP = Operation("CreateLogBackup", "POST", _CLUSTER + "/logs/collect")
LIST_CLUSTERS_DETAILS = Operation("ListClustersDetails", "GET", _CLUSTERS)
SHOW_CLUSTER_DETAIL = Operation("ShowClusterDetail", "GET", _CLUSTER)
KEYSTONE_LIST_PROJECTS = Operation("KeystoneListProjects", "GET", "/v3/projects")

OPERATIONS = (
    START_LOGS,
    STOP_LOGS,
    LIST_LOGS_JOB,
    SHOW_GET_LOG_SETTING,
    UPDATE_LOG_SETTING,
    START_LOG_AUTO_BACKUP_POLICY,
    STOP_LOG_AUTO_BACKUP_POLICY,
    CREATE_LOG_BACKUP,
    LIST_CLUSTERS_DETAILS,
    SHOW_CLUSTER_DETAIL,
    KEYSTONE_LIST_PROJECTS,
)
