"""The operations of the CSS API V1 (docs/contract.md, "Operations" and "Clusters")."""

from __future__ import annotations

from logkeep import errors
from logkeep.contract.css import requests, responses
from logkeep.contract.operation import Link, Operation, WaitsFor
from logkeep.contract.parameters import PAGE
from logkeep.domain.access import Right

_CLUSTERS = "/v1.0/{project_id}/clusters"
_CLUSTER = _CLUSTERS + "/{cluster_id}"
_TAGGED = "/v1.0/{project_id}/css-cluster"  # the only resource type that there is
_TAGS = _TAGGED + "/{cluster_id}/tags"
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
    body=(requests.StartLogsReq,),
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
    query=(*PAGE, requests.STATUS),
    answer=responses.ListLogsJobResponse,
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
    answer=responses.GetLogSettingResponse,
    raises=(errors.InvalidField,),
)
UPDATE_LOG_SETTING = Operation(
    "UpdateLogSetting",
    "POST",
    _CLUSTER + "/logs/settings",
    summary="Change the setting of an open log backup",
    query=(requests.BACKUP_ACTION,),
    body=(requests.UpdateLogSettingReq,),
    raises=(*_SETTING_ERRORS, errors.BackupClosed),
    links=(Link("ShowGetLogSetting", _SAME_CLUSTER),),
    waits_for=WaitsFor.BUCKETS,
)
START_LOG_AUTO_BACKUP_POLICY = Operation(
    "StartLogAutoBackupPolicy",
    "POST",
    _CLUSTER + "/logs/policy/update",
    summary="Back up daily from now on, or at another time",
    body=(requests.AutoBackupPolicyReq,),
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
    body=(requests.GetLogBackupReq,),
    answer=responses.LogSearchResponse,
    raises=(errors.InvalidField, errors.EmptyBody),
    waits_for=WaitsFor.NODES,
)
LIST_CLUSTERS_DETAILS = Operation(
    "ListClustersDetails",
    "GET",
    _CLUSTERS,
    summary="List the clusters, newest first",
    right=Right.READ,
    query=(*PAGE, requests.ENGINE),
    answer=responses.ClusterListResponse,
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
    answer=responses.ClusterDetail,
)
SHOW_CLUSTER_VOLUME_USAGE = Operation(
    "ShowClusterVolumeUsage",
    "GET",
    _CLUSTER + "/volume",
    summary="Ask the cluster how full the disks of its nodes are",
    right=Right.READ,
    answer=responses.VolumeUsageResponse,
    raises=(errors.NoClusterApi, errors.SourceError),
    waits_for=WaitsFor.NODES,
)
LIST_SNAPSHOTS = Operation(
    "ListSnapshots",
    "GET",
    _CLUSTER + "/index_snapshots",
    summary="Ask the cluster for the snapshots of its indexes",
    right=Right.READ,
    answer=responses.SnapshotListResponse,
    raises=(errors.NoClusterApi, errors.SourceError),
    waits_for=WaitsFor.NODES,
)
LIST_CLUSTERS_TAGS = Operation(
    "ListClustersTags",
    "GET",
    _TAGGED + "/tags",
    summary="List the tags of all clusters of the project",
    right=Right.READ,
    answer=responses.AllTagsResponse,
)
SHOW_CLUSTER_TAG = Operation(
    "ShowClusterTag",
    "GET",
    _TAGS,
    summary="List the tags of one cluster",
    right=Right.READ,
    answer=responses.TagsResponse,
)
CREATE_CLUSTERS_TAGS = Operation(
    "CreateClustersTags",
    "POST",
    _TAGS,
    status=204,
    summary="Add a tag to a cluster, or give it another value",
    body=(requests.TagReq,),
    raises=(errors.InvalidField, errors.EmptyBody),
    links=(Link("ShowClusterTag", _SAME_CLUSTER),),
    waits_for=WaitsFor.WRITES,
)
DELETE_CLUSTERS_TAGS = Operation(
    "DeleteClustersTags",
    "DELETE",
    _TAGS + "/{key}",
    status=204,
    summary="Remove a tag from a cluster",
    raises=(errors.TagNotFound,),
    waits_for=WaitsFor.WRITES,
)
UPDATE_BATCH_CLUSTERS_TAGS = Operation(
    "UpdateBatchClustersTags",
    "POST",
    _TAGS + "/action",
    status=204,
    summary="Add or remove several tags of a cluster",
    body=(requests.BatchTagsReq,),
    raises=(errors.InvalidField, errors.EmptyBody),
    links=(Link("ShowClusterTag", _SAME_CLUSTER),),
    waits_for=WaitsFor.WRITES,
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
    SHOW_CLUSTER_VOLUME_USAGE,
    LIST_SNAPSHOTS,
    LIST_CLUSTERS_TAGS,
    SHOW_CLUSTER_TAG,
    CREATE_CLUSTERS_TAGS,
    DELETE_CLUSTERS_TAGS,
    UPDATE_BATCH_CLUSTERS_TAGS,
)
