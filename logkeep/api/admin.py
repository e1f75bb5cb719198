"""`/api/v1`, what CSS lacks: registering clusters, one record, the archive, verification."""

from __future__ import annotations

from logkeep.api import admin_models, job_models, policy_models
from logkeep.api.call import Call, Stream
from logkeep.api.routes import Handler
from logkeep.contract.operations import BYTES, NDJSON, Link, Operation, WaitsFor
from logkeep.contract.requests import PAGE
from logkeep.domain.access import Right
from logkeep.domain.cluster import Cluster
from logkeep.errors import BackupClosed, BackupRunning, EmptyBody, InvalidField, NameTaken, StoreError
from logkeep.service import archive, audit, backups, checks, clusters, coverage, forecasts, job_details, verification
from logkeep.service.adoption import adopt_cluster as adopt
from logkeep.service.archive import ArchivedGeneration
from logkeep.service.checks import NodeCheck
from logkeep.service.verification import Verification

_CLUSTERS = "/api/v1/clusters"
_ADOPT_SECONDS = 800.0  # every manifest of the cluster is read, and each bucket listed
_LOOK_SECONDS, _LOOK_FILES = 5.0, 20  # of a cluster that was just registered
_CLUSTER = _CLUSTERS + "/{cluster_id}"


def add_cluster(call: Call) -> bytes:
    new = admin_models.read_new_cluster(call.body)
    if isinstance(new, admin_models.NewCluster):
        cluster = clusters.add_cluster(
            call.context, call.caller.project_id, new.name, new.nodes, kind=new.kind, version=new.version
        )
    else:
        cluster = clusters.discover_cluster(
            call.context,
            call.caller.project_id,
            new.name,
            new.url,
            new.source,
            user=new.user,
            password=new.password,
        )
    call.trail.cluster_id = cluster.id
    standings = forecasts.list_standings(call.context, [cluster.id])
    return admin_models.render_added(cluster, standings, _look_at(call, cluster))


def adopt_cluster(call: Call) -> bytes:
    adoption = admin_models.read_adoption(call.cluster_id(), call.body)
    adopted = adopt(call.context, call.caller.project_id, adoption)
    cluster = call.cluster()
    standings = forecasts.list_standings(call.context, [cluster.id])
    return admin_models.render_adopted(cluster, standings, _look_at(call, cluster), adopted)


def _look_at(call: Call, cluster: Cluster) -> list[NodeCheck]:
    """A short look at the nodes of a cluster that was just registered."""
    return checks.check_nodes(
        call.context, cluster.project_id, cluster.nodes, seconds=_LOOK_SECONDS, most_opened=_LOOK_FILES
    )


def check_cluster(call: Call) -> bytes:
    cluster = call.cluster()
    return admin_models.render_checks(checks.check_nodes(call.context, cluster.project_id, cluster.nodes))


def check_new_cluster(call: Call) -> bytes:
    new = admin_models.read_new_cluster(call.body)
    project_id = call.caller.project_id
    if isinstance(new, admin_models.NewCluster):
        nodes = clusters.check_new_nodes(call.context, project_id, new.name, new.nodes)
    else:
        nodes = clusters.find_new_nodes(
            call.context, project_id, new.name, new.url, new.source, user=new.user, password=new.password
        )
    return admin_models.render_checks(checks.check_nodes(call.context, project_id, nodes))


def list_clusters(call: Call) -> bytes:
    page, name = admin_models.read_cluster_list_query(call.query)
    found, total = clusters.list_clusters(
        call.context, call.caller.project_id, offset=page.offset, limit=page.limit, name=name
    )
    standings = forecasts.list_standings(call.context, [cluster.id for cluster in found])
    return admin_models.render_clusters(found, standings, total, sources=call.caller.admin)


def show_cluster(call: Call) -> bytes:
    cluster = call.cluster()
    standings = forecasts.list_standings(call.context, [cluster.id])
    return admin_models.render_cluster(cluster, standings, sources=call.caller.admin)


