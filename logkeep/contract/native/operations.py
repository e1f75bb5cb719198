"""The operations of `/api/v1`: what CSS lacks; and what tells of the service itself."""

from __future__ import annotations

from typing import Any

from logkeep.contract.css.requests import STATUS, StartLogsReq
from logkeep.contract.native import (
    job_responses,
    notices,
    requests,
    responses,
    retention,
    search,
    status_responses,
    tasks,
    usage,
)
from logkeep.contract.operation import BYTES, NDJSON, Link, Operation, WaitsFor
from logkeep.contract.parameters import PAGE
from logkeep.domain.access import Right
from logkeep.errors import (
    ArchiveProtected,
    BackupClosed,
    BackupRunning,
    BucketNotWritable,
    EmptyBody,
    InvalidAgency,
    InvalidField,
    InvalidPeriod,
    InvalidZone,
    NameTaken,
    NothingToRetry,
    RequestError,
    RuleUnconfirmed,
    StoreError,
    TargetNotFound,
    TooManyTargets,
    UnknownBucket,
)

_CLUSTERS = "/api/v1/clusters"
_CLUSTER = _CLUSTERS + "/{cluster_id}"
_NOTIFY = "/api/v1/notify"
_ADOPT_SECONDS = 800.0  # every manifest of the cluster is read, and each bucket listed
_SAME = {"cluster_id": "$request.path.cluster_id"}
_ADDED = {"cluster_id": "$response.body#/id"}
_NOTIFIED = {"name": "$response.body#/name"}

