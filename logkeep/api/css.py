"""The CSS API V1: read the wire model, call the service, render."""

from __future__ import annotations

from collections.abc import Sequence

from logkeep.api.call import Call
from logkeep.api.routes import Handler
from logkeep.contract import clients
from logkeep.contract.css import operations, requests, responses
from logkeep.contract.operation import Operation
from logkeep.domain.cluster import Cluster, Tag
from logkeep.service import backups, clusters, log_search, log_settings, tags, usage


def start_logs(call: Call) -> bytes:
    change = requests.read_opening(call.query, call.body)
    log_settings.open_backup(call.runtime, call.cluster(), change)
    return responses.NOTHING


def stop_logs(call: Call) -> bytes:
    requests.refuse_real_time(call.query)
    log_settings.close_backup(call.runtime, call.cluster())
    return responses.NOTHING


def list_logs_job(call: Call) -> bytes:
    page, status = requests.read_records_query(call.query)
    jobs, total = backups.list_jobs(
        call.runtime, call.caller.project_id, call.cluster_id(), offset=page.offset, limit=page.limit, status=status
    )
    return responses.render_records(jobs, total, digit_strings=clients.wants_digit_string(call.user_agent))


def show_get_log_setting(call: Call) -> bytes:
    real_time = requests.asks_real_time(call.query)
    setting = log_settings.get_setting(call.runtime, call.cluster())
    return responses.render_setting(None if real_time else setting)


def update_log_setting(call: Call) -> bytes:
    change = requests.read_setting_change(call.query, call.body)
    log_settings.update_setting(call.runtime, call.cluster(), change)
    return responses.NOTHING


def start_log_auto_backup_policy(call: Call) -> bytes:
    period = requests.read_policy(call.body)
    log_settings.start_policy(call.runtime, call.cluster(), period)
    return responses.NOTHING


def stop_log_auto_backup_policy(call: Call) -> bytes:
    log_settings.stop_policy(call.runtime, call.cluster())
    return responses.NOTHING


def create_log_backup(call: Call) -> bytes:
    backups.start_backup(call.runtime, call.cluster())
    return responses.NOTHING


def show_log_backup(call: Call) -> bytes:
    node, query = requests.read_search(call.body)
    cluster = call.cluster()
    lines, completed = log_search.search_live(call.runtime, cluster, node, query)
    return responses.render_search(lines, query.kind, completed=completed, logstash=cluster.kind == "logstash")


def list_clusters_details(call: Call) -> bytes:
    page, kind = requests.read_clusters_query(call.query)
    found, total = clusters.list_clusters(
        call.runtime, call.caller.project_id, offset=page.offset, limit=page.limit, kind=kind
    )
    return responses.render_clusters(found, tags.list_tags(call.runtime, [one.id for one in found]), total)


def show_cluster_detail(call: Call) -> bytes:
    cluster = call.cluster()
    return responses.render_cluster(cluster, _tags(call, cluster))


def _tags(call: Call, cluster: Cluster) -> Sequence[Tag]:
    return tags.list_tags(call.runtime, [cluster.id])[cluster.id]


def show_cluster_volume_usage(call: Call) -> bytes:
    volumes = usage.list_volumes(call.runtime, call.cluster())
    return responses.render_volumes([responses.make_disk(*one) for one in volumes])


def list_snapshots(call: Call) -> bytes:
    cluster = call.cluster()
    return responses.render_snapshots(
        [
            responses.make_snapshot(
                cluster,
                id_=one.id,
                name=one.name,
                version=one.version,
                state=one.state,
                indices=one.indices,
                started_at=one.started_at,
                ended_at=one.ended_at,
                shards=one.shards,
                failed_shards=one.failed_shards,
                bucket=one.bucket,
            )
            for one in usage.list_snapshots(call.runtime, cluster)
        ]
    )


def list_clusters_tags(call: Call) -> bytes:
    return responses.render_all_tags(tags.list_values(call.runtime, call.caller.project_id))


def show_cluster_tag(call: Call) -> bytes:
    return responses.render_tags(_tags(call, call.cluster()))


def create_clusters_tags(call: Call) -> bytes:
    tag = requests.read_tag(call.body)
    tags.add_tags(call.runtime, call.cluster(), [tag])
    return b""


def delete_clusters_tags(call: Call) -> bytes:
    tags.remove_tag(call.runtime, call.cluster(), call.parameters["key"])
    return b""


def update_batch_clusters_tags(call: Call) -> bytes:
    action, asked = requests.read_tags(call.body)
    if action == "create":
        tags.add_tags(call.runtime, call.cluster(), asked)
    else:
        tags.remove_tags(call.runtime, call.cluster(), [tag.key for tag in asked])
    return b""


# What may be answered on the event loop: its handler reads by `runtime.reader` only.
ON_LOOP = frozenset({operations.LIST_LOGS_JOB.id})

HANDLERS: list[tuple[Operation, Handler]] = [
    (operations.START_LOGS, start_logs),
    (operations.STOP_LOGS, stop_logs),
    (operations.LIST_LOGS_JOB, list_logs_job),
    (operations.SHOW_GET_LOG_SETTING, show_get_log_setting),
    (operations.UPDATE_LOG_SETTING, update_log_setting),
    (operations.START_LOG_AUTO_BACKUP_POLICY, start_log_auto_backup_policy),
    (operations.STOP_LOG_AUTO_BACKUP_POLICY, stop_log_auto_backup_policy),
    (operations.CREATE_LOG_BACKUP, create_log_backup),
    (operations.SHOW_LOG_BACKUP, show_log_backup),
    (operations.LIST_CLUSTERS_DETAILS, list_clusters_details),
    (operations.SHOW_CLUSTER_DETAIL, show_cluster_detail),
    (operations.SHOW_CLUSTER_VOLUME_USAGE, show_cluster_volume_usage),
    (operations.LIST_SNAPSHOTS, list_snapshots),
    (operations.LIST_CLUSTERS_TAGS, list_clusters_tags),
    (operations.SHOW_CLUSTER_TAG, show_cluster_tag),
    (operations.CREATE_CLUSTERS_TAGS, create_clusters_tags),
    (operations.DELETE_CLUSTERS_TAGS, delete_clusters_tags),
    (operations.UPDATE_BATCH_CLUSTERS_TAGS, update_batch_clusters_tags),
]
