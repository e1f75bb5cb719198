"""How a cluster stands: what needs a hand, and what to do (docs/running.md, "What needs a hand")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from shlex import quote

from logkeep.domain.backup_job import JobStatus, split_failures
from logkeep.domain.cluster import for_cluster
from logkeep.domain.policy import (
    LATE_MS,
    PolicyHistory,
    PolicyRules,
    PolicyState,
    judge_policy,
    known_age,
    missed_moment,
)
from logkeep.domain.warning import LOGS_LEFT_OUT, NODES_LEFT_OUT, WarningCode

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_VERIFICATIONS_MISSED = 3  # in a row, before a cluster counts as unverified
_LONGEST = 500  # characters of a failure within a sentence


class ClusterState(StrEnum):
    """State of a cluster, the worst that applies, worst first."""

    STALE = "stale"  # it has a daily backup, and the last success is too old
    UNOPENED = "unopened"  # log backup was never opened
    UNPLANNED = "unplanned"  # no daily backup, and no success that is young enough by hand either
    FAILED = "failed"  # the newest job that ended
    STUCK = "stuck"  # a job waits for a worker, or runs too long
    OVERDUE = "overdue"  # the daily backup has not started
    DAMAGED = "damaged"  # the last verification found something
    GAPS = "gaps"  # the newest job that ended met lines that were deleted before it came
    NODES = "nodes"  # and warns of nodes that it does not back up
    UNVERIFIED = "unverified"  # a verification cannot be carried out, or was not for long
    LOGS = "logs"  # the newest job that ended warns of logs that it does not keep
    # None of these needs a hand.
    RUNNING = "running"
    MISSED = "missed"  # the last daily backup started late
    NEVER_RAN = "never_ran"
    OK = "ok"
    CLOSED = "closed"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {state: rank for rank, state in enumerate(ClusterState)}


@dataclass(frozen=True, slots=True)
class EndedJob:
    """The newest job of a cluster that has ended."""

    job_id: str
    status: JobStatus
    finished_at: int  # Unix ms


@dataclass(frozen=True, slots=True)
class RunningJob:
    """The job of a cluster that has not ended."""

    job_id: str
    started_at: int  # Unix ms
    begun: bool  # a worker has taken it


@dataclass(frozen=True, slots=True)
class LastVerification:
    """What the last verification came to; times are Unix ms."""

    finished_at: int | None = None
    findings: int = 0
    failed_at: int | None = None  # when a later one could not be carried out


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What a cluster is judged by; times are Unix ms."""

    id: str
    name: str
    registered_at: int
    opened: bool | None  # None: log backup was never open
    adaptive: bool
    runs: PolicyHistory | None  # None without a daily backup
    next_run: int | None
    last_success: int | None
    ended: EndedJob | None
    running: RunningJob | None
    verification: LastVerification
    lost: int  # gaps that the newest job that ended met
    warned: Mapping[str, int]  # what it warned of: number by code


@dataclass(frozen=True, slots=True)
class ClusterDetails:
    """What its sentences quote."""

    gaps: int = 0  # that are known, counted up to `MOST_GAPS`
    failed_msg: str = ""  # of the newest job that ended
    problem: str = ""  # the first finding of the last verification
    failure: str = ""  # why a later one could not be carried out
    warnings: Mapping[str, str] | None = None  # the first one of the newest job that ended, by code