ADD_CLUSTER = Operation(
    "AddCluster",
    "POST",
    _CLUSTERS,
    summary="Register a cluster; for the role admin",
    right=Right.ADMINISTER,
    body=(requests.NewClusterReq, requests.ClusterToDiscoverReq),
    answer=responses.AddedCluster,
    raises=(InvalidField, EmptyBody, NameTaken),
    links=(Link("ShowCluster", _ADDED), Link("RemoveCluster", _ADDED), Link("Verify", _ADDED)),
    waits_for=WaitsFor.NODES,
)
ADOPT_CLUSTER = Operation(
    "AdoptCluster",
    "POST",
    _CLUSTER + "/adopt",
    summary="Register a cluster under the id of an archive, and take up what the buckets hold of it",
    right=Right.ADMINISTER,
    body=(requests.AdoptClusterReq, requests.AdoptDiscoveredReq),
    answer=responses.AdoptedCluster,
    raises=(InvalidField, EmptyBody, NameTaken, StoreError),
    links=(Link("ShowCluster", _SAME),),
    waits_for=WaitsFor.BUCKETS,
    seconds=_ADOPT_SECONDS,
)
CHECK_NEW_CLUSTER = Operation(
    "CheckNewCluster",
    "POST",
    _CLUSTERS + "/check",
    summary="Look at the log directories of a cluster as AddCluster would register it; nothing is changed",
    right=Right.ADMINISTER,
    body=(requests.NewClusterReq, requests.ClusterToDiscoverReq),
    answer=responses.CheckList,
    raises=(InvalidField, EmptyBody),
    waits_for=WaitsFor.NODES,
)
CHECK_CLUSTER = Operation(
    "CheckCluster",
    "POST",
    _CLUSTER + "/check",
    summary="Look at the log directories of all nodes: reachable, readable, how many logs, what is left out",
    answer=responses.CheckList,
    waits_for=WaitsFor.NODES,
)
LIST_CLUSTERS = Operation(
    "ListClusters",
    "GET",
    _CLUSTERS,
    summary="List the clusters, newest first",
    right=Right.READ,
    query=(*PAGE, requests.CLUSTER_NAME),
    answer=responses.ClusterList,
    raises=(InvalidField,),
    links=(Link("ShowCluster", {"cluster_id": "$response.body#/clusters/0/id"}),),
)
SHOW_CLUSTER = Operation(
    "ShowCluster",
    "GET",
    _CLUSTER,
    summary="Read one cluster",
    right=Right.READ,
    answer=responses.ClusterView,
)
UPDATE_CLUSTER = Operation(
    "UpdateCluster",
    "PATCH",
    _CLUSTER,
    summary="Change nodes, sources, or how the cluster is asked for its nodes; for the role admin",
    right=Right.ADMINISTER,
    body=(requests.UpdateClusterReq,),
    answer=responses.ClusterView,
    raises=(InvalidField, EmptyBody),
    links=(Link("ShowCluster", _SAME),),
    waits_for=WaitsFor.NODES,
)
REMOVE_CLUSTER = Operation(
    "RemoveCluster",
    "DELETE",
    _CLUSTER,
    summary="Forget a cluster and its records; with delete_archive objects go too; for the role admin",
    right=Right.ADMINISTER,
    query=retention.REMOVE_QUERY,
    answer=responses.RemovedCluster,
    raises=(InvalidField, BackupRunning, ArchiveProtected, BucketNotWritable),
    links=(Link("ShowCluster", _SAME),),
    waits_for=WaitsFor.BUCKETS,
)
LIST_STATUS = Operation(
    "ListStatus",
    "GET",
    "/api/v1/status",
    summary="Tell how each cluster stands, worst first, and what needs a hand",
    right=Right.READ,
    query=requests.STATUS_QUERY,
    answer=status_responses.StatusList,
    raises=(InvalidField,),
    links=(Link("ShowCluster", {"cluster_id": "$response.body#/clusters/0/id"}),),
)
LIST_USAGE = Operation(
    "ListUsage",
    "GET",
    "/api/v1/usage",
    summary="Tell what the archive takes, by cluster, node, log or month, how it grows, and a forecast",
    right=Right.READ,
    query=usage.QUERY,
    answer=usage.UsageList,
    raises=(InvalidField,),
    waits_for=WaitsFor.NODES,  # as it may add up a million segments, short reads do not wait behind it
)
SHOW_CLUSTER_USAGE = Operation(
    "ShowClusterUsage",
    "GET",
    _CLUSTER + "/usage",
    summary="The same for one cluster",
    right=Right.READ,
    query=usage.QUERY_OF_ONE,
    answer=usage.UsageList,
    raises=(InvalidField,),
)
LIST_RECORDS = Operation(
    "ListRecords",
    "GET",
    "/api/v1/records",
    summary="List the records of all clusters, newest first",
    right=Right.READ,
    query=(*PAGE, STATUS),
    answer=status_responses.ProjectRecordList,
    raises=(InvalidField,),
    links=(Link("FindJob", {"job_id": "$response.body#/records/0/jobId"}),),
)
LIST_TASKS = Operation(
    "ListTasks",
    "GET",
    "/api/v1/tasks",
    summary="List backups and missed daily runs of all clusters or of one, newest first, and count them by state",
    right=Right.READ,
    query=tasks.LIST_QUERY,
    answer=tasks.TaskList,
    raises=(InvalidField,),
)
EXPORT_TASKS = Operation(
    "ExportTasks",
    "GET",
    "/api/v1/tasks/export",
    summary="Give all tasks that a filter finds, newest first, as lines of JSON or as CSV",
    right=Right.READ,
    query=tasks.EXPORT_QUERY,
    answer=tasks.TaskLine,
    content_type=NDJSON,
    other_type=tasks.CSV,
    raises=(InvalidField,),
)
START_BACKUP = Operation(
    "StartBackup",
    "POST",
    _CLUSTER + "/backups",
    summary="Back up what is new in the logs; answers with the record of the job that was started",
    body=(requests.BackupReq,),
    body_needed=False,
    answer=job_responses.JobView,
    raises=(InvalidField, EmptyBody, BackupClosed, BackupRunning),
    links=(Link("FindJob", {"job_id": "$response.body#/jobId"}),),
    waits_for=WaitsFor.WRITES,
)
SHOW_JOB = Operation(
    "ShowJob",
    "GET",
    _CLUSTER + "/jobs/{job_id}",
    summary="The same for a cluster's job",
    right=Right.READ,
    query=requests.FILES_PAGE,
    answer=job_responses.JobView,
    raises=(InvalidField,),
)
FIND_JOB = Operation(
    "FindJob",
    "GET",
    "/api/v1/jobs/{job_id}",
    summary="Read one record: how far it is on each node, the files that it stored, and what it met",
    right=Right.READ,
    query=requests.FILES_PAGE,
    answer=job_responses.JobView,
    raises=(InvalidField,),
)
CANCEL_JOB = Operation(
    "CancelJob",
    "POST",
    "/api/v1/jobs/{job_id}/cancel",
    summary="End a backup that is RUNNING as FAIL; what it kept stays; one that has ended stays as it is",
    waits_for=WaitsFor.WRITES,
    query=requests.FILES_PAGE,
    answer=job_responses.JobView,
    raises=(InvalidField,),
)
RETRY_JOB = Operation(
    "RetryJob",
    "POST",
    "/api/v1/jobs/{job_id}/retry",
    summary="Back up the cluster whose job failed: what is new, and so what that one could not keep",
    answer=job_responses.JobView,
    raises=(InvalidField, NothingToRetry, BackupClosed, BackupRunning),
    links=(Link("FindJob", {"job_id": "$response.body#/jobId"}),),
    waits_for=WaitsFor.WRITES,
)
SHOW_POLICY = Operation(
    "ShowPolicy",
    "GET",
    _CLUSTER + "/policy",
    summary="Tell when the cluster is backed up without being asked",
    right=Right.READ,
    answer=job_responses.PolicyView,
)
UPDATE_POLICY = Operation(
    "UpdatePolicy",
    "PUT",
    _CLUSTER + "/policy",
    summary="Add runs before a node deletes what is not kept, or no longer",
    body=(requests.PolicyReq,),
    answer=job_responses.PolicyView,
    raises=(InvalidField, EmptyBody, BackupClosed),
    links=(Link("ShowPolicy", _SAME),),
    waits_for=WaitsFor.WRITES,
)
CHECK_SETTING = Operation(
    "CheckSetting",
    "POST",
    _CLUSTER + "/logs/check",
    summary="Check a log setting as StartLogs would, and tell where objects will lie; nothing is changed",
    body=(StartLogsReq,),
    answer=job_responses.SettingCheckView,
    raises=(InvalidField, EmptyBody, InvalidAgency, InvalidPeriod, InvalidZone, UnknownBucket, BucketNotWritable),
    waits_for=WaitsFor.BUCKETS,
)
LIST_COVERAGE = Operation(
    "ListCoverage",
    "GET",
    _CLUSTER + "/coverage",
    summary="Tell which span of each log is held, and what is missing",
    right=Right.READ,
    query=requests.LOG_QUERY,
    answer=job_responses.HeldLine,
    content_type=NDJSON,
    raises=(InvalidField,),
)
LIST_KEPT = Operation(
    "ListKept",
    "GET",
    _CLUSTER + "/archive",
    summary="List the logs that are kept, or those that a job stored or that can hold records of a span",
    right=Right.READ,
    query=requests.ARCHIVE_QUERY,
    answer=responses.KeptLine,
    content_type=NDJSON,
    raises=(InvalidField,),
)
READ_KEPT = Operation(
    "ReadKept",
    "GET",
    _CLUSTER + "/archive/{node}/{generation}",
    summary="Read a kept log, bytes of it, or records of a span; broken off where an object is damaged",
    right=Right.READ,
    query=requests.READ_QUERY,
    content_type=BYTES,
    raises=(InvalidField, StoreError),
    waits_for=WaitsFor.BUCKETS,
)
SEARCH = Operation(
    "Search",
    "POST",
    _CLUSTER + "/search",
    summary="Find the lines of kept logs that contain a text",
    right=Right.READ,
    body=(search.SearchReq,),
    answer=search.SearchLine,
    content_type=NDJSON,
    raises=(InvalidField, EmptyBody, StoreError),
    waits_for=WaitsFor.BUCKETS,
)
MAKE_INDEX = Operation(
    "MakeIndex",
    "POST",
    _CLUSTER + "/index",
    summary="Make the index by which a search leaves frames out, of all that has none yet or anew",
    body=(requests.IndexReq,),
    body_needed=False,
    answer=responses.IndexLine,
    content_type=NDJSON,
    raises=(InvalidField, EmptyBody, StoreError),
    waits_for=WaitsFor.BUCKETS,
)
VERIFY = Operation(
    "Verify",
    "POST",
    _CLUSTER + "/verify",
    summary="Hold the bucket against what was stored",
    right=Right.READ,
    body=(requests.VerifyReq,),
    body_needed=False,
    answer=responses.VerifyLine,
    content_type=NDJSON,
    raises=(InvalidField, EmptyBody, StoreError),
    waits_for=WaitsFor.BUCKETS,
    seconds=600,  # all manifests are read before the first object is told of
)
SHOW_VERIFICATION = Operation(
    "ShowVerification",
    "GET",
    _CLUSTER + "/verification",
    summary="What the last verification came to, by hand or by the clock",
    right=Right.READ,
    answer=responses.VerificationView,
)
LIST_NOTICES = Operation(
    "ListNotices",
    "GET",
    "/api/v1/notices",
    summary="List the notices of all clusters or of one, newest first, and how far each got to its targets",
    right=Right.READ,
    query=notices.LIST_QUERY,
    answer=notices.NoticeList,
    raises=(InvalidField,),
)
LIST_NOTICE_TARGETS = Operation(
    "ListNoticeTargets",
    "GET",
    _NOTIFY,
    summary="List the targets that notices of the project are sent to, and how each does",
    right=Right.READ,
    answer=notices.NoticeTargetList,
)
ADD_NOTICE_TARGET = Operation(
    "AddNoticeTarget",
    "POST",
    _NOTIFY,
    summary="Send notices of the project to a webhook from now on; for the role admin",
    right=Right.ADMINISTER,
    body=(notices.NoticeTargetReq,),
    answer=notices.AddedNoticeTarget,
    raises=(InvalidField, EmptyBody, NameTaken, TooManyTargets),
    links=(Link("TestNoticeTarget", _NOTIFIED), Link("RemoveNoticeTarget", _NOTIFIED)),
    waits_for=WaitsFor.WRITES,
)
REMOVE_NOTICE_TARGET = Operation(
    "RemoveNoticeTarget",
    "DELETE",
    _NOTIFY + "/{name}",
    summary="Send no more notices to a target of the project; for the role admin",
    right=Right.ADMINISTER,
    raises=(InvalidField, TargetNotFound),
    waits_for=WaitsFor.WRITES,
)
TEST_NOTICE_TARGET = Operation(
    "TestNoticeTarget",
    "POST",
    _NOTIFY + "/{name}/test",
    summary="Send a notice of the event test to a target now, and tell what came back; for the role admin",
    right=Right.ADMINISTER,
    answer=notices.DeliveryView,
    raises=(InvalidField, TargetNotFound),
    waits_for=WaitsFor.NODES,
)
SHOW_RETENTION = Operation(
    "ShowRetention",
    "GET",
    _CLUSTER + "/retention",
    summary="Tell the rules by which objects are removed, what was removed, and what waits",
    right=Right.READ,
    answer=retention.RetentionView,
)
SET_RETENTION = Operation(
    "SetRetention",
    "PUT",
    _CLUSTER + "/retention",
    summary="Replace all rules; one that is new or changed removes nothing before it is confirmed; for the role admin",
    right=Right.ADMINISTER,
    body=(retention.RetentionReq,),
    answer=retention.RetentionView,
    raises=(InvalidField, EmptyBody),
    links=(Link("ShowRetention", _SAME), Link("PreviewRetention", _SAME)),
    waits_for=WaitsFor.WRITES,
)
PREVIEW_RETENTION = Operation(
    "PreviewRetention",
    "POST",
    _CLUSTER + "/retention/preview",
    summary="Tell what the rules that are set, or others, would remove now, and why the rest is kept",
    right=Right.READ,
    body=(retention.RetentionPreviewReq,),
    body_needed=False,
    answer=retention.RetentionPreviewLine,
    content_type=NDJSON,
    raises=(InvalidField, EmptyBody),
    waits_for=WaitsFor.BUCKETS,  # it reads all that is known of the archive, which may take half a minute
)
RUN_RETENTION = Operation(
    "RunRetention",
    "POST",
    _CLUSTER + "/retention/run",
    summary="Remove what the rules let go; for the role admin",
    right=Right.ADMINISTER,
    body=(retention.RetentionRunReq,),
    body_needed=False,
    answer=retention.RetentionRunLine,
    content_type=NDJSON,
    raises=(InvalidField, EmptyBody, RuleUnconfirmed, StoreError),
    links=(Link("ShowRetention", _SAME), Link("ListRemovals", _SAME)),
    waits_for=WaitsFor.BUCKETS,
    seconds=600,  # all objects are judged and the first entry is signed before the first step is told
)
LIST_REMOVALS = Operation(
    "ListRemovals",
    "GET",
    _CLUSTER + "/removals",
    summary="List what was removed, by log and rule, newest first",
    right=Right.READ,
    query=retention.REMOVALS_QUERY,
    answer=retention.RemovalList,
    raises=(InvalidField,),
)
LIST_ARCHIVE_DELETIONS = Operation(
    "ListArchiveDeletions",
    "GET",
    "/api/v1/archive-deletions",
    summary="List the archives of removed clusters that are being deleted, or were, newest first",
    right=Right.READ,
    query=retention.DELETIONS_QUERY,
    answer=retention.ArchiveDeletionList,
    raises=(InvalidField,),
)
LIST_PROTECTIONS = Operation(
    "ListProtections",
    "GET",
    _CLUSTER + "/protections",
    summary="List what no rule removes, those that expired too, oldest first",
    right=Right.READ,
    answer=retention.ProtectionList,
)
ADD_PROTECTION = Operation(
    "AddProtection",
    "POST",
    _CLUSTER + "/protections",
    summary="Keep what a job stored, or a span of time, from every rule",
    body=(retention.ProtectionReq,),
    answer=retention.ProtectionView,
    raises=(InvalidField, EmptyBody),
    links=(Link("RemoveProtection", _SAME | {"protection_id": "$response.body#/id"}),),
    waits_for=WaitsFor.WRITES,
)
REMOVE_PROTECTION = Operation(
    "RemoveProtection",
    "DELETE",
    _CLUSTER + "/protections/{protection_id}",
    summary="End a protection; for the role admin",
    right=Right.ADMINISTER,
    raises=(InvalidField,),
    waits_for=WaitsFor.WRITES,
)
LIST_AUDIT = Operation(
    "ListAudit",
    "GET",
    "/api/v1/audit",
    summary="List who changed what, newest first; for the role admin",
    right=Right.ADMINISTER,
    query=(*PAGE, requests.SINCE),
    answer=responses.AuditList,
    raises=(InvalidField,),
)
MAKE_CONSOLE_LINK = Operation(
    "MakeConsoleLink",
    "POST",
    "/api/v1/console/links",
    summary="Make a link that signs in to the console once, within five minutes, with the rights of the calling key",
    right=Right.IDENTIFY,
    answer=responses.ConsoleLinkView,
    raises=(RequestError,),
    waits_for=WaitsFor.WRITES,
)