def update_cluster(call: Call) -> bytes:
    cluster = clusters.update_cluster(call.context, call.cluster(), admin_models.read_cluster_change(call.body))
    standings = forecasts.list_standings(call.context, [cluster.id])
    return admin_models.render_cluster(cluster, standings, sources=True)


def remove_cluster(call: Call) -> bytes:
    problem = clusters.remove_cluster(call.context, call.cluster())
    return admin_models.render_removed(problem)


def show_job(call: Call) -> bytes:
    return _show_job(call, call.cluster().id)


def find_job(call: Call) -> bytes:
    return _show_job(call)


def start_backup(call: Call) -> bytes:
    job = backups.start_backup(call.context, call.cluster())
    return job_models.render_job(job_details.get_detail(call.context, call.caller.project_id, job.job_id))


def cancel_job(call: Call) -> bytes:
    backups.cancel_job(call.context, call.caller.project_id, admin_models.read_job_id(call.parameters))
    return _show_job(call)


def _show_job(call: Call, cluster_id: str = "") -> bytes:
    job_id, page = admin_models.read_job_id(call.parameters), job_models.read_files_page(call.query)
    detail = job_details.get_detail(
        call.context, call.caller.project_id, job_id, cluster_id=cluster_id, offset=page.offset, limit=page.limit
    )
    return job_models.render_job(detail)


def show_policy(call: Call) -> bytes:
    return policy_models.render_policy(forecasts.get_policy(call.context, call.cluster()))


def update_policy(call: Call) -> bytes:
    adaptive = policy_models.read_adaptive(call.body)
    return policy_models.render_policy(forecasts.set_adaptive(call.context, call.cluster(), adaptive))


def list_coverage(call: Call) -> Stream:
    node, family = admin_models.read_log_query(call.query)
    cluster = call.cluster()
    held = coverage.list_held(call.context, cluster, node=node, family=family)
    return Stream(NDJSON, job_models.held_lines(held, coverage.get_last_success(call.context, cluster)))


def list_kept(call: Call) -> Stream:
    asked = admin_models.read_archive_query(call.query)
    logs = archive.list_kept(
        call.context, call.cluster(), node=asked.node, family=asked.family, job_id=asked.job_id, span=asked.span
    )
    return Stream(NDJSON, admin_models.kept_lines(logs))


def read_kept(call: Call) -> Stream:
    node, generation = admin_models.read_generation(call.parameters)
    asked = admin_models.read_piece_query(call.query)
    pieces = archive.read_kept(
        call.context, call.cluster(), node, generation, start=asked.start, end=asked.end, span=asked.span
    )
    return Stream(BYTES, pieces)


def verify(call: Call) -> Stream:
    asked = admin_models.read_verify(call.body)
    items = verification.verify(
        call.context,
        call.cluster(),
        read_data=asked.read_data,
        sample=asked.sample,
        chain=asked.chain,
        noted=asked.head,
    )
    return Stream(NDJSON, admin_models.verify_lines(items), admin_models.error_line)


def show_verification(call: Call) -> bytes:
    return admin_models.render_verification(verification.get_verification(call.context, call.cluster()))


def list_audit(call: Call) -> bytes:
    page, since_ms = admin_models.read_audit_query(call.query)
    entries, total = audit.list_entries(
        call.context, project_id=call.caller.project_id, since_ms=since_ms, offset=page.offset, limit=page.limit
    )
    return admin_models.render_audit(entries, total)


_SAME = {"cluster_id": "$request.path.cluster_id"}
_ADDED = {"cluster_id": "$response.body#/id"}

