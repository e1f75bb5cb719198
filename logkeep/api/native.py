"""`/api/v1`, what CSS lacks: registering clusters, one record, the archive, verification."""

from __future__ import annotations

from logkeep.api.call import Call
from logkeep.api.routes import Handler
from logkeep.contract.css.requests import read_opening, read_records_query
from logkeep.contract.css.responses import NOTHING
from logkeep.contract.native import job_responses, operations, requests, responses, search, status_responses
from logkeep.contract.native import notices as notice_messages
from logkeep.contract.native import retention as retention_messages
from logkeep.contract.native import tasks as task_messages
from logkeep.contract.native import usage as usage_messages
from logkeep.contract.operation import BYTES, NDJSON, Operation
from logkeep.domain.cluster import Cluster
from logkeep.domain.node_check import NodeCheck
from logkeep.http.streams import Stream
from logkeep.service import (
    archive,
    archive_deletion,
    archive_search,
    archive_usage,
    audit,
    backups,
    checks,
    clusters,
    console_sessions,
    coverage,
    day_strips,
    forecasts,
    histogram,
    indexing,
    job_details,
    log_settings,
    notice_targets,
    notices,
    protection,
    retention,
    status,
    tasks,
    verification,
)
from logkeep.service.adoption import adopt_cluster as adopt

_LOOK_SECONDS, _LOOK_FILES = 5.0, 20  # of a cluster that was just registered


def add_cluster(call: Call) -> bytes:
    new = requests.read_new_cluster(call.body)
    if isinstance(new, requests.NewClusterReq):
        cluster = clusters.add_cluster(
            call.runtime,
            call.caller.project_id,
            new.name,
            requests.new_nodes(new.nodes),
            kind=new.kind,
            version=new.version,
            endpoint=new.endpoint,
        )
    else:
        cluster = clusters.discover_cluster(
            call.runtime,
            call.caller.project_id,
            new.name,
            new.url,
            new.source,
            user=new.user,
            password=new.password,
            endpoint=new.endpoint,
        )
    call.trail.cluster_id = cluster.id
    standings = forecasts.list_standings(call.runtime, [cluster.id])
    return responses.render_added(cluster, standings, _look_at(call, cluster))


def adopt_cluster(call: Call) -> bytes:
    adoption = requests.read_adoption(call.cluster_id(), call.body)
    adopted = adopt(call.runtime, call.caller.project_id, adoption)
    cluster = call.cluster()
    standings = forecasts.list_standings(call.runtime, [cluster.id])
    return responses.render_adopted(
        cluster,
        standings,
        _look_at(call, cluster),
        records=adopted.records,
        objects=adopted.objects,
        size=adopted.size,
        problems=adopted.problems,
    )


def _look_at(call: Call, cluster: Cluster) -> list[NodeCheck]:
    """A short look at the nodes of a cluster that was just registered."""
    return checks.check_nodes(
        call.runtime, cluster.project_id, cluster.nodes, seconds=_LOOK_SECONDS, most_opened=_LOOK_FILES
    )


def check_cluster(call: Call) -> bytes:
    cluster = call.cluster()
    return responses.render_checks(checks.check_nodes(call.runtime, cluster.project_id, cluster.nodes))


def check_new_cluster(call: Call) -> bytes:
    new = requests.read_new_cluster(call.body)
    project_id = call.caller.project_id
    clusters.check_endpoint(new.endpoint)
    if isinstance(new, requests.NewClusterReq):
        nodes = clusters.check_new_nodes(call.runtime, project_id, new.name, requests.new_nodes(new.nodes))
    else:
        nodes = clusters.find_new_nodes(
            call.runtime, project_id, new.name, new.url, new.source, user=new.user, password=new.password
        )
    return responses.render_checks(checks.check_nodes(call.runtime, project_id, nodes))


def list_clusters(call: Call) -> bytes:
    page, name = requests.read_cluster_list_query(call.query)
    found, total = clusters.list_clusters(
        call.runtime, call.caller.project_id, offset=page.offset, limit=page.limit, name=name
    )
    standings = forecasts.list_standings(call.runtime, [cluster.id for cluster in found])
    return responses.render_clusters(found, standings, total, sources=call.caller.admin)


def show_cluster(call: Call) -> bytes:
    cluster = call.cluster()
    standings = forecasts.list_standings(call.runtime, [cluster.id])
    return responses.render_cluster(cluster, standings, sources=call.caller.admin)


