"""Requests and responses of `/api/v1` on jobs and on what is covered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from logkeep.api.call import json_lines
from logkeep.contract import fields
from logkeep.contract.models import ClusterLogRecord, GapView, Page, make_record
from logkeep.contract.requests import OFFSET, Number, names_of
from logkeep.domain.coverage import LogCoverage
from logkeep.domain.job_detail import JobDetail

FILES_LIMIT = Number("limit", 1000, "The most files to list.", high=1000)
FILES_PAGE = (OFFSET, FILES_LIMIT)
_LINES_AT_ONCE = 100
_FILES_QUERY = names_of(FILES_PAGE)


# Requests


def read_files_page(raw: bytes) -> Page:
    """Read which of a job's files are asked for."""
    query = fields.read_query(raw, _FILES_QUERY)
    return Page(OFFSET.read(query), FILES_LIMIT.read(query))


# Responses


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


class JobView(ClusterLogRecord):
    """A record by itself, with what CSS lacks."""

    attempts: int  # one more than it was taken up again
    nodes: list[JobNodeView]
    files: list[JobFileView]  # one page of them
    files_total: int
    gaps: list[GapView]
    failures: list[str]
    warnings: list[WarningView]
    forecasts: list[ForecastView]


class HeldGapView(msgspec.Struct, rename="camel"):
    """Bytes that went before they could be kept."""

    after: str  # time of the last line kept before it, as written there; '' where unknown
    until: str
    at_least: int  # bytes
    reason: str
    job_id: str  # that told it


class HeldWarningView(msgspec.Struct, rename="camel"):
    """What the last job that said so says of the log."""

    file: str  # '' for none
    code: str
    message: str
    job_id: str


_HELD_NAMES = {
    "first_time": "from",
    "last_time": "until",
    "safe_until": "safeUntil",
    "last_success_at": "lastSuccessAt",
    "last_success_job": "lastSuccessJob",
}


class HeldLine(msgspec.Struct, rename=_HELD_NAMES):
    """What is held of one log of one node."""

    node: str
    family: str  # '' for a node of which nothing is held
    first_time: str  # of its lines, as written there; '' where unknown
    last_time: str
    generations: int
    lines: int
    raw: int  # plain bytes
    stored: int
    safe_until: int | None  # Unix ms
    last_success_at: int | None  # Unix ms
    last_success_job: str | None
    gaps: list[HeldGapView]
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
        warnings=[
            HeldWarningView(told.warning.file, told.warning.code, told.warning.message, told.job_id)
            for told in held.warnings
        ],
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
        )
    )
