"""Protections: what no rule of retention removes."""

from __future__ import annotations

import re
from uuid import uuid4

import structlog

from logkeep.database import jobs, retention, segments
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import LONGEST_LOG, LONGEST_WHO, LONGEST_WHY, MOST_PROTECTIONS, Protection
from logkeep.domain.span import Moment, Span, read_moment
from logkeep.errors import InvalidField
from logkeep.service.runtime import Runtime

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_NODE = 255
_log = structlog.get_logger("logkeep.retention")


def list_protections(runtime: Runtime, cluster: Cluster) -> list[Protection]:
    """Return the protections of a cluster, expired ones included, oldest first."""
    with reading(runtime.database) as connection:
        return retention.fetch_protections(connection, cluster.id)


def protect(
    runtime: Runtime,
    cluster: Cluster,
    *,
    why: str,
    who: str,
    job_id: str = "",
    span_from: str = "",
    span_until: str = "",
    node: str = "",
    log: str = "",
    expires_at: int | None = None,
) -> Protection:
    """Keep what a job stored, or a span of time of some logs, from every rule, until `expires_at` (Unix ms).

    Raises `InvalidField`.
    """
    now = runtime.clock.now_ms()
    _check(job_id, span_from, span_until, node, log)
    _check_text("why", why, 1, LONGEST_WHY)
    if expires_at is not None and not now < expires_at < 2**53:
        raise InvalidField("expires_at", "lies in the past; give a later moment, or none to protect for ever")
    protection = Protection(
        id=str(uuid4()),
        cluster_id=cluster.id,
        job_id=job_id,
        span_from=span_from,
        span_until=span_until,
        node=node,
        log=log,
        who=who[:LONGEST_WHO],
        why=why,
        created_at=now,
        expires_at=expires_at,
    )
    with writing(runtime.database) as connection:
        retention.lock_retention(connection, cluster.id)  # what was planned by then is gone, and nothing after it
        if job_id:
            job = jobs.fetch_job(connection, job_id)  # or its record was cleared
            if (job.cluster_id if job else segments.fetch_segment_owner(connection, job_id)) != cluster.id:
                raise InvalidField("job", "the cluster has no such job")
        if len(retention.fetch_protections(connection, cluster.id)) >= MOST_PROTECTIONS:
            raise InvalidField("protections", f"a cluster has at most {MOST_PROTECTIONS}; end those that are expired")
        retention.insert_protection(connection, protection)
    return protection


def unprotect(runtime: Runtime, cluster: Cluster, protection_id: str, who: str) -> None:
    """End a protection. Raises `InvalidField` if the cluster has none with this id."""
    with writing(runtime.database) as connection:
        if not retention.delete_protection(connection, cluster.id, protection_id):
            raise InvalidField("id", "the cluster has no such protection; see `logkeep retention show CLUSTER`")
    _log.info("protection ended", cluster_id=cluster.id, protection=protection_id, who=who)


def _check(job_id: str, span_from: str, span_until: str, node: str, log: str) -> None:
    """Raise `InvalidField` unless it is a job, or a span with both ends."""
    if job_id:
        for field, value in (("since", span_from), ("until", span_until), ("node", node), ("log", log)):
            if value:
                raise InvalidField(field, "goes with a span of time; give a job, or a span")
        return
    for field, value in (("since", span_from), ("until", span_until)):
        if not value:
            raise InvalidField(field, "is missing; give a job, or both ends of a span of time")
    span = Span(_read("since", span_from), _read("until", span_until))
    if span.is_reversed:
        raise InvalidField("until", "lies before the begin of the span")
    _check_text("node", node, 0, _LONGEST_NODE)
    _check_text("log", log, 0, LONGEST_LOG)


def _read(field: str, text: str) -> Moment:
    try:
        return read_moment(text)
    except ValueError as error:
        raise InvalidField(field, str(error)) from error


def _check_text(field: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most or _CONTROL.search(text):
        raise InvalidField(field, f"{least} to {most} characters are allowed, and none that controls")
