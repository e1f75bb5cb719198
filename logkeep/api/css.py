"""The CSS API V1: read the wire model, call the service, render."""

from __future__ import annotations

from logkeep.api.call import Call
from logkeep.api.routes import Handler
from logkeep.contract import clients, models, operations
from logkeep.contract.operations import Operation
from logkeep.service import backups, clusters, log_search, log_settings


def start_logs(call: Call) -> bytes:
    change = models.read_opening(call.query, call.body)
    log_settings.open_backup(call.context, call.cluster(), change)
    return models.NOTHING


def stop_logs(call: Call) -> bytes:
    models.refuse_real_time(call.query)
    log_settings.close_backup(call.context, call.cluster())
    return models.NOTHING


def list_logs_job(call: Call) -> bytes:
    page, status = models.read_records_query(call.query)
    jobs, total = backups.list_jobs(
        call.context,
        call.caller.project_id,
        call.cluster_id(),
        offset=page.offset,
        limit=page.limit,
        status=status,
        at_once=call.at_once,
    )
    return models.render_records(jobs, total, digit_strings=clients.wants_digit_string(call.user_agent))


def show_get_log_setting(call: Call) -> bytes:
    real_time = models.asks_real_time(call.query)
    setting = log_settings.get_setting(call.context, call.cluster())
    return models.render_setting(None if real_time else setting)


def update_log_setting(call: Call) -> bytes:
    change = models.read_setting_change(call.query, call.body)
    log_settings.update_setting(call.context, call.cluster(), change)
    return models.NOTHING


def start_log_auto_backup_policy(call: Call) -> bytes:
    period = models.read_policy(call.body)
    log_settings.start_policy(call.context, call.cluster(), period)
    return models.NOTHING


def stop_log_auto_backup_policy(call: Call) -> bytes:
    log_settings.stop_policy(call.context, call.cluster())
    return models.NOTHING


def create_log_backup(call: Call) -> bytes:
    backups.start_backup(call.context, call.cluster())
    return models.NOTHING


def show_log_backup(call: Call) -> bytes:
    node, query = models.read_search(call.body)
    cluster = call.cluster()
    lines, completed = log_search.search_live(call.context, cluster, node, query)
    return models.render_search(lines, query.kind, completed=completed, logstash=cluster.kind == "logstash")


def list_clusters_details(call: Call) -> bytes:
    page, kind = models.read_clusters_query(call.query)
    found, total = clusters.list_clusters(
        call.context, call.caller.project_id, offset=page.offset, limit=page.limit, kind=kind
    )
    return models.render_clusters(found, total)


def show_cluster_detail(call: Call) -> bytes:
    return models.render_cluster(call.cluster())


# What may be asked for on the event loop: its handler heeds `call.at_once`.
AT_ONCE = frozenset({operations.LIST_LOGS_JOB.id})

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
]