def update_cluster(call: Call) -> bytes:
    cluster = clusters.update_cluster(call.runtime, call.cluster(), requests.read_cluster_change(call.body))
    standings = forecasts.list_standings(call.runtime, [cluster.id])
    return responses.render_cluster(cluster, standings, sources=True)


def remove_cluster(call: Call) -> bytes:
    deleting, name = retention_messages.read_remove_query(call.query)
    cluster = call.cluster()
    if deleting:
        archive_deletion.remove_with_archive(call.runtime, cluster, name=name, who=call.caller.name)
        return responses.render_removed(None, deleting=True)
    return responses.render_removed(clusters.remove_cluster(call.runtime, cluster))


def list_status(call: Call) -> bytes:
    page, number = requests.read_status_query(call.query)
    found = status.list_status(call.runtime, call.caller.project_id, offset=page.offset, limit=page.limit)
    ids = [one.facts.id for one in found.clusters]
    days = day_strips.list_days(call.runtime, ids, days=number) if number else {}
    undelivered = notices.find_undelivered(call.runtime, call.caller.project_id)
    return status_responses.render_status(
        found.clusters, days, undelivered, need_hand=found.need_hand, total=found.total, at=found.at
    )


def list_usage(call: Call) -> bytes:
    by, ids, page = usage_messages.read_usage_query(call.query)
    found = archive_usage.get_usage(
        call.runtime, call.caller.project_id, by, cluster_ids=ids, offset=page.offset, limit=page.limit
    )
    return usage_messages.render_usage(found, by)


def show_cluster_usage(call: Call) -> bytes:
    by, page = usage_messages.read_cluster_usage_query(call.query)
    ids = [call.cluster().id]
    found = archive_usage.get_usage(
        call.runtime, call.caller.project_id, by, cluster_ids=ids, offset=page.offset, limit=page.limit
    )
    return usage_messages.render_usage(found, by)


def list_records(call: Call) -> bytes:
    page, wanted = read_records_query(call.query)
    records, total = backups.list_project_jobs(
        call.runtime, call.caller.project_id, offset=page.offset, limit=page.limit, status=wanted
    )
    return status_responses.render_records(records, total)


def list_tasks(call: Call) -> bytes:
    wanted, after, limit = task_messages.read_list_query(call.query)
    page = tasks.list_tasks(call.runtime, call.caller.project_id, wanted, after=after, limit=limit)
    return task_messages.render_tasks(page)


def export_tasks(call: Call) -> Stream:
    wanted, as_csv = task_messages.read_export_query(call.query)
    found = tasks.iterate_tasks(call.runtime, call.caller.project_id, wanted)
    if as_csv:
        return Stream(task_messages.CSV, task_messages.csv_chunks(found))
    return Stream(NDJSON, task_messages.task_lines(found))


def show_job(call: Call) -> bytes:
    return _show_job(call, call.cluster().id)


def find_job(call: Call) -> bytes:
    return _show_job(call)


def start_backup(call: Call) -> bytes:
    asked = requests.read_backup(call.body)
    job = backups.start_backup(call.runtime, call.cluster(), repair=asked.repair)
    return job_responses.render_job(job_details.get_detail(call.runtime, call.caller.project_id, job.job_id))


def cancel_job(call: Call) -> bytes:
    backups.cancel_job(call.runtime, call.caller.project_id, requests.read_job_id(call.parameters))
    return _show_job(call)


def retry_job(call: Call) -> bytes:
    project_id = call.caller.project_id
    job = tasks.retry_job(call.runtime, project_id, requests.read_job_id(call.parameters))
    call.trail.cluster_id = job.cluster_id
    return job_responses.render_job(job_details.get_detail(call.runtime, project_id, job.job_id))


def _show_job(call: Call, cluster_id: str = "") -> bytes:
    job_id, page = requests.read_job_id(call.parameters), requests.read_files_page(call.query)
    detail = job_details.get_detail(
        call.runtime, call.caller.project_id, job_id, cluster_id=cluster_id, offset=page.offset, limit=page.limit
    )
    return job_responses.render_job(detail)


def show_policy(call: Call) -> bytes:
    return job_responses.render_policy(forecasts.get_policy(call.runtime, call.cluster()))


def update_policy(call: Call) -> bytes:
    adaptive = requests.read_adaptive(call.body)
    return job_responses.render_policy(forecasts.set_adaptive(call.runtime, call.cluster(), adaptive))


def check_setting(call: Call) -> bytes:
    found = log_settings.check_setting(call.runtime, call.cluster(), read_opening(b"", call.body))
    return job_responses.render_setting_check(found.bucket, found.folder, found.archive, found.next_runs)


