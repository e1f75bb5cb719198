"""Updating the nodes of a discovered cluster: each job first asks the cluster's API for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from shlex import quote
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from logkeep.database import clusters, jobs
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster, Node
from logkeep.domain.members import Members, match_nodes
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.errors import InvalidField, JobError, JobSuperseded
from logkeep.service.catalogue import JobCatalogue
from logkeep.service.clusters import check_node_name, instance_of
from logkeep.service.node_threads import run_concurrently
from logkeep.service.runtime import Runtime
from logkeep.service.sources import check_source, find_tenant
from logkeep.sources.base import FoundNode

_ANSWER_SECONDS = 30.0  # for all requests to a cluster's API together
_log = structlog.get_logger("logkeep.members")


class _NoAnswer(Exception):
    """A cluster's API did not answer in time."""


def follow_members(runtime: Runtime, cluster: Cluster, catalogue: JobCatalogue, job_id: str, attempt: int) -> Cluster:
    """Ask the cluster for its nodes, save changes, and warn about nodes that are new, gone or refused.

    Return the cluster with its present nodes. If the API does not answer, or answers for another cluster, a warning is
    given and the known nodes are kept. Raises `JobSuperseded`.
    """
    if cluster.discovery is None:
        return cluster
    try:
        members, refused = _ask(runtime, cluster)
    except JobError:
        raise
    except (InvalidField, _NoAnswer) as error:
        catalogue.record_warnings([_unasked(cluster.discovery.url, str(error))])
        return cluster
    except Exception:
        _log.exception("a cluster was not asked for its nodes", cluster=cluster.name, job_id=job_id)
        catalogue.record_warnings([_unasked(cluster.discovery.url, "unexpected error; see the service's log")])
        return cluster
    catalogue.record_warnings([*refused, *map(_new, members.new), *(_gone(cluster, node) for node in members.gone)])
    if members.nodes != cluster.nodes:
        with writing(runtime.database) as connection:
            if not jobs.is_current_attempt(connection, job_id, attempt):
                raise JobSuperseded()
            save_members(connection, cluster.id, members.nodes, runtime.clock.now_ms())
    return replace(cluster, nodes=members.nodes)


def save_members(connection: Connection, cluster_id: str, nodes: Sequence[Node], now: int) -> None:
    """Save the nodes of a cluster; the archive of removed nodes stays."""
    clusters.save_nodes(connection, cluster_id, nodes)
    clusters.touch_cluster(connection, cluster_id, now)


def _ask(runtime: Runtime, cluster: Cluster) -> tuple[Members, list[JobWarning]]:
    """Ask for the nodes, for at most `_ANSWER_SECONDS` even if the other side or a mount hangs.

    Raises `InvalidField`, `_NoAnswer`.
    """
    discovery = cluster.discovery
    assert discovery
    with reading(runtime.database) as connection:
        sealed = clusters.fetch_sealed_password(connection, cluster.id)
    password = runtime.seal.decrypt(sealed) if sealed else ""
    answers: list[tuple[Members, list[JobWarning]]] = []
    end = time.monotonic() + _ANSWER_SECONDS

    def check_time() -> None:
        if time.monotonic() > end:
            raise _NoAnswer(f"no whole answer came within {_ANSWER_SECONDS:.0f} seconds")

    def ask() -> None:
        found = runtime.describe_cluster(discovery.url, discovery.user, password)
        answers.append(_members(runtime, cluster, found.nodes))

    run_concurrently([ask], 1, check_time)
    return answers[0]


def _members(runtime: Runtime, cluster: Cluster, found: Sequence[FoundNode]) -> tuple[Members, list[JobWarning]]:
    """Match the nodes found with the known ones. Raises `InvalidField` if none is known: it may be another cluster."""
    url = cluster.discovery.url if cluster.discovery else ""
    known = [node for node in cluster.nodes if node.instance]
    instances, names = {node.instance for node in known}, {node.name for node in known}
    if known and not any(one.instance in instances or one.name in names for one in found):
        raise InvalidField(
            "url",
            f"none of the {len(found)} nodes that it names is known; where it is still this cluster, say so with "
            f"`logkeep cluster update {quote(cluster.name)} --url {quote(url)}`",
        )
    nodes, refused = read_nodes(runtime, cluster, found)
    return match_nodes(cluster.nodes, nodes, runtime.clock.now_ms()), refused


def read_nodes(runtime: Runtime, cluster: Cluster, found: Sequence[FoundNode]) -> tuple[list[Node], list[JobWarning]]:
    """Return the nodes that the project may read, and warnings about the others.

    A known node with a new source that may not be read keeps its old one.
    """
    assert cluster.discovery
    tenant = find_tenant(runtime, cluster.project_id)
    sources = {node.instance: node.source for node in cluster.nodes if node.instance}
    nodes: list[Node] = []
    refused: list[JobWarning] = []
    for one in found:
        try:
            source = check_source(runtime, tenant, one.source_url(cluster.discovery.source))
            check_node_name(one.name)
        except InvalidField as error:
            refused.append(_refused(one.name, error))
            source = sources.get(one.instance, "")
        if source:
            nodes.append(
                Node(id=str(uuid4()), name=one.name, source=source, role=one.role, ip=one.ip, instance=instance_of(one))
            )
    return nodes, refused


def _unasked(url: str, why: str) -> JobWarning:
    message = (
        f"the cluster cannot be asked for its nodes at {url}, so those that are known were backed up, and a new one "
        f"would not be: {why}"
    )
    return JobWarning(node="", family="", file="", code=WarningCode.CLUSTER_UNASKED, message=message)


def _new(node: Node) -> JobWarning:
    message = (
        f"is new in the cluster and backed up from now on, from {node.source}; its lines before that may be missing"
    )
    return JobWarning(node=node.name, family="", file="", code=WarningCode.NODE_NEW, message=message)


def _gone(cluster: Cluster, node: Node) -> JobWarning:
    message = (
        "is not in the cluster any more; what is kept of it stays, and its directory is read as long as it can be. "
        f"Where it does not come back: `logkeep cluster update {quote(cluster.name)} --remove-node {quote(node.name)}`"
    )
    return JobWarning(node=node.name, family="", file="", code=WarningCode.NODE_GONE, message=message)


def _refused(name: str, error: InvalidField) -> JobWarning:
    shown = "".join(filter(str.isprintable, name))[:100]
    message = f"node {shown!r} of the cluster is not backed up: {error.message}"
    return JobWarning(node="", family="", file=shown, code=WarningCode.NODE_REFUSED, message=message)
