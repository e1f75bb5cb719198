"""Responses of the CSS API V1, from domain values (docs/contract.md, "Operations")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.cluster import Cluster, Node, Tag
from logkeep.domain.log_line import LogKind, LogLine
from logkeep.domain.log_setting import LogSetting

NOTHING = b"{}"  # body of a mutating call; no other suits all clients (docs/contract.md, "Types in answers")

_encode = msgspec.json.Encoder().encode

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


class ListLogsJobResponse(msgspec.Struct, rename="camel"):
    cluster_log_record: list[ClusterLogRecord]
    total_size: int


class LogEntry(msgspec.Struct, rename="camel"):
    content: str
    date: str  # yyyy-MM-ddTHH:mm:ss,SSS
    level: str


class LogSearchResponse(msgspec.Struct, rename="camel"):
    """What was found: `logList`, or for Logstash `instanceLog`."""

    # docs/contract.md, "ShowLogBackup"
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


class TagView(msgspec.Struct):
    key: str
    value: str


class ClusterDetail(msgspec.Struct, rename="camel"):
    """A cluster, with the members that every SDK needs, and those of the others that are known."""

    # docs/contract.md, "ShowClusterDetail"
    id: str
    name: str
    status: str
    datastore: Datastore
    created: str
    updated: str
    endpoint: str | None
    instances: list[Instance]
    tags: list[TagView]
    https_enable: bool | msgspec.UnsetType = msgspec.UNSET  # known where the cluster's own API is
    authority_enable: bool | msgspec.UnsetType = msgspec.UNSET


class TagsResponse(msgspec.Struct):
    tags: list[TagView]


class KeyValues(msgspec.Struct):
    key: str
    values: list[str]  # never empty: Terraform reads the first


class AllTagsResponse(msgspec.Struct):
    tags: list[KeyValues]


class DiskInfo(msgspec.Struct, rename="camel"):
    """Disks of a node, in GB and percent; all are texts."""

    # docs/contract.md, "ShowClusterVolumeUsage"
    id: str
    name: str
    disk_capacity: str
    disk_used: str
    percentage: str


class VolumeUsageResponse(msgspec.Struct, rename="camel"):
    disk_info_list: list[DiskInfo]


class Snapshot(msgspec.Struct, rename="camel"):
    """A snapshot of indexes, as the cluster's own API tells of it."""

    # docs/contract.md, "ListSnapshots"
    created: str
    datastore: Datastore
    description: str
    id: str
    cluster_id: str
    cluster_name: str
    name: str
    status: Literal["BUILDING", "COMPLETED", "FAILED", "PART_FAILED"]
    backup_type: Literal["1"]  # by hand: the cluster does not tell
    backup_method: Literal["manual"]
    indices: str
    total_shards: int
    failed_shards: int
    restore_status: Literal["none"]
    start_time: int  # Unix ms
    end_time: int
    bucket_name: str


class SnapshotListResponse(msgspec.Struct):
    backups: list[Snapshot]


class ClusterListResponse(msgspec.Struct, rename="camel"):
    clusters: list[ClusterDetail]
    total_size: int


_SNAPSHOT_STATES: dict[str, Literal["BUILDING", "COMPLETED", "FAILED", "PART_FAILED"]] = {
    "IN_PROGRESS": "BUILDING",
    "SUCCESS": "COMPLETED",
    "PARTIAL": "PART_FAILED",
}
_GB = 1024**3
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


def render_clusters(clusters: Sequence[Cluster], tags: Mapping[str, Sequence[Tag]], total: int) -> bytes:
    """Render the answer of ListClustersDetails, with the tags of each cluster."""
    return _encode(ClusterListResponse([_cluster(cluster, tags[cluster.id]) for cluster in clusters], total))


def render_cluster(cluster: Cluster, tags: Sequence[Tag]) -> bytes:
    """Render the answer of ShowClusterDetail."""
    return _encode(_cluster(cluster, tags))


def render_tags(tags: Sequence[Tag]) -> bytes:
    """Render the answer of ShowClusterTag."""
    return _encode(TagsResponse(_tags(tags)))


def render_all_tags(values: Mapping[str, list[str]]) -> bytes:
    """Render the answer of ListClustersTags: the values of each key."""
    return _encode(AllTagsResponse([KeyValues(key, found) for key, found in values.items()]))


def make_disk(node_id: str, name: str, total: int, used: int) -> DiskInfo:
    return DiskInfo(
        id=node_id,
        name=name,
        disk_capacity=f"{total / _GB:.2f}",
        disk_used=f"{used / _GB:.2f}",
        percentage=f"{100 * used / total if total else 0:.2f}",
    )


def render_volumes(disks: list[DiskInfo]) -> bytes:
    """Render the answer of ShowClusterVolumeUsage."""
    return _encode(VolumeUsageResponse(disks))


def render_snapshots(snapshots: list[Snapshot]) -> bytes:
    """Render the answer of ListSnapshots."""
    return _encode(SnapshotListResponse(snapshots))


def make_snapshot(
    cluster: Cluster,
    *,
    id_: str,
    name: str,
    version: str,
    state: str,
    indices: Sequence[str],
    started_at: int,
    ended_at: int,
    shards: int,
    failed_shards: int,
    bucket: str,
) -> Snapshot:
    """Make an entry of ListSnapshots; `state` is the cluster's own word."""
    return Snapshot(
        created=_time_text(started_at),
        datastore=Datastore(cluster.kind, version or cluster.version),
        description="",
        id=id_,
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        name=name,
        status=_SNAPSHOT_STATES.get(state, "FAILED"),
        backup_type="1",
        backup_method="manual",
        indices=",".join(indices),
        total_shards=shards,
        failed_shards=failed_shards,
        restore_status="none",
        start_time=started_at,
        end_time=ended_at,
        bucket_name=bucket,
    )


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


def _tags(tags: Sequence[Tag]) -> list[TagView]:
    return [TagView(tag.key, tag.value) for tag in tags]


def _cluster(cluster: Cluster, tags: Sequence[Tag]) -> ClusterDetail:
    api = cluster.discovery
    return ClusterDetail(
        id=cluster.id,
        name=cluster.name,
        status=_AVAILABLE,
        datastore=Datastore(cluster.kind, cluster.version),
        created=_time_text(cluster.created_at),
        updated=_time_text(cluster.updated_at),
        endpoint=cluster.endpoint or None,
        instances=[_instance(node) for node in cluster.nodes],
        tags=_tags(tags),
        https_enable=api.url.lower().startswith("https:") if api else msgspec.UNSET,
        authority_enable=bool(api.user) if api else msgspec.UNSET,
    )


def _instance(node: Node) -> Instance:
    return Instance(status=_AVAILABLE, type=node.role, id=node.id, name=node.name, ip=node.ip)


def _time_text(unix_ms: int) -> str:
    """Write a time in UTC without a zone: `2023-10-09T02:07:13`."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
