"""Responses of `/api/v1` on jobs, on when they come by themselves, and on what is covered, from domain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from logkeep.contract.css.responses import ClusterLogRecord, make_record
from logkeep.contract.native.responses import json_lines
from logkeep.domain.coverage import LogCoverage
from logkeep.domain.job_detail import JobDetail
from logkeep.domain.policy import Policy
from logkeep.domain.removed_span import RemovedSpan

_LINES_AT_ONCE = 100


class GapView(msgspec.Struct, rename="camel"):
    """Bytes of one log that went before they could be kept."""

    node: str
    family: str
    after: str  # time of the last line kept before the gap, as written there; '' where unknown
    until: str
    at_least: int  # bytes
    reason: str


class JobNodeView(msgspec.Struct, rename="camel"):
    """What a job does or did on one node."""

    node: str
    started_at: int | None  # Unix ms
    finished_at: int | None
    planned: int | None  # plain bytes to be read, as far as is known
    done: int | None  # of them
    files: int  # stored
    lines: int
    raw: int  # plain bytes of the files
    stored: int  # bytes in the bucket


class JobFileView(msgspec.Struct, rename="camel", gc=False):
    """One object that a job stored: bytes [start, end) of a log file."""

    node: str
    family: str
    name: str
    generation: int
    start: int
    end: int
    lines: int
    raw: int
    stored: int
    bucket: str
    object: str
    sha256: str
    first_time: str  # as written in the log, '' where unknown
    last_time: str


class WarningView(msgspec.Struct, rename="camel"):
    """What the job says although it did not fail for it."""

    node: str  # '' where it is of the whole cluster
    family: str  # the log that it concerns, '' for none
    file: str  # '' for none
    code: str
    message: str


class ForecastView(msgspec.Struct, rename="camel"):
    """From a moment on a node may delete lines that the backup could not know of, and the next one comes later."""

    node: str
    family: str
    safe_until: int  # Unix ms
    next_run: int | None  # Unix ms, of the next automatic backup as of the job; null where there is none


class JobRemovedView(msgspec.Struct, rename="camel"):
    """What rules of retention removed of what a job stored."""

    objects: int
    raw: int  # plain bytes
    stored: int
    lines: int


class JobView(ClusterLogRecord, rename="camel"):
    """A record by itself, with what CSS lacks."""

    attempts: int  # one more than it was taken up again
    nodes: list[JobNodeView]
    files: list[JobFileView]  # one page of them
    files_total: int
    gaps: list[GapView]
    failures: list[str]
    warnings: list[WarningView]
    forecasts: list[ForecastView]
    removed: JobRemovedView  # objects that `nodes` and `files` do not count any more


class HeldGapView(msgspec.Struct, rename="camel"):
    """Bytes that went before they could be kept."""

    after: str  # time of the last line kept before it, as written there; '' where unknown
    until: str
    at_least: int  # bytes
    reason: str
    job_id: str  # that told it


class HeldRemovedView(msgspec.Struct, rename="camel"):
    """What a rule of retention removed, over all of its runs."""

    rule: str  # its text, as `keep_days=90 of gc.log`
    removed_at: int  # Unix ms, the last time
    first_time: str = msgspec.field(name="from")  # oldest and newest known time of its lines; '' if none is known
    last_time: str = msgspec.field(name="until")
    timed: bool  # whether the times of all its lines are known
    objects: int
    raw: int  # plain bytes
    lines: int


class HeldWarningView(msgspec.Struct, rename="camel"):
    """What the last job that said so says of the log."""

    file: str  # '' for none
    code: str
    message: str
    job_id: str


class HeldLine(msgspec.Struct, rename="camel"):
    """What is held of one log of one node."""

    node: str
    family: str  # '' for a node of which nothing is held
    first_time: str = msgspec.field(name="from")  # of its lines, as written there; '' where unknown
    last_time: str = msgspec.field(name="until")
    generations: int
    lines: int
    raw: int  # plain bytes
    stored: int
    safe_until: int | None  # Unix ms
    last_success_at: int | None  # Unix ms
    last_success_job: str | None
    gaps: list[HeldGapView]
    removed: list[HeldRemovedView]  # one for each rule
    warnings: list[HeldWarningView]


def held_lines(held: Iterable[LogCoverage], last_success: tuple[str, int] | None) -> Iterator[bytes]:
    job_id, at = last_success or (None, None)
    return json_lines((_held(one, at, job_id) for one in held), _LINES_AT_ONCE)


def _held(held: LogCoverage, last_success_at: int | None, last_success_job: str | None) -> HeldLine:
    return HeldLine(
        node=held.node,
        family=held.family,
        first_time=held.first_time,
        last_time=held.last_time,
        generations=held.generations,
        lines=held.lines,
        raw=held.raw,
        stored=held.stored,
        safe_until=held.safe_until,
        last_success_at=last_success_at,
        last_success_job=last_success_job,
        gaps=[
            HeldGapView(
                after=told.gap.after,
                until=told.gap.until,
                at_least=told.gap.at_least,
                reason=told.gap.reason,
                job_id=told.job_id,
            )
            for told in held.gaps
        ],
        removed=[_removed(one) for one in held.removed],
        warnings=[
            HeldWarningView(told.warning.file, told.warning.code, told.warning.message, told.job_id)
            for told in held.warnings
        ],
    )


def _removed(one: RemovedSpan) -> HeldRemovedView:
    return HeldRemovedView(
        rule=one.rule,
        removed_at=one.removed_at,
        first_time=one.first_time,
        last_time=one.last_time,
        timed=one.timed,
        objects=one.objects,
        raw=one.raw,
        lines=one.lines,
    )


def render_job(detail: JobDetail) -> bytes:
    """Render one record and what the job did."""
    record = msgspec.structs.asdict(make_record(detail.job, digit_strings=False))
    return msgspec.json.encode(
        JobView(
            **record,
            attempts=detail.attempts,
            nodes=msgspec.convert(detail.nodes, list[JobNodeView], from_attributes=True),
            files=msgspec.convert(detail.files, list[JobFileView], from_attributes=True),
            files_total=sum(node.files for node in detail.nodes),
            gaps=msgspec.convert(detail.gaps, list[GapView], from_attributes=True),
            failures=list(detail.failures),
            warnings=msgspec.convert(detail.warnings, list[WarningView], from_attributes=True),
            forecasts=msgspec.convert(detail.forecasts, list[ForecastView], from_attributes=True),
            removed=msgspec.convert(detail.removed, JobRemovedView, from_attributes=True),
        )
    )


class PolicyView(msgspec.Struct, rename="camel"):
    period: str | None  # of the daily backup
    adaptive: bool
    next_run: int | None  # Unix ms; null where none is foreseen
    state: str  # one of PolicyState
    since: int | None  # Unix ms, when the period was set
    missed: int | None  # Unix ms, when the last daily run should have started, where it came late
    last_success_at: int | None  # Unix ms
    next_runs: list[int]  # the first five that are foreseen, Unix ms


def render_policy(policy: Policy) -> bytes:
    runs = policy.runs
    view = PolicyView(
        period=policy.period,
        adaptive=policy.adaptive,
        next_run=policy.next_run,
        state=policy.state,
        since=runs and runs.since,
        missed=runs and runs.missed_at,
        last_success_at=runs and runs.last_success,
        next_runs=list(policy.next_runs),
    )
    return msgspec.json.encode(view)


class SettingCheckView(msgspec.Struct, rename="camel"):
    """What a log setting would come to."""

    bucket: str
    folder: str  # where objects will lie in it
    archive: str  # '' for an empty place, else the id of the cluster, whose archive is there already
    next_runs: list[int]  # the first five that are foreseen, Unix ms; empty without a daily backup


def render_setting_check(bucket: str, folder: str, archive: str, next_runs: Iterable[int]) -> bytes:
    """Render what was found. Where the bucket lies is not for tenants."""
    return msgspec.json.encode(SettingCheckView(bucket, folder, archive, list(next_runs)))
