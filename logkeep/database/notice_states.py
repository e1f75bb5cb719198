"""Statements on what was told of clusters and buckets and is not over."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, tuple_

from logkeep.database.connection import in_batches, upsert
from logkeep.database.tables import (
    clusters,
    job_counts,
    job_warnings,
    jobs,
    log_settings,
    notice_buckets,
    notice_states,
    verifications,
)
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.notice_rules import MOST_MARKS, OpenPlace, OpenState, Place, Step, is_by_bucket

_MOST_FAILURES = 100  # newest ones of a bucket that are looked into
_states = notice_states.c

Change = tuple[str, Step]  # cluster id


def fetch_states(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, dict[str, OpenState]]:
    """Return the states that were told of these clusters, by cluster and state."""
    found: dict[str, dict[str, OpenState]] = defaultdict(dict)
    for ids in in_batches(cluster_ids):
        for row in connection.execute(select(notice_states).where(_states.cluster_id.in_(ids))):
            marks = frozenset(row.marks.split())
            found[row.cluster_id][row.state] = OpenState(row.state, row.since, row.seen_by, marks, row.over_since)
    return found


def fetch_marks(connection: Connection, wanted: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return a mark for each node or log that a job warns of by these codes, by job."""
    w, found = job_warnings.c, defaultdict[str, set[str]](set)
    for ids in in_batches(list(wanted)):
        codes = frozenset[str]().union(*(wanted[job_id] for job_id in ids))
        statement = select(w.job_id, w.code, w.node, w.family).where(w.job_id.in_(ids), w.code.in_(codes)).distinct()
        for job_id, code, node, family in connection.execute(statement):
            if code in wanted[job_id]:
                found[job_id].add(hashlib.sha256(f"{code}\0{node}\0{family}".encode()).hexdigest()[:8])
    return {job_id: frozenset(sorted(marks)[:MOST_MARKS]) for job_id, marks in found.items()}


def carry_out(connection: Connection, changes: Sequence[Change]) -> list[Change]:
    """Make these changes, and return those that no other process has made before."""
    return [*_begin(connection, changes), *_go_on(connection, changes), *_end(connection, changes)]


def _begin(connection: Connection, changes: Sequence[Change]) -> Iterator[Change]:
    begun = {(cluster_id, step.state): step for cluster_id, step in changes if step.before is None}
    # Sorted, so that two processes never wait for each other.
    rows = [_values(key[0], after) for key in sorted(begun) if (after := begun[key].after)]
    if rows:
        insert = upsert(connection.dialect)(notice_states).on_conflict_do_nothing()
        made = connection.execute(insert.returning(_states.cluster_id, _states.state), rows).all()
        yield from ((row.cluster_id, begun[row.cluster_id, row.state]) for row in made)


def _go_on(connection: Connection, changes: Sequence[Change]) -> Iterator[Change]:
    for cluster_id, step in changes:
        if step.before and step.after:
            row = (
                _states.cluster_id == cluster_id,
                _states.state == step.before.state,
                _states.since == step.before.since,
                _states.seen_by == step.before.seen_by,
            )
            changed = connection.execute(notice_states.update().where(*row).values(**_values(cluster_id, step.after)))
            if changed.rowcount:
                yield cluster_id, step


def _end(connection: Connection, changes: Sequence[Change]) -> Iterator[Change]:
    ended = {
        (cluster_id, step.state, step.before.since): step
        for cluster_id, step in changes
        if step.before and step.after is None
    }
    key = _states.cluster_id, _states.state, _states.since
    for keys in in_batches(sorted(ended)):
        gone = connection.execute(notice_states.delete().where(tuple_(*key).in_(keys)).returning(*key)).all()
        yield from ((row[0], ended[row[0], row[1], row[2]]) for row in gone)


def _values(cluster_id: str, state: OpenState) -> dict[str, Any]:
    return {
        "cluster_id": cluster_id,
        "state": str(state.state),
        "since": state.since,
        "seen_by": state.seen_by,
        "marks": " ".join(sorted(state.marks)),
        "over_since": state.over_since,
    }


def find_failures(connection: Connection) -> dict[Place, tuple[int, str]]:
    """Return the buckets that are away: when a backup or a verification last failed by them, and why.

    A bucket is away if nothing has succeeded there since.
    """
    found: dict[Place, tuple[int, str]] = {}
    for row in connection.execute(_STANDING_OF_PLACES):
        place = Place(row.project_id, row.bucket, row.agency)
        kept, read = row.kept_at or 0, max(row.kept_at or 0, row.read_at or 0)
        failures: list[tuple[int, str]] = []
        if (row.failed_at or 0) > kept:
            failures += _failed_jobs(connection, place, kept)
        if (row.unread_at or 0) > read:
            failures += _failed_verifications(connection, place, read)
        newest = max((one for one in failures if is_by_bucket(one[1])), default=None)
        if newest:
            found[place] = newest
    return found


