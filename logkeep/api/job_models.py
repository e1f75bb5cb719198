"""Requests and responses of `/api/v1` on jobs and on what is covered."""

from __future__ import annotations

import msgspec

from logkeep.contract import fields
from logkeep.contract.models import ClusterLogRecord, GapView, Page, make_record
from logkeep.contract.requests import OFFSET, Number
from logkeep.domain.job_detail import JobDetail

FILES_LIMIT = Number("limit", 1000, "The most files to list.", high=1000)
FILES_PAGE = (OFFSET, FILES_LIMIT)
_FILES_QUERY = frozenset(parameter.name for parameter in FILES_PAGE)


# Requests


def read_files_page(raw: bytes) -> Page:
    """Which of a job's files are asked for."""
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
    lines: int | None
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
    lines: int | None
    raw: int
    stored: int
    bucket: str
    object: str
    sha256: str
    first_time: str  # as written in the log, '' where unknown
    last_time: str


class JobView(ClusterLogRecord):
    """A record by itself, with what CSS lacks."""

    attempts: int  # one more than it was taken up again
    nodes: list[JobNodeView]
    files: list[JobFileView]  # one page of them
    files_total: int
    gaps: list[GapView]
    failures: list[str]


def render_job(detail: JobDetail) -> bytes:
    """One record by itself, and what the job did."""
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
        )
    )