MOST_GAPS = 1000


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that needs a hand."""

    state: ClusterState
    message: str  # what is wrong and what to do, with commands that can be pasted


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """A cluster as `logkeep status` shows it."""

    facts: ClusterFacts
    state: ClusterState
    gaps: int  # that are known, counted up to `MOST_GAPS`
    troubles: list[Trouble]


def find_troubles(facts: ClusterFacts, now: int, rules: PolicyRules, verify_every_ms: int) -> list[ClusterState]:
    """Return the states that need a hand, worst first. `verify_every_ms`: 0 where nothing is verified by the clock."""
    found = _backup_troubles(facts, now, rules) if facts.opened else set[ClusterState]()
    if facts.opened is None:
        found.add(ClusterState.UNOPENED)
    if facts.verification.findings:
        found.add(ClusterState.DAMAGED)
    if facts.verification.failed_at is not None or _unverified_ms(facts, now, verify_every_ms):
        found.add(ClusterState.UNVERIFIED)
    return sorted(found, key=lambda state: state.rank)


def _backup_troubles(facts: ClusterFacts, now: int, rules: PolicyRules) -> set[ClusterState]:
    found = set[ClusterState]()
    running, overdue = facts.running, facts.runs and missed_moment(facts.runs.due_at, now)
    if judge_policy(facts.runs, now, rules.stale_ms) is PolicyState.STALE:
        found.add(ClusterState.STALE)  # tells of a failure as well
    elif facts.ended and facts.ended.status is JobStatus.FAIL:
        found.add(ClusterState.FAILED)
    age = known_age(facts.last_success, now)
    if facts.runs is None and not running and (age is None or age > rules.stale_ms):
        found.add(ClusterState.UNPLANNED)
    if running and now - running.started_at > (_DAY_MS if running.begun else LATE_MS):
        found.add(ClusterState.STUCK)
    if overdue:
        found.add(ClusterState.STUCK if running else ClusterState.OVERDUE)
    if facts.lost:
        found.add(ClusterState.GAPS)
    if facts.warned.keys() & NODES_LEFT_OUT:
        found.add(ClusterState.NODES)
    if facts.warned.keys() & LOGS_LEFT_OUT:
        found.add(ClusterState.LOGS)
    return found


def _unverified_ms(facts: ClusterFacts, now: int, every_ms: int) -> int:
    """Return for how long nothing was verified that should have been, 0 where that is in order."""
    since = now - (facts.verification.finished_at or facts.registered_at)
    return since if every_ms and facts.last_success and since > _VERIFICATIONS_MISSED * every_ms else 0


def quiet_state(facts: ClusterFacts, now: int, rules: PolicyRules) -> ClusterState:
    """Return the state of a cluster that needs no hand."""
    if not facts.opened:
        return ClusterState.CLOSED
    if facts.running:
        return ClusterState.RUNNING
    state = judge_policy(facts.runs, now, rules.stale_ms)
    return ClusterState.OK if state is PolicyState.OFF else ClusterState(state)


@dataclass(frozen=True, slots=True)
class Told:
    """What is wrong, and what to do about it with commands that can be pasted; '' where the cause says so itself."""

    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.cause}; {self.remedy}" if self.remedy else self.cause


def tell(state: ClusterState, facts: ClusterFacts, details: ClusterDetails, now: int) -> Told:
    """Return what needs a hand, and what to do."""
    match state:
        case ClusterState.STALE | ClusterState.FAILED | ClusterState.UNPLANNED | ClusterState.UNOPENED:
            told = _tell_unkept(state, facts, details, now)
        case ClusterState.STUCK | ClusterState.OVERDUE:
            told = _tell_late(facts, now)
        case ClusterState.DAMAGED | ClusterState.UNVERIFIED:
            told = _tell_archive(state, facts, details, now)
        case _:
            told = _tell_left_out(state, facts, details)
    return Told(for_cluster(told.cause, facts.name), for_cluster(told.remedy, facts.name))


def _tell_unkept(state: ClusterState, facts: ClusterFacts, details: ClusterDetails, now: int) -> Told:
    name = quote(facts.name)
    if state is ClusterState.UNOPENED:
        opening = f"open it with `logkeep logs open {name} --at '00:00 GMT+00:00'`"
        return Told("its logs are not kept, as log backup was never opened", opening)
    success = _tell_success(facts, now)
    if state is ClusterState.UNPLANNED:
        daily = f"`logkeep logs policy {name} --at '00:00 GMT+00:00'`"
        remedy = f"back up with `logkeep backup {name}`, and daily with {daily}"
        return Told(f"it has no daily backup, and {success}", remedy)
    failed = facts.ended if facts.ended and facts.ended.status is JobStatus.FAIL else None
    if failed:
        told = f", {age_text(now - failed.finished_at)} ago, failed: {_failure(details.failed_msg)}"
        cause = f"{success}; the newest{told}" if state is ClusterState.STALE else f"the backup{told}"
        return Told(cause, f"see `logkeep records {name} --status FAIL`")
    if facts.running:
        late = _tell_late(facts, now)
        return Told(f"{success}; {late.cause}", late.remedy)
    return Told(f"{success}, and none that failed is newer: nothing starts them", _SEE_WORKERS)


_SEE_WORKERS = "see `logkeep workers`, or the service's log"


def _tell_success(facts: ClusterFacts, now: int) -> str:
    age = known_age(facts.last_success, now)
    if facts.last_success is None:
        return "no backup has succeeded yet"
    if age is None:
        return "when a backup succeeded is not known, as the clock was ahead then"
    return f"the last backup that succeeded ended {age_text(age)} ago"


def _failure(failed_msg: str) -> str:
    """Return the first failure of a record, and how many more it names."""
    first, *more = split_failures(failed_msg) or [""]
    return _cut(first) + (f" ({len(more)} more)" if more else "")


def _tell_late(facts: ClusterFacts, now: int) -> Told:
    running, runs = facts.running, facts.runs
    if running is None:
        ago = age_text(now - runs.due_at if runs else 0)
        return Told(f"the daily backup should have started {ago} ago and has not", _SEE_WORKERS)
    lasts = age_text(now - running.started_at)
    if not running.begun:
        return Told(f"a backup has waited for {lasts}, and no worker takes it", "see `logkeep workers`")
    held = ", and the daily one waits for its end" if runs and missed_moment(runs.due_at, now) else ""
    job = f"see `logkeep job show {running.job_id}`, end it with `logkeep job cancel {running.job_id}`"
    return Told(f"a backup has been running for {lasts}{held}", job)


def _tell_archive(state: ClusterState, facts: ClusterFacts, details: ClusterDetails, now: int) -> Told:
    name, last = quote(facts.name), facts.verification
    if state is ClusterState.DAMAGED:
        number = "1 problem" if last.findings == 1 else f"{last.findings:,} problems, the first"
        ago = age_text(now - (last.finished_at or now))
        found = f"the verification {ago} ago found {number}: {_cut(details.problem)}"
        return Told(found, f"`logkeep verify {name}` tells all")
    if last.failed_at is not None:
        return Told(f"{age_text(now - last.failed_at)} ago it could not be verified: {_cut(details.failure)}")
    since = f"for {age_text(now - last.finished_at)}" if last.finished_at else "yet"
    remedy = f"verify it with `logkeep verify {name}`; the service's log tells what hinders the service"
    return Told(f"it was not verified {since}", remedy)


def _tell_left_out(state: ClusterState, facts: ClusterFacts, details: ClusterDetails) -> Told:
    name = quote(facts.name)
    if state is ClusterState.GAPS:
        number = "1 gap" if facts.lost == 1 else f"{facts.lost:,} gaps"
        remedy = "let the node keep its logs for longer"
        if not facts.adaptive:
            remedy = f"`logkeep logs policy {name} --adaptive` backs up in time"
        cause = f"the last backup met {number}, deleted before it came"
        return Told(cause, f"see `logkeep coverage {name}`; {remedy}")
    codes = NODES_LEFT_OUT if state is ClusterState.NODES else LOGS_LEFT_OUT
    return tell_warning(codes, facts, details)


def tell_warning(codes: frozenset[WarningCode], facts: ClusterFacts, details: ClusterDetails) -> Told:
    """Return what the newest job that ended warns of by these codes: the first, and how many more."""
    first = next((_cut(text) for code, text in (details.warnings or {}).items() if code in codes), "")
    more = sum(number for code, number in facts.warned.items() if code in codes) - 1
    job = f"see `logkeep job show {facts.ended.job_id}`" if facts.ended else ""
    return Told(f"the last backup warns: {first}" + (f" ({more:,} more)" if more > 0 else ""), job)


def _cut(text: str) -> str:
    text = text.replace("\n", " ").rstrip(".")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def age_text(ms: int) -> str:
    """`0 min`, `89 min`, `47 h`, `12 d`; never negative, as clocks differ."""
    if ms < 90 * _MINUTE_MS:
        return f"{max(0, ms) // _MINUTE_MS} min"
    return f"{ms // _HOUR_MS} h" if ms < 2 * _DAY_MS else f"{ms // _DAY_MS} d"