_kept, _failed = job_counts.alias("kept"), job_counts.alias("failed")
_OF_PLACES = (
    clusters.join(log_settings, and_(log_settings.c.cluster_id == clusters.c.id, log_settings.c.enabled))
    .outerjoin(_kept, and_(_kept.c.cluster_id == clusters.c.id, _kept.c.status == JobStatus.SUCCESS))
    .outerjoin(_failed, and_(_failed.c.cluster_id == clusters.c.id, _failed.c.status == JobStatus.FAIL))
    .outerjoin(verifications, verifications.c.cluster_id == clusters.c.id)
)
_STANDING_OF_PLACES = (
    select(
        clusters.c.project_id,
        log_settings.c.bucket,
        log_settings.c.agency,
        func.max(_kept.c.last_at).label("kept_at"),
        func.max(_failed.c.last_at).label("failed_at"),
        func.max(verifications.c.finished_at).label("read_at"),
        func.max(verifications.c.failed_at).label("unread_at"),
    )
    .select_from(_OF_PLACES)
    .group_by(clusters.c.project_id, log_settings.c.bucket, log_settings.c.agency)
)


def _failed_jobs(connection: Connection, place: Place, after: int) -> Iterator[tuple[int, str]]:
    of = clusters.c.id
    newest = select(jobs.c.id).where(jobs.c.cluster_id == of, jobs.c.status == JobStatus.FAIL)
    newest = newest.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(1).correlate(clusters).scalar_subquery()
    statement = (
        select(jobs.c.finished_at, jobs.c.failed_msg)
        .select_from(_OF_PLACES.join(jobs, jobs.c.id == newest))
        .where(*_is(place), _failed.c.last_at > after)
    )
    for row in connection.execute(statement.order_by(_failed.c.last_at.desc()).limit(_MOST_FAILURES)):
        yield row.finished_at or 0, row.failed_msg or ""


def _failed_verifications(connection: Connection, place: Place, after: int) -> Iterator[tuple[int, str]]:
    v = verifications.c
    statement = select(v.failed_at, v.failure).select_from(_OF_PLACES).where(*_is(place), v.failed_at > after)
    for row in connection.execute(statement.order_by(v.failed_at.desc()).limit(_MOST_FAILURES)):
        yield row.failed_at, row.failure


def _is(place: Place) -> list[Any]:
    return [
        clusters.c.project_id == place.project_id,
        log_settings.c.bucket == place.bucket,
        log_settings.c.agency == place.agency,
    ]


def fetch_cluster_places(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, Place]:
    """Return the bucket that each of these clusters uses."""
    found: dict[str, Place] = {}
    for ids in in_batches(cluster_ids):
        statement = select(clusters.c.id, clusters.c.project_id, log_settings.c.bucket, log_settings.c.agency).join(
            log_settings, log_settings.c.cluster_id == clusters.c.id
        )
        for row in connection.execute(statement.where(clusters.c.id.in_(ids))):
            found[row.id] = Place(row.project_id, row.bucket, row.agency)
    return found


def fetch_places(connection: Connection) -> dict[Place, OpenPlace]:
    """Return the buckets that were told to be away."""
    return {_place(row): OpenPlace(row.since, row.over_since) for row in connection.execute(select(notice_buckets))}


def begin_place(connection: Connection, place: Place, since: int) -> bool:
    """Note that a bucket is away; False if it was noted."""
    values = {"project_id": place.project_id, "bucket": place.bucket, "agency": place.agency, "since": since}
    insert = upsert(connection.dialect)(notice_buckets).values(**values).on_conflict_do_nothing()
    return connection.execute(insert.returning(notice_buckets.c.bucket)).first() is not None


def set_place_over(connection: Connection, place: Place, over_since: int | None) -> None:
    """Note since when a bucket is not found away; None if it is."""
    connection.execute(notice_buckets.update().where(*_noted(place)).values(over_since=over_since))


def end_place(connection: Connection, place: Place, since: int) -> bool:
    """Note that a bucket is back; False if that was noted."""
    ended = notice_buckets.delete().where(*_noted(place), notice_buckets.c.since == since)
    return connection.execute(ended).rowcount > 0


def _noted(place: Place) -> list[Any]:
    c = notice_buckets.c
    return [c.project_id == place.project_id, c.bucket == place.bucket, c.agency == place.agency]


def _place(row: Row[*tuple[Any, ...]]) -> Place:
    return Place(row.project_id, row.bucket, row.agency)