HANDLERS: list[tuple[Operation, Handler]] = [
    (
        Operation(
            "AddCluster",
            "POST",
            _CLUSTERS,
            summary="Register a cluster; for the role admin",
            right=Right.ADMINISTER,
            body=admin_models.NEW_CLUSTER,
            answer=admin_models.AddedCluster,
            raises=(InvalidField, EmptyBody, NameTaken),
            links=(Link("ShowCluster", _ADDED), Link("RemoveCluster", _ADDED), Link("Verify", _ADDED)),
            waits_for=WaitsFor.NODES,
        ),
        add_cluster,
    ),
    (
        Operation(
            "AdoptCluster",
            "POST",
            _CLUSTER + "/adopt",
            summary="Register a cluster under the id of an archive, and take up what the buckets hold of it",
            right=Right.ADMINISTER,
            body=admin_models.ADOPT_CLUSTER,
            answer=admin_models.AdoptedCluster,
            raises=(InvalidField, EmptyBody, NameTaken, StoreError),
            links=(Link("ShowCluster", _SAME),),
            waits_for=WaitsFor.BUCKETS,
            seconds=_ADOPT_SECONDS,
        ),
        adopt_cluster,
    ),
    (
        Operation(
            "CheckNewCluster",
            "POST",
            _CLUSTERS + "/check",
            summary="Look at the log directories of a cluster as AddCluster would register it; nothing is changed",
            right=Right.ADMINISTER,
            body=admin_models.NEW_CLUSTER,
            answer=admin_models.CheckList,
            raises=(InvalidField, EmptyBody),
            waits_for=WaitsFor.NODES,
        ),
        check_new_cluster,
    ),
    (
        Operation(
            "CheckCluster",
            "POST",
            _CLUSTER + "/check",
            summary="Look at the log directories of all nodes: reachable, readable, how many logs, what is left out",
            answer=admin_models.CheckList,
            waits_for=WaitsFor.NODES,
        ),
        check_cluster,
    ),
    (
        Operation(
            "ListClusters",
            "GET",
            _CLUSTERS,
            summary="List the clusters, newest first",
            right=Right.READ,
            query=(*PAGE, admin_models.CLUSTER_NAME),
            answer=admin_models.ClusterList,
            raises=(InvalidField,),
            links=(Link("ShowCluster", {"cluster_id": "$response.body#/clusters/0/id"}),),
        ),
        list_clusters,
    ),
    (
        Operation(
            "ShowCluster",
            "GET",
            _CLUSTER,
            summary="Read one cluster",
            right=Right.READ,
            answer=admin_models.ClusterView,
        ),
        show_cluster,
    ),
    (
        Operation(
            "UpdateCluster",
            "PATCH",
            _CLUSTER,
            summary="Change nodes, sources, or how the cluster is asked for its nodes; for the role admin",
            right=Right.ADMINISTER,
            body=admin_models.UPDATE_CLUSTER,
            answer=admin_models.ClusterView,
            raises=(InvalidField, EmptyBody),
            links=(Link("ShowCluster", _SAME),),
            waits_for=WaitsFor.NODES,
        ),
        update_cluster,
    ),
    (
        Operation(
            "RemoveCluster",
            "DELETE",
            _CLUSTER,
            summary="Forget a cluster and its records; objects stay; for the role admin",
            right=Right.ADMINISTER,
            answer=admin_models.RemovedCluster,
            raises=(BackupRunning,),
            links=(Link("ShowCluster", _SAME),),
            waits_for=WaitsFor.BUCKETS,
        ),
        remove_cluster,
    ),
    (
        Operation(
            "StartBackup",
            "POST",
            _CLUSTER + "/backups",
            summary="Back up what is new in the logs; answers with the record of the job that was started",
            answer=job_models.JobView,
            raises=(BackupClosed, BackupRunning),
            links=(Link("FindJob", {"job_id": "$response.body#/jobId"}),),
            waits_for=WaitsFor.WRITES,
        ),
        start_backup,
    ),
    (
        Operation(
            "ShowJob",
            "GET",
            _CLUSTER + "/jobs/{job_id}",
            summary="The same for a cluster's job",
            right=Right.READ,
            query=job_models.FILES_PAGE,
            answer=job_models.JobView,
            raises=(InvalidField,),
        ),
        show_job,
    ),
    (
        Operation(
            "FindJob",
            "GET",
            "/api/v1/jobs/{job_id}",
            summary="Read one record: how far it is on each node, the files that it stored, and what it met",
            right=Right.READ,
            query=job_models.FILES_PAGE,
            answer=job_models.JobView,
            raises=(InvalidField,),
        ),
        find_job,
    ),
    (
        Operation(
            "CancelJob",
            "POST",
            "/api/v1/jobs/{job_id}/cancel",
            summary="End a backup that is RUNNING as FAIL; what it kept stays; one that has ended stays as it is",
            waits_for=WaitsFor.WRITES,
            query=job_models.FILES_PAGE,
            answer=job_models.JobView,
            raises=(InvalidField,),
        ),
        cancel_job,
    ),
    (
        Operation(
            "ShowPolicy",
            "GET",
            _CLUSTER + "/policy",
            summary="Tell when the cluster is backed up without being asked",
            right=Right.READ,
            answer=policy_models.PolicyView,
        ),
        show_policy,
    ),
    (
        Operation(
            "UpdatePolicy",
            "PUT",
            _CLUSTER + "/policy",
            summary="Add runs before a node deletes what is not kept, or no longer",
            body=policy_models.POLICY,
            answer=policy_models.PolicyView,
            raises=(InvalidField, EmptyBody, BackupClosed),
            links=(Link("ShowPolicy", _SAME),),
            waits_for=WaitsFor.WRITES,
        ),
        update_policy,
    ),
    (
        Operation(
            "ListCoverage",
            "GET",
            _CLUSTER + "/coverage",
            summary="Tell which span of each log is held, and what is missing",
            right=Right.READ,
            query=admin_models.LOG_QUERY,
            answer=job_models.HeldLine,
            content_type=NDJSON,
            raises=(InvalidField,),
        ),
        list_coverage,
    ),
    (
        Operation(
            "ListKept",
            "GET",
            _CLUSTER + "/archive",
            summary="List the logs that are kept, or those that a job stored or that can hold records of a span",
            right=Right.READ,
            query=admin_models.ARCHIVE_QUERY,
            answer=ArchivedGeneration,
            content_type=NDJSON,
            raises=(InvalidField,),
        ),
        list_kept,
    ),
    (
        Operation(
            "ReadKept",
            "GET",
            _CLUSTER + "/archive/{node}/{generation}",
            summary="Read a kept log, bytes of it, or records of a span; broken off where an object is damaged",
            right=Right.READ,
            query=admin_models.READ_QUERY,
            content_type=BYTES,
            raises=(InvalidField, StoreError),
            waits_for=WaitsFor.BUCKETS,
        ),
        read_kept,
    ),
    (
        Operation(
            "Verify",
            "POST",
            _CLUSTER + "/verify",
            summary="Hold the bucket against what was stored",
            right=Right.READ,
            body=admin_models.VERIFY,
            answer=admin_models.VerifyLine,
            content_type=NDJSON,
            raises=(InvalidField, EmptyBody, StoreError),
            waits_for=WaitsFor.BUCKETS,
            seconds=600,  # all manifests are read before the first object is told of
        ),
        verify,
    ),
    (
        Operation(
            "ShowVerification",
            "GET",
            _CLUSTER + "/verification",
            summary="What the last verification came to, by hand or by the clock",
            right=Right.READ,
            answer=Verification,
        ),
        show_verification,
    ),
    (
        Operation(
            "ListAudit",
            "GET",
            "/api/v1/audit",
            summary="List who changed what, newest first; for the role admin",
            right=Right.ADMINISTER,
            query=(*PAGE, admin_models.SINCE),
            answer=admin_models.AuditList,
            raises=(InvalidField,),
        ),
        list_audit,
    ),
]