def list_coverage(call: Call) -> Stream:
    node, family = requests.read_log_query(call.query)
    cluster = call.cluster()
    held = coverage.list_held(call.runtime, cluster, node=node, family=family)
    return Stream(NDJSON, job_responses.held_lines(held, coverage.get_last_success(call.runtime, cluster)))


def list_kept(call: Call) -> Stream:
    asked = requests.read_archive_query(call.query)
    logs = archive.list_kept(
        call.runtime, call.cluster(), node=asked.node, family=asked.family, job_id=asked.job_id, span=asked.span
    )
    return Stream(NDJSON, responses.kept_lines(logs))


def read_kept(call: Call) -> Stream:
    node, generation = requests.read_generation(call.parameters)
    asked = requests.read_piece_query(call.query)
    encoded = not asked.span and call.accepts("zstd")
    pieces = archive.read_kept(
        call.runtime,
        call.cluster(),
        node,
        generation,
        start=asked.start,
        end=asked.end,
        span=asked.span,
        encoded=encoded,
    )
    varies = (b"vary", b"accept-encoding")
    return Stream(BYTES, pieces, headers=((b"content-encoding", b"zstd"), varies) if encoded else (varies,))


def search_archive(call: Call) -> Stream:
    query = search.read_search(call.body)
    kept = call.runtime, call.cluster(), query
    events = (
        histogram.count_over_time(*kept, query.interval) if query.interval else archive_search.search_archive(*kept)
    )
    return Stream(NDJSON, search.search_lines(events, query), error_trailer=responses.error_line)


def make_index(call: Call) -> Stream:
    asked = requests.read_index(call.body)
    steps = indexing.index_cluster(call.runtime, call.cluster(), rebuild=asked.rebuild)
    return Stream(NDJSON, responses.index_lines(steps), error_trailer=responses.error_line)


def verify(call: Call) -> Stream:
    asked = requests.read_verify(call.body)
    items = verification.verify(
        call.runtime,
        call.cluster(),
        read_data=asked.read_data,
        sample=asked.sample,
        chain=asked.chain,
        noted=asked.head.lower(),
    )
    return Stream(NDJSON, responses.verify_lines(items), error_trailer=responses.error_line)


def show_verification(call: Call) -> bytes:
    return responses.render_verification(verification.get_verification(call.runtime, call.cluster()))


def list_notices(call: Call) -> bytes:
    page, cluster_id = notice_messages.read_notice_query(call.query)
    found, total = notices.list_notices(
        call.runtime, call.caller.project_id, offset=page.offset, limit=page.limit, cluster_id=cluster_id
    )
    return notice_messages.render_notices(found, total)


def list_notice_targets(call: Call) -> bytes:
    return notice_messages.render_targets(notice_targets.list_targets(call.runtime, call.caller.project_id))


def add_notice_target(call: Call) -> bytes:
    new = notice_messages.read_target(call.body)
    return notice_messages.render_added_target(*notice_targets.add_target(call.runtime, call.caller.project_id, new))


def remove_notice_target(call: Call) -> bytes:
    notice_targets.remove_target(call.runtime, call.caller.project_id, notice_messages.read_name(call.parameters))
    return NOTHING


def test_notice_target(call: Call) -> bytes:
    name = notice_messages.read_name(call.parameters)
    return notice_messages.render_delivery(notice_targets.test_target(call.runtime, call.caller.project_id, name))


def show_retention(call: Call) -> bytes:
    return retention_messages.render_state(retention.get_state(call.runtime, call.cluster()))


def set_retention(call: Call) -> bytes:
    rules, cluster = retention_messages.read_rules(call.body), call.cluster()
    retention.set_rules(call.runtime, cluster, rules, call.caller.name)
    return retention_messages.render_state(retention.get_state(call.runtime, cluster))


def preview_retention(call: Call) -> Stream:
    tried, objects = retention_messages.read_preview(call.body)
    cluster = call.cluster()
    rules = tried or [state.rule for state in retention.list_rules(call.runtime, cluster)]
    judged = retention.judge(call.runtime, cluster, rules)
    lines = retention_messages.preview_lines(judged, rules, objects=objects)
    return Stream(NDJSON, lines, error_trailer=responses.error_line)


def run_retention(call: Call) -> Stream:
    confirm, previewed = retention_messages.read_run(call.body)
    steps = retention.run(call.runtime, call.cluster(), confirm=confirm, who=call.caller.name, rules=previewed or None)
    return Stream(NDJSON, retention_messages.run_lines(steps), error_trailer=responses.error_line)


