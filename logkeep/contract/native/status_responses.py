"""Responses of `/api/v1` on all clusters of a project together, from domain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from logkeep.contract.css.responses import ClusterLogRecord, make_record
from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.cluster_status import ClusterState, ClusterStatus
from logkeep.domain.day_strip import Day, DayState
from logkeep.domain.notice_target import NoticeTarget

_encode = msgspec.json.Encoder().encode


class TroubleView(msgspec.Struct):
    """One thing that needs a hand."""

    state: ClusterState
    message: str  # what is wrong and what to do, one sentence


class DayView(msgspec.Struct, gc=False):
    """What the backups of one day came to."""

    date: str  # 2026-11-24, in UTC
    state: DayState
    jobs: int  # that ended
    failed: int  # of them


class ClusterStatusView(msgspec.Struct, rename="camel", kw_only=True):
    """How one cluster stands; times are Unix ms."""

    id: str
    name: str
    state: ClusterState  # the worst that applies
    needs_hand: bool
    troubles: list[TroubleView]  # worst first; empty where it needs no hand
    last_success_at: int | None  # end of the newest backup that ended SUCCESS
    last_success_age: int | None  # ms
    next_run: int | None  # null where none is foreseen
    last_job: str | None  # the newest that ended
    last_job_status: JobStatus | None
    running_job: str | None
    running_since: int | None
    gaps: int  # that are known of its logs; counted up to 1000
    warnings: int  # of `lastJob`
    verified_at: int | None  # end of the last verification that was carried out
    days: list[DayView] | msgspec.UnsetType = msgspec.UNSET  # the last ones, where they are asked for; today last


class UndeliveredView(msgspec.Struct, rename="camel"):
    """A target that notices have not been delivered to for 15 minutes."""

    name: str
    failing_since: int  # Unix ms
    last_error: str  # empty of one of logkeep.toml


class StatusList(msgspec.Struct, rename="camel"):
    clusters: list[ClusterStatusView]  # worst first
    need_hand: int  # of all clusters of the project
    total_size: int
    at: int  # Unix ms, when they were judged
    undelivered: list[UndeliveredView] = []


class ProjectRecord(ClusterLogRecord, rename="camel", kw_only=True, gc=False):
    """A record among those of all clusters."""

    cluster_name: str


class ProjectRecordList(msgspec.Struct, rename="camel"):
    records: list[ProjectRecord]
    total_size: int


def render_status(
    clusters: Iterable[ClusterStatus],
    days: Mapping[str, Sequence[Day]],
    undelivered: Iterable[NoticeTarget],
    *,
    need_hand: int,
    total: int,
    at: int,
) -> bytes:
    """Render a page; a cluster shows those days that there are of it."""
    shown = [_cluster(one, at, days.get(one.facts.id)) for one in clusters]
    failing = [UndeliveredView(one.name, one.failing_since or at, one.last_error) for one in undelivered]
    return _encode(StatusList(shown, need_hand, total, at, failing))


def render_records(records: Iterable[tuple[BackupJob, str]], total: int) -> bytes:
    return _encode(ProjectRecordList([_record(job, name) for job, name in records], total))


def _record(job: BackupJob, cluster_name: str) -> ProjectRecord:
    record = msgspec.structs.asdict(make_record(job, digit_strings=False))
    return ProjectRecord(**record, cluster_name=cluster_name)


def _cluster(status: ClusterStatus, at: int, days: Sequence[Day] | None) -> ClusterStatusView:
    facts = status.facts
    return ClusterStatusView(
        id=facts.id,
        name=facts.name,
        state=status.state,
        needs_hand=bool(status.troubles),
        troubles=[TroubleView(one.state, one.message) for one in status.troubles],
        last_success_at=facts.last_success,
        last_success_age=None if facts.last_success is None else max(0, at - facts.last_success),
        next_run=facts.next_run,
        last_job=facts.ended and facts.ended.job_id,
        last_job_status=facts.ended and facts.ended.status,
        running_job=facts.running and facts.running.job_id,
        running_since=facts.running and facts.running.started_at,
        gaps=status.gaps,
        warnings=sum(facts.warned.values()),
        verified_at=facts.verification.finished_at,
        days=msgspec.UNSET if days is None else [DayView(one.date, one.state, one.jobs, one.failed) for one in days],
    )
