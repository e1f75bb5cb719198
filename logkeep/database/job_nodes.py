"""Statements on what a job does on each node, and on what it stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Dialect, Insert, Row, Select, bindparam, func, select, update

from logkeep.database.bodies import decode_body
from logkeep.database.connection import of, upsert
from logkeep.database.tables import findings, job_nodes, jobs, segments
from logkeep.domain.forecast import Forecast
from logkeep.domain.job_detail import JobFile, JobNode
from logkeep.domain.manifest import Gap, Segment

_OF_NODE = of(job_nodes.c.job_id, job_nodes.c.node)
_DONE = job_nodes.c.done + bindparam("more", type_=BigInteger)
_PLAN = update(job_nodes).where(*_OF_NODE).values(done=_DONE, planned=_DONE + bindparam("remaining", type_=BigInteger))
_ADVANCE = update(job_nodes).where(*_OF_NODE).values(done=_DONE)
_END = update(job_nodes).where(*_OF_NODE).values(done=_DONE, planned=_DONE, finished_at=bindparam("ended_at"))
_ENDED = select(job_nodes.c.node).where(*of(job_nodes.c.job_id), job_nodes.c.finished_at.is_not(None))


@cache
def _begin(dialect: Dialect) -> Insert:
    kept = select(func.coalesce(func.sum(segments.c.raw), 0)).where(
        segments.c.job_id == job_nodes.c.job_id, segments.c.node == job_nodes.c.node
    )
    again = {"finished_at": None, "done": kept.scalar_subquery()}  # what that attempt only read does not count
    insert = upsert(dialect)(job_nodes)
    return insert.on_conflict_do_update(index_elements=["job_id", "node"], set_=again)


def begin_node(connection: Connection, job_id: str, node: str, started_at: int) -> None:
    """Record that the job begins a node; if another attempt began it, keep its first start and what it did."""
    connection.execute(_begin(connection.dialect), {"job_id": job_id, "node": node, "started_at": started_at})


def plan_node(connection: Connection, job_id: str, node: str, remaining: int, done: int = 0) -> None:
    """Add to the bytes `done` of a node, and set those that remain."""
    connection.execute(_PLAN, {"of_job_id": job_id, "of_node": node, "more": done, "remaining": remaining})


def advance_node(connection: Connection, job_id: str, node: str, read: int) -> None:
    """Add bytes that were read and are not committed yet to what is done."""
    connection.execute(_ADVANCE, {"of_job_id": job_id, "of_node": node, "more": read})


def end_node(connection: Connection, job_id: str, node: str, finished_at: int, uncommitted: int = 0) -> None:
    """Record the end of a node; `uncommitted` bytes that were shown as done were never committed."""
    connection.execute(_END, {"of_job_id": job_id, "of_node": node, "more": -uncommitted, "ended_at": finished_at})


def fetch_ended(connection: Connection, job_id: str) -> set[str]:
    """Return the names of the nodes that the job has finished."""
    return set(connection.execute(_ENDED, {"of_job_id": job_id}).scalars())


def fetch_nodes(connection: Connection, job_id: str) -> list[JobNode]:
    """Return every node that the job has begun or stored something of, by name."""
    sums = {row.node: row for row in connection.execute(_sums(job_id))}
    times = {row.node: row for row in connection.execute(select(job_nodes).where(job_nodes.c.job_id == job_id))}
    failed = dict(tuple(row) for row in connection.execute(_count_failures(job_id)))
    names = sorted(sums.keys() | times.keys())
    return [_node(name, times.get(name), sums.get(name), failed.get(name, 0)) for name in names]


def fetch_files(connection: Connection, job_id: str, *, offset: int, limit: int) -> Iterator[JobFile]:
    """Yield what the job stored, by node, generation and start; `offset` counts from 0."""
    order = (segments.c.node, segments.c.generation, segments.c.start)
    began = (
        select(jobs.c.created_at).where(jobs.c.job_id == job_id).scalar_subquery()
    )  # `read_at` until it is read back
    columns = segments.c.body, segments.c.read_at, func.coalesce(began, 0)
    statement = select(*columns).where(segments.c.job_id == job_id).order_by(*order)
    for body, read_at, kept_at in connection.execute(statement.limit(limit).offset(offset)):
        yield _file(decode_body(body, Segment), read_at if read_at > kept_at else None, damaged=read_at < 0)


def fetch_gaps(connection: Connection, job_id: str, limit: int) -> tuple[Gap, ...]:
    return tuple(decode_body(body, Gap) for body in _found(connection, job_id, "gap", limit))


def fetch_failures(connection: Connection, job_id: str, limit: int) -> tuple[str, ...]:
    return tuple(decode_body(body, str) for body in _found(connection, job_id, "failure", limit))


def fetch_forecasts(connection: Connection, job_id: str, limit: int) -> tuple[Forecast, ...]:
    return tuple(decode_body(body, Forecast) for body in _found(connection, job_id, "forecast", limit))


def _found(connection: Connection, job_id: str, kind: str, limit: int) -> Iterable[bytes]:
    statement = select(findings.c.body).where(findings.c.job_id == job_id, findings.c.kind == kind)
    return connection.execute(statement.order_by(findings.c.id).limit(limit)).scalars()


def _count_failures(job_id: str) -> Select[*tuple[Any, ...]]:
    f = findings.c
    return select(f.node, func.count()).where(f.job_id == job_id, f.kind == "failure").group_by(f.node)


def _sums(job_id: str) -> Select[*tuple[Any, ...]]:
    """Select sums of each node; the index covers all columns."""
    return (
        select(
            segments.c.node,
            func.count().label("files"),
            func.sum(segments.c.raw).label("raw"),
            func.sum(segments.c.stored).label("stored"),
            func.sum(segments.c.lines).label("lines"),
        )
        .where(segments.c.job_id == job_id)
        .group_by(segments.c.node)
    )


def _node(name: str, times: Row[*tuple[Any, ...]] | None, sums: Row[*tuple[Any, ...]] | None, failures: int) -> JobNode:
    return JobNode(
        node=name,
        started_at=times.started_at if times else None,
        finished_at=times.finished_at if times else None,
        planned=times.planned if times else None,
        done=times.done if times else None,
        files=sums.files if sums else 0,
        lines=int(sums.lines) if sums else 0,
        raw=int(sums.raw) if sums else 0,
        stored=int(sums.stored) if sums else 0,
        failures=failures,
    )


def _file(segment: Segment, verified_at: int | None, *, damaged: bool) -> JobFile:
    return JobFile(
        node=segment.node,
        family=segment.family,
        name=segment.name,
        generation=segment.generation,
        start=segment.start,
        end=segment.end,
        lines=segment.lines,
        raw=segment.end - segment.start,
        stored=segment.stored,
        bucket=segment.bucket,
        object=segment.object,
        sha256=segment.sha256,
        first_time=segment.first_time,
        last_time=segment.last_time,
        verified_at=verified_at,
        damaged=damaged,
    )
