"""Statements on how all clusters of a project stand.

Each is for many clusters at a time, by indexes: it costs some seeks for each cluster, however many records it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, ScalarSelect, Select, and_, func, select

from logkeep.database.log_settings import fetch_project_runs, fetch_runs
from logkeep.database.tables import clusters, findings, job_counts, job_warnings, jobs, log_settings, verifications
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.cluster_status import (
    MOST_GAPS,
    ClusterDetails,
    ClusterFacts,
    EndedJob,
    LastVerification,
    RunningJob,
)
from logkeep.domain.policy import PolicyHistory, next_run_of
from logkeep.errors import ClusterNotFound

_AT_ONCE = 1000  # clusters that are looked at together
_ended, _running = jobs.alias("ended"), jobs.alias("running")


def fetch_facts(connection: Connection, project_id: str, now: int) -> Iterator[ClusterFacts]:
    """Yield what each cluster of a project is judged by, in the order of their names."""
    runs = fetch_project_runs(connection, project_id)
    after = ""
    page = _standing().where(clusters.c.project_id == project_id).order_by(clusters.c.name).limit(_AT_ONCE)
    while rows := connection.execute(page.where(clusters.c.name > after)).all():
        after = rows[-1].name
        yield from _judged_by(connection, rows, runs, now)


def fetch_all_facts(connection: Connection, now: int) -> Iterator[list[tuple[str, ClusterFacts]]]:
    """Yield what each cluster of all projects is judged by, with its project, some at a time."""
    after, page = "", _standing().order_by(clusters.c.id).limit(_AT_ONCE)
    while rows := connection.execute(page.where(clusters.c.id > after)).all():
        after = rows[-1].id
        runs = fetch_runs(connection, [row.id for row in rows])
        projects = [row.project_id for row in rows]
        yield list(zip(projects, _judged_by(connection, rows, runs, now), strict=True))


def fetch_facts_of(connection: Connection, cluster: Cluster, now: int) -> ClusterFacts:
    """Return what a cluster is judged by. Raises `ClusterNotFound` if it was removed meanwhile."""
    rows = connection.execute(_standing().where(clusters.c.id == cluster.id)).all()
    if not rows:
        raise ClusterNotFound()
    (facts,) = _judged_by(connection, rows, fetch_runs(connection, [cluster.id]), now)
    return facts


def _judged_by(
    connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]], runs: Mapping[str, PolicyHistory], now: int
) -> Iterator[ClusterFacts]:
    ended = [row.ended_job for row in rows if row.ended_job]
    lost = {row[0]: row[1] for row in connection.execute(_count_gaps(ended))}
    warned: dict[str, dict[str, int]] = defaultdict(dict)
    for job_id, code, number in connection.execute(_count_warnings(ended)):
        warned[job_id][code] = number
    for row in rows:
        yield _facts(row, runs.get(row.id), lost.get(row.ended_job, 0), warned.get(row.ended_job, {}), now)


def fetch_details(connection: Connection, shown: Sequence[ClusterFacts]) -> dict[str, ClusterDetails]:
    """Return what the sentences on these clusters quote, by cluster."""
    ids = [facts.id for facts in shown]
    ended = [facts.ended.job_id for facts in shown if facts.ended]
    messages = select(jobs.c.job_id, jobs.c.failed_msg).where(jobs.c.job_id.in_(ended), jobs.c.failed_msg.is_not(None))
    failed = {row[0]: row[1] for row in connection.execute(messages)}
    v = verifications.c
    told = select(v.cluster_id, v.problem, v.failure).where(v.cluster_id.in_(ids))
    verified = {row[0]: (row[1], row[2]) for row in connection.execute(told)}
    gaps = {row[0]: row[1] for row in connection.execute(_known_gaps(ids))}
    warnings = _fetch_first_warnings(connection, ended)
    return {
        one.id: ClusterDetails(
            gaps.get(one.id, 0),
            failed.get(one.ended.job_id, "") if one.ended else "",
            *verified.get(one.id, ("", "")),
            warnings.get(one.ended.job_id) if one.ended else None,
        )
        for one in shown
    }


def _newest_ended() -> ScalarSelect[Any]:
    """Select the newest record of a cluster that has ended: the first or second of the index, as one at most runs."""
    c = jobs.c
    newest = select(c.id).where(c.cluster_id == clusters.c.id, c.status != JobStatus.RUNNING)
    return newest.order_by(c.created_at.desc(), c.id.desc()).limit(1).correlate(clusters).scalar_subquery()


def _standing() -> Select[*tuple[Any, ...]]:
    """Select how clusters stand."""
    of = clusters.c.id
    succeeded = and_(job_counts.c.cluster_id == of, job_counts.c.status == JobStatus.SUCCESS)
    joined = (
        clusters.outerjoin(log_settings, log_settings.c.cluster_id == of)
        .outerjoin(job_counts, succeeded)
        .outerjoin(verifications, verifications.c.cluster_id == of)
        .outerjoin(_ended, _ended.c.id == _newest_ended())
        .outerjoin(_running, and_(_running.c.cluster_id == of, _running.c.status == JobStatus.RUNNING))
    )
    statement = select(
        clusters.c.id,
        clusters.c.name,
        clusters.c.project_id,
        clusters.c.created_at,
        log_settings.c.enabled,
        log_settings.c.adaptive,
        log_settings.c.due_at,
        log_settings.c.extra_due,
        job_counts.c.last_at,
        _ended.c.job_id.label("ended_job"),
        _ended.c.status.label("ended_status"),
        _ended.c.finished_at.label("ended_at"),
        _running.c.job_id.label("running_job"),
        _running.c.created_at.label("running_since"),
        _running.c.attempt.label("running_attempt"),
        verifications.c.finished_at.label("verified_at"),
        verifications.c.findings,
        verifications.c.failed_at,
    )
    return statement.select_from(joined)


def _facts(
    row: Row[*tuple[Any, ...]], runs: PolicyHistory | None, lost: int, warned: Mapping[str, int], now: int
) -> ClusterFacts:
    planned = [moment for moment in (row.due_at, row.extra_due) if moment is not None]
    ended = EndedJob(row.ended_job, JobStatus(row.ended_status), row.ended_at or 0) if row.ended_job else None
    running = RunningJob(row.running_job, row.running_since, row.running_attempt > 0) if row.running_job else None
    return ClusterFacts(
        id=row.id,
        name=row.name,
        registered_at=row.created_at,
        opened=row.enabled,
        adaptive=bool(row.adaptive),
        runs=runs,
        next_run=next_run_of(planned, now) if row.enabled else None,
        last_success=row.last_at,
        ended=ended,
        running=running,
        verification=LastVerification(row.verified_at, row.findings or 0, row.failed_at),
        lost=lost,
        warned=warned,
    )


def _count_gaps(job_ids: Sequence[str]) -> Select[*tuple[Any, ...]]:
    f = findings.c
    return select(f.job_id, func.count()).where(f.job_id.in_(job_ids), f.kind == "gap").group_by(f.job_id)


def _count_warnings(job_ids: Sequence[str]) -> Select[*tuple[Any, ...]]:
    w = job_warnings.c
    return select(w.job_id, w.code, func.count()).where(w.job_id.in_(job_ids)).group_by(w.job_id, w.code)


def _known_gaps(ids: Sequence[str]) -> Select[*tuple[Any, ...]]:
    some = select(findings.c.id).where(findings.c.cluster_id == clusters.c.id, findings.c.kind == "gap")
    bounded = some.limit(MOST_GAPS).correlate(clusters).subquery()
    number = select(func.count()).select_from(bounded).correlate(clusters).scalar_subquery()
    return select(clusters.c.id, number).where(clusters.c.id.in_(ids))


def _fetch_first_warnings(connection: Connection, job_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the first warning of each code of these jobs, as a sentence."""
    w = job_warnings.c
    first = select(func.min(w.id)).where(w.job_id.in_(job_ids)).group_by(w.job_id, w.code)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    statement = select(w.job_id, w.code, w.node, w.message).where(w.id.in_(first)).order_by(w.id)
    for job_id, code, node, message in connection.execute(statement):
        where = f"node {node}: " if node else ""
        found[job_id][code] = f"{code}: {where}{message}"
    return found