OPERATIONS = (
    ADD_CLUSTER,
    ADOPT_CLUSTER,
    CHECK_NEW_CLUSTER,
    CHECK_CLUSTER,
    LIST_CLUSTERS,
    SHOW_CLUSTER,
    UPDATE_CLUSTER,
    REMOVE_CLUSTER,
    LIST_STATUS,
    LIST_USAGE,
    SHOW_CLUSTER_USAGE,
    LIST_RECORDS,
    LIST_TASKS,
    EXPORT_TASKS,
    START_BACKUP,
    SHOW_JOB,
    FIND_JOB,
    CANCEL_JOB,
    RETRY_JOB,
    SHOW_POLICY,
    UPDATE_POLICY,
    CHECK_SETTING,
    LIST_COVERAGE,
    LIST_KEPT,
    READ_KEPT,
    SEARCH,
    MAKE_INDEX,
    VERIFY,
    SHOW_VERIFICATION,
    LIST_NOTICES,
    LIST_NOTICE_TARGETS,
    ADD_NOTICE_TARGET,
    REMOVE_NOTICE_TARGET,
    TEST_NOTICE_TARGET,
    SHOW_RETENTION,
    SET_RETENTION,
    PREVIEW_RETENTION,
    RUN_RETENTION,
    LIST_REMOVALS,
    LIST_ARCHIVE_DELETIONS,
    LIST_PROTECTIONS,
    ADD_PROTECTION,
    REMOVE_PROTECTION,
    LIST_AUDIT,
    MAKE_CONSOLE_LINK,
)

HEALTH = Operation(
    "Health", "GET", "/healthz", summary="Whether the process answers", answer=responses.Health, signed=False
)
READY = Operation(
    "Ready", "GET", "/readyz", summary="Whether the service can work", answer=responses.Readiness, signed=False
)
OPENAPI = Operation("OpenApi", "GET", "/openapi.json", summary="This document", answer=dict[str, Any], signed=False)
