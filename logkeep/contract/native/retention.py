"""Requests and answers of `/api/v1` on retention: rules, previews, runs, protections, and what was removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from logkeep.contract import fields
from logkeep.contract.bodies import NAME, member, read_body
from logkeep.contract.fields import MAX_INTEGER
from logkeep.contract.native.requests import NO_CONTROL, NODE, SINCE_TIME, UNTIL_TIME, read_optional, read_span
from logkeep.contract.native.responses import ErrorLine
from logkeep.contract.parameters import Flag, Number, Schema, Text, names_of
from logkeep.domain.archive_deletion import ArchiveDeletion
from logkeep.domain.retention import (
    LONGEST_LOG,
    LONGEST_WHY,
    MOST_BYTES,
    MOST_DAYS,
    MOST_JOBS,
    MOST_RULES,
    Amount,
    JudgedObject,
    LogPreview,
    Preview,
    Protection,
    Reason,
    Removal,
    RetentionProgress,
    RetentionRule,
    RetentionState,
    RuleState,
)

_LINES_AT_ONCE = 500
_encoder = msgspec.json.Encoder()

LOG = Text("log", "The name of an active log file; empty for all.")
DELETE_ARCHIVE = Flag("delete_archive", "Also delete everything that the bucket holds of the cluster.")
NAME_AGAIN = Text("name", "With delete_archive: the name of the cluster, so that no other one is meant.")
REMOVE_QUERY = (DELETE_ARCHIVE, NAME_AGAIN)
LIMIT = Number("limit", 100, "The most entries to list.", high=1000)
REMOVALS_QUERY = (NODE, LOG, LIMIT)
DELETIONS_QUERY = (LIMIT,)

_LOG: Schema = NO_CONTROL | {"maxLength": LONGEST_LOG}
_Log = member("The name of an active log file, as ListCoverage tells it; empty: all logs without a rule.", _LOG)
_KeepDays = member(
    "Keep what was stored within so many days; 0: not set.", says=f"a whole number from 0 to {MOST_DAYS} is allowed"
)
_KeepBytes = member(
    "Keep the newest up to so many stored bytes, and the newest always; 0: not set.",
    says="a whole number from 0 to 2**62 is allowed",
)
_KeepJobs = member(
    "Keep what the newest so many successful backups stored; 0: not set.",
    says=f"a whole number from 0 to {MOST_JOBS} is allowed",
)
_SOME: Schema = {"maxItems": MOST_RULES}
_SAYS = "a list of {log, keep_days, keep_bytes, keep_jobs} is allowed"
_Rules = member("All rules of the cluster; a log has one at most.", _SOME, says=_SAYS, give="a list of rules")
_Tried = member("To be tried in place of those that are set; empty: those that are set.", _SOME, says=_SAYS)
_Previewed = member("The rules as they were previewed; refused where others are set by now.", _SOME, says=_SAYS)
_Job = member("`jobId` of a record: protect what it stored.", pattern="[0-9A-Fa-f]{32}", says="write 32 hex digits")
_Node = member("The name of a node; empty for all.", NO_CONTROL | {"maxLength": 255})
_Why = member("Why, for whoever reads it later.", NAME | NO_CONTROL | {"maxLength": LONGEST_WHY}, give="a reason")
_ExpiresAt = member("When it ends, in Unix ms; without it, when somebody ends it.", says="a time in Unix ms is allowed")


class RuleReq(Struct):
    log: Annotated[str, _Log] = ""
    keep_days: Annotated[int, Meta(ge=0, le=MOST_DAYS), _KeepDays] = 0
    keep_bytes: Annotated[int, Meta(ge=0, le=MOST_BYTES), _KeepBytes] = 0
    keep_jobs: Annotated[int, Meta(ge=0, le=MOST_JOBS), _KeepJobs] = 0


class RetentionReq(Struct):
    rules: Annotated[list[RuleReq], _Rules]


class RetentionPreviewReq(Struct):
    rules: Annotated[list[RuleReq], _Tried] = []
    objects: Annotated[bool, member("Also tell of each object by itself.")] = False


class RetentionRunReq(Struct):
    confirm: Annotated[bool, member("Whether rules that were not carried out before are confirmed.")] = False
    rules: Annotated[list[RuleReq], _Previewed] = []


class ProtectionReq(Struct):
    why: Annotated[str, _Why]
    job: Annotated[str, _Job] = ""
    since: Annotated[str, member(SINCE_TIME.about, SINCE_TIME.schema)] = ""
    until: Annotated[str, member(UNTIL_TIME.about, UNTIL_TIME.schema)] = ""
    node: Annotated[str, _Node] = ""
    log: Annotated[str, member("The name of an active log file; empty for all.", _LOG)] = ""
    expires_at: Annotated[int, Meta(ge=0, le=MAX_INTEGER), _ExpiresAt] = 0


class RuleView(Struct, rename="camel"):
    """What is kept of a cluster, or of one log: what any of its limits keeps."""

    log: str  # '' for all logs that have no rule of their own
    keep_days: int  # 0 for a limit that is not set, as below
    keep_bytes: int  # in the bucket
    keep_jobs: int  # that ended SUCCESS


class RuleStateView(RuleView, rename="camel", kw_only=True):
    """A rule that is set."""

    changed_at: int  # Unix ms
    changed_by: str
    confirmed_at: int | None  # null where it waits for somebody to confirm it, and is not carried out


class WaitingView(Struct, rename="camel"):
    """Objects that were removed and lie in the bucket yet."""

    objects: int
    stored: int  # bytes
    next_try: int | None  # Unix ms; null where none waits
    reason: str  # why the bucket kept the one that was tried last; '' where none was tried


class RetentionView(Struct, rename="camel"):
    """The retention of a cluster."""

    rules: list[RuleStateView]
    ran_at: int | None  # Unix ms, end of the last run
    problem: str  # why the last one broke off; '' where it did not
    entries_planned: int  # that are not in the bucket yet
    waiting: WaitingView
    removed_objects: int  # in all
    removed_raw: int  # plain bytes
    removed_stored: int  # bytes in the bucket


class AmountView(Struct, rename="camel", gc=False):
    """Objects, and their bytes."""

    objects: int
    stored: int  # bytes in the bucket
    raw: int  # plain bytes


class CoveringView(Struct, rename="camel"):
    """The protection that keeps an object."""

    id: str
    who: str
    why: str
    expires_at: int | None  # Unix ms; null for never


class RetainedObjectLine(Struct, rename="camel", tag="object"):
    """One object, and whether it goes."""

    node: str
    log: str
    name: str  # of the file when it was last seen
    generation: int
    start: int  # bytes [start, end) of the generation
    end: int
    bucket: str
    object: str
    stored: int  # bytes
    job_id: str
    created_at: int | None  # Unix ms, of the job that stored it; null if unknown
    first_time: str  # of its lines, as written in the log; '' if unknown
    last_time: str
    goes: bool
    reason: Reason
    rule: str  # that governs it; '' for none
    protection: CoveringView | None


class RetainedLogLine(Struct, rename="camel", tag="log"):
    """What goes of one log, over all nodes, and what is left."""

    log: str
    rule: str  # that governs it; '' for none
    goes: AmountView
    left: AmountView
    reasons: dict[Reason, AmountView]
    oldest_left: int | None  # Unix ms, of the job that stored it; null where nothing is left


class RetentionPreviewEndLine(Struct, rename="camel", tag="end"):
    """What a run would do now."""

    rules: list[RuleView]
    goes: AmountView
    left: AmountView
    oldest_left: int | None  # Unix ms


class RetentionProgressLine(Struct, rename="camel", tag="progress"):
    """How far a run is."""

    entries: int  # signed ones that it planned
    planned: int  # objects that they name
    objects: int  # that the bucket has removed
    stored: int  # bytes of them
    waiting: int  # objects that the bucket kept for now


class RetentionEndLine(RetentionProgressLine, rename="camel", tag="end"):
    """What a run came to."""


class ProtectionView(Struct, rename="camel"):
    """What no rule removes."""

    id: str
    job_id: str  # '' for a span
    since: str  # as it was written; '' for no bound
    until: str
    node: str  # '' for all
    log: str  # '' for all
    who: str
    why: str
    created_at: int  # Unix ms
    expires_at: int | None  # null for never
    expired: bool  # it counts no more


class ProtectionList(Struct, rename="camel"):
    protections: list[ProtectionView]


class RemovalView(Struct, rename="camel"):
    """What one entry says was removed of one log of a node by one rule."""

    number: int  # of the entry
    node: str
    log: str
    rule: str
    removed_at: int  # Unix ms
    first_time: str  # of the lines, as written in the log; '' if unknown
    last_time: str
    objects: int
    raw: int  # plain bytes
    stored: int  # bytes in the bucket
    lines: int
    sha256: str  # of the entry


class ArchiveDeletionView(Struct, rename="camel"):
    """The archive of a cluster that was removed, which is being deleted or was."""

    cluster_id: str
    cluster_name: str
    asked_at: int  # Unix ms
    asked_by: str
    objects: int  # deleted so far
    stored: int  # bytes of them
    waiting: int  # objects that the bucket kept at the last try
    next_try: int  # Unix ms; of one that is not finished
    reason: str  # why something waits; '' for none
    finished_at: int | None  # Unix ms; null while something is left


class ArchiveDeletionList(Struct, rename="camel"):
    deletions: list[ArchiveDeletionView]  # newest first


class RemovalList(Struct, rename="camel"):
    removals: list[RemovalView]  # newest first


RetentionPreviewLine = RetainedObjectLine | RetainedLogLine | RetentionPreviewEndLine | ErrorLine
RetentionRunLine = RetentionProgressLine | RetentionEndLine | ErrorLine


@dataclass(frozen=True, slots=True)
class AskedProtection:
    """What is to be protected."""

    job_id: str
    since: str
    until: str
    node: str
    log: str
    why: str
    expires_at: int | None


def read_rules(body: bytes) -> list[RetentionRule]:
    """Read the body of SetRetention. Raises `EmptyBody`, `InvalidField`."""
    return _rules(read_body(body, RetentionReq).rules)


def read_preview(body: bytes) -> tuple[list[RetentionRule], bool]:
    """Read the rules to be tried, none for those that are set, and whether each object is told of."""
    asked = read_optional(body, RetentionPreviewReq)
    return _rules(asked.rules), asked.objects


def read_run(body: bytes) -> tuple[bool, list[RetentionRule]]:
    """Read whether rules are confirmed, and those that were previewed, none where that is not told."""
    asked = read_optional(body, RetentionRunReq)
    return asked.confirm, _rules(asked.rules)


def read_protection(body: bytes) -> AskedProtection:
    """Read the body of AddProtection. Raises `EmptyBody`, `InvalidField`."""
    asked = read_body(body, ProtectionReq)
    read_span({"since": asked.since, "until": asked.until})
    return AskedProtection(
        job_id=asked.job.lower(),
        since=asked.since,
        until=asked.until,
        node=asked.node,
        log=asked.log,
        why=asked.why,
        expires_at=asked.expires_at or None,
    )


def read_removals_query(raw: bytes) -> tuple[str, str, int]:
    """Read node and log, '' for all, and how many are wanted."""
    query = fields.read_query(raw, names_of(REMOVALS_QUERY))
    return NODE.read(query), LOG.read(query), LIMIT.read(query)


def read_remove_query(raw: bytes) -> tuple[bool, str]:
    """Read whether the archive is deleted too, and the name that was given to say so."""
    query = fields.read_query(raw, names_of(REMOVE_QUERY))
    return bool(DELETE_ARCHIVE.read(query)), NAME_AGAIN.read(query)


def read_deletions_query(raw: bytes) -> int:
    """Read how many are wanted."""
    return LIMIT.read(fields.read_query(raw, names_of(DELETIONS_QUERY)))


def render_deletions(deletions: Iterable[ArchiveDeletion]) -> bytes:
    return _encoder.encode(ArchiveDeletionList([_deletion(one) for one in deletions]))


def render_state(state: RetentionState) -> bytes:
    return _encoder.encode(
        RetentionView(
            [_rule_state(one) for one in state.rules],
            state.ran_at,
            state.problem,
            state.entries_planned,
            msgspec.convert(state.waiting, WaitingView, from_attributes=True),
            state.removed_objects,
            state.removed_raw,
            state.removed_stored,
        )
    )


def render_protections(protections: Iterable[Protection], now: int) -> bytes:
    return _encoder.encode(ProtectionList([_protection(one, now) for one in protections]))


def render_protection(protection: Protection, now: int) -> bytes:
    return _encoder.encode(_protection(protection, now))


def render_removals(removals: Iterable[Removal]) -> bytes:
    return _encoder.encode(RemovalList([msgspec.convert(one, RemovalView, from_attributes=True) for one in removals]))


def preview_lines(judged: Iterable[JudgedObject], rules: Sequence[RetentionRule], *, objects: bool) -> Iterator[bytes]:
    """Yield a line for each object where they are wanted, then one for each log, and one with the sums."""
    preview, held = Preview(), list[RetainedObjectLine]()
    for one in judged:
        preview.add(one)
        if objects:
            held.append(_object(one))
        if len(held) == _LINES_AT_ONCE:
            yield _encoder.encode_lines(held)
            held.clear()
    yield _encoder.encode_lines(
        [*held, *(_log(log) for _, log in sorted(preview.by_log.items())), _sums(preview, rules)]
    )


def run_lines(steps: Iterable[RetentionProgress]) -> Iterator[bytes]:
    """Yield a line for each step of a run, and what it came to at the end."""
    for step in steps:
        kind = RetentionEndLine if step.done else RetentionProgressLine
        yield _encoder.encode(msgspec.convert(step, kind, from_attributes=True)) + b"\n"


def _rules(asked: Iterable[RuleReq]) -> list[RetentionRule]:
    return [RetentionRule(one.log, one.keep_days, one.keep_bytes, one.keep_jobs) for one in asked]


def _rule_state(state: RuleState) -> RuleStateView:
    return RuleStateView(
        state.rule.log,
        state.rule.keep_days,
        state.rule.keep_bytes,
        state.rule.keep_jobs,
        changed_at=state.changed_at,
        changed_by=state.changed_by,
        confirmed_at=state.confirmed_at,
    )


def _protection(one: Protection, now: int) -> ProtectionView:
    return ProtectionView(
        id=one.id,
        job_id=one.job_id,
        since=one.span_from,
        until=one.span_until,
        node=one.node,
        log=one.log,
        who=one.who,
        why=one.why,
        created_at=one.created_at,
        expires_at=one.expires_at,
        expired=one.is_expired(now),
    )


def _deletion(one: ArchiveDeletion) -> ArchiveDeletionView:
    return ArchiveDeletionView(
        cluster_id=one.cluster_id,
        cluster_name=one.name,
        asked_at=one.asked_at,
        asked_by=one.asked_by,
        objects=one.objects,
        stored=one.stored,
        waiting=one.waiting,
        next_try=one.next_try,
        reason=one.reason,
        finished_at=one.finished_at,
    )


def _object(judged: JudgedObject) -> RetainedObjectLine:
    kept, covering = judged.kept, judged.protection
    return RetainedObjectLine(
        node=kept.node,
        log=kept.log,
        name=kept.name,
        generation=kept.generation,
        start=kept.start,
        end=kept.end,
        bucket=kept.bucket,
        object=kept.object,
        stored=kept.stored,
        job_id=kept.job_id,
        created_at=kept.created_at,
        first_time=kept.first_time,
        last_time=kept.last_time,
        goes=judged.goes,
        reason=judged.reason,
        rule=judged.rule.text if judged.rule else "",
        protection=CoveringView(covering.id, covering.who, covering.why, covering.expires_at) if covering else None,
    )


def _log(log: LogPreview) -> RetainedLogLine:
    reasons = {reason: _amount(amount) for reason, amount in log.reasons.items()}
    rule = log.rule.text if log.rule else ""
    return RetainedLogLine(log.log, rule, _amount(log.goes), _amount(log.left), reasons, log.oldest_left)


def _sums(preview: Preview, rules: Iterable[RetentionRule]) -> RetentionPreviewEndLine:
    told = [RuleView(one.log, one.keep_days, one.keep_bytes, one.keep_jobs) for one in rules]
    return RetentionPreviewEndLine(told, _amount(preview.goes), _amount(preview.left), preview.oldest_left)


def _amount(amount: Amount) -> AmountView:
    return AmountView(amount.objects, amount.stored, amount.raw)