def list_removals(call: Call) -> bytes:
    node, log, limit = retention_messages.read_removals_query(call.query)
    removals = retention.list_removals(call.runtime, call.cluster(), node, log, limit)
    return retention_messages.render_removals(removals)


def list_archive_deletions(call: Call) -> bytes:
    limit = retention_messages.read_deletions_query(call.query)
    found = archive_deletion.list_deletions(call.runtime, call.caller.project_id)
    return retention_messages.render_deletions(found[:limit])


def list_protections(call: Call) -> bytes:
    found = protection.list_protections(call.runtime, call.cluster())
    return retention_messages.render_protections(found, call.runtime.clock.now_ms())


def add_protection(call: Call) -> bytes:
    asked = retention_messages.read_protection(call.body)
    made = protection.protect(
        call.runtime,
        call.cluster(),
        why=asked.why,
        who=call.caller.name,
        job_id=asked.job_id,
        span_from=asked.since,
        span_until=asked.until,
        node=asked.node,
        log=asked.log,
        expires_at=asked.expires_at,
    )
    return retention_messages.render_protection(made, call.runtime.clock.now_ms())


def remove_protection(call: Call) -> bytes:
    protection.unprotect(call.runtime, call.cluster(), call.parameters["protection_id"].lower(), call.caller.name)
    return NOTHING


def list_audit(call: Call) -> bytes:
    page, since_ms = requests.read_audit_query(call.query)
    entries, total = audit.list_entries(
        call.runtime, project_id=call.caller.project_id, since_ms=since_ms, offset=page.offset, limit=page.limit
    )
    return responses.render_audit(entries, total)


def make_console_link(call: Call) -> bytes:
    link = console_sessions.make_link(call.runtime, call.caller)
    return responses.render_console_link(f"/console/link/{link.secret}", link.expires_at)


HANDLERS: list[tuple[Operation, Handler]] = [
    (operations.ADD_CLUSTER, add_cluster),
    (operations.ADOPT_CLUSTER, adopt_cluster),
    (operations.CHECK_NEW_CLUSTER, check_new_cluster),
    (operations.CHECK_CLUSTER, check_cluster),
    (operations.LIST_CLUSTERS, list_clusters),
    (operations.SHOW_CLUSTER, show_cluster),
    (operations.UPDATE_CLUSTER, update_cluster),
    (operations.REMOVE_CLUSTER, remove_cluster),
    (operations.LIST_STATUS, list_status),
    (operations.LIST_USAGE, list_usage),
    (operations.SHOW_CLUSTER_USAGE, show_cluster_usage),
    (operations.LIST_RECORDS, list_records),
    (operations.LIST_TASKS, list_tasks),
    (operations.EXPORT_TASKS, export_tasks),
    (operations.START_BACKUP, start_backup),
    (operations.SHOW_JOB, show_job),
    (operations.FIND_JOB, find_job),
    (operations.CANCEL_JOB, cancel_job),
    (operations.RETRY_JOB, retry_job),
    (operations.SHOW_POLICY, show_policy),
    (operations.UPDATE_POLICY, update_policy),
    (operations.CHECK_SETTING, check_setting),
    (operations.LIST_COVERAGE, list_coverage),
    (operations.LIST_KEPT, list_kept),
    (operations.READ_KEPT, read_kept),
    (operations.SEARCH, search_archive),
    (operations.MAKE_INDEX, make_index),
    (operations.VERIFY, verify),
    (operations.SHOW_VERIFICATION, show_verification),
    (operations.LIST_NOTICES, list_notices),
    (operations.LIST_NOTICE_TARGETS, list_notice_targets),
    (operations.ADD_NOTICE_TARGET, add_notice_target),
    (operations.REMOVE_NOTICE_TARGET, remove_notice_target),
    (operations.TEST_NOTICE_TARGET, test_notice_target),
    (operations.SHOW_RETENTION, show_retention),
    (operations.SET_RETENTION, set_retention),
    (operations.PREVIEW_RETENTION, preview_retention),
    (operations.RUN_RETENTION, run_retention),
    (operations.LIST_REMOVALS, list_removals),
    (operations.LIST_ARCHIVE_DELETIONS, list_archive_deletions),
    (operations.LIST_PROTECTIONS, list_protections),
    (operations.ADD_PROTECTION, add_protection),
    (operations.REMOVE_PROTECTION, remove_protection),
    (operations.LIST_AUDIT, list_audit),
    (operations.MAKE_CONSOLE_LINK, make_console_link),
]
