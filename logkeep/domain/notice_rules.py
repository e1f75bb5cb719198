"""What is told of a cluster: its states as `status` judges them, compared with those that were told.

A state is told once when it begins, again only when something of it is new (another node that is left out, other lost
lines), and once when it is over. It is over when a backup succeeded, or when it was not found for a whole look: what
comes and goes is no news.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster_status import ClusterFacts, ClusterState, find_troubles
from logkeep.domain.notice import OPENING, Event
from logkeep.domain.policy import LATE_MS, PolicyRules
from logkeep.domain.warning import LOGS_LEFT_OUT, NODES_LEFT_OUT, WarningCode

LOOK_MS = 10_000  # between two looks
MOST_MARKS = 1000


class ToldState(StrEnum):
    """State that was told besides those of `ClusterState` that need a hand."""

    MISSED = ClusterState.MISSED  # the last daily backup started late
    NODE_NEW = "node_new"
    # Failed by the bucket, which is told of the bucket alone: a backup, a verification.
    FAILED_BY_BUCKET = "failed_by_bucket"
    UNVERIFIED_BY_BUCKET = "unverified_by_bucket"


_BY_BUCKET: dict[str, str] = {
    ClusterState.FAILED: ToldState.FAILED_BY_BUCKET,
    ClusterState.UNVERIFIED: ToldState.UNVERIFIED_BY_BUCKET,
}
_EVENTS: dict[str, Event] = {
    **OPENING,
    ToldState.MISSED: Event.BACKUP_MISSED,
    ToldState.NODE_NEW: Event.NODE_NEW,
}
_BACKUP = {ClusterState.FAILED, ClusterState.STALE, ToldState.FAILED_BY_BUCKET}  # one goes over into the other
# Each job, or verification, tells of others.
_EACH_TIME = {
    ClusterState.GAPS,
    ToldState.NODE_NEW,
    ToldState.FAILED_BY_BUCKET,
    ToldState.UNVERIFIED_BY_BUCKET,
}
_SETTING_UP = {ClusterState.UNOPENED, ClusterState.UNPLANNED}
# What each warning says is told once for each node, or log.
MARKED: dict[str, frozenset[WarningCode]] = {ClusterState.NODES: NODES_LEFT_OUT, ClusterState.LOGS: LOGS_LEFT_OUT}


@dataclass(frozen=True, slots=True)
class OpenState:
    """State that was told and is not over; times are Unix ms."""

    state: str
    since: int
    seen_by: str = ""  # the newest job that ended, or verification, when it was last found
    marks: frozenset[str] = frozenset()  # what of it was told
    over_since: int | None = None  # when it was first not found


@dataclass(frozen=True, slots=True)
class Step:
    """A change of what is told of one cluster."""

    before: OpenState | None
    after: OpenState | None  # None: it is over
    event: Event | None = None  # None: a change without a notice

    @property
    def state(self) -> str:
        one = self.after or self.before
        return one.state if one else ""

    @property
    def since(self) -> int:
        one = self.before or self.after
        return one.since if one else 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is found of a cluster besides its facts."""

    by_bucket: frozenset[str] = frozenset()  # states that are failures of a bucket that is away, or was
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])  # by state of `MARKED`


def find_states(facts: ClusterFacts, now: int, rules: PolicyRules, verify_every_ms: int) -> list[str]:
    """Return the states that are told, worst first: what needs a hand, and what is news once.

    A cluster that was registered just now is being set up.
    """
    is_new = now - facts.registered_at < LATE_MS
    found: list[str] = [
        state for state in find_troubles(facts, now, rules, verify_every_ms) if not (is_new and state in _SETTING_UP)
    ]
    if facts.opened and facts.runs and facts.runs.missed_at is not None:
        found.append(ToldState.MISSED)
    if facts.opened and WarningCode.NODE_NEW in facts.warned:
        found.append(ToldState.NODE_NEW)
    return found


def asks_for(facts: ClusterFacts, found: list[str], known: Mapping[str, OpenState]) -> frozenset[str]:
    """Return the states of which more must be read to decide: failures that may be the bucket's, and marks."""
    asked = {state for state in found if state in _BY_BUCKET and state not in known}
    asked |= {state for state in found if state in MARKED}
    return frozenset(state for state in asked if not _is_same(facts, _BY_BUCKET.get(state, state), known))


def stays_by_bucket(facts: ClusterFacts, found: list[str], known: Mapping[str, OpenState]) -> frozenset[str]:
    """Return the states that are known to be failures of a bucket, by the same job or verification as before."""
    return frozenset(state for state in found if state in _BY_BUCKET and _is_same(facts, _BY_BUCKET[state], known))


def was_by_bucket(state: str, known: Mapping[str, OpenState]) -> bool:
    """Return whether a state was told as the bucket's failure when it was last found."""
    return _BY_BUCKET[state] in known


def decide(facts: ClusterFacts, found: list[str], known: Mapping[str, OpenState], seen: Seen, now: int) -> list[Step]:
    """Return what changes: `found` by `find_states`, `known` as it was told so far, by state."""
    wanted = [_by_bucket(state, known, seen) for state in found]
    if facts.running and ClusterState.UNPLANNED in known:
        wanted.append(ClusterState.UNPLANNED)  # it tells neither way until this one has ended
    steps = [step for state in dict.fromkeys(wanted) for step in _keep(facts, state, known, seen, now)]
    over = [known[state] for state in known if state not in wanted]
    return steps + [step for one in over for step in _end(facts, one, set(wanted), now)]


def _by_bucket(state: str, known: Mapping[str, OpenState], seen: Seen) -> str:
    quiet = _BY_BUCKET.get(state, state)
    return quiet if state in seen.by_bucket and state not in known else state


def _keep(facts: ClusterFacts, state: str, known: Mapping[str, OpenState], seen: Seen, now: int) -> list[Step]:
    """Return how a state that is found changes: it begins, is found again, or something of it is new."""
    before, marks = known.get(state), seen.marks.get(state, frozenset[str]())
    if before is None:
        after = OpenState(state, _since(facts, state, now), _witness(facts, state), _marks_of(facts, state, marks))
        return [Step(None, after, None if _was_told(state, known) else _EVENTS.get(state))]
    if _is_same(facts, state, known):
        after, is_new = replace(before, over_since=None), False
    else:
        marks = _marks_of(facts, state, marks)
        after = OpenState(state, before.since, _witness(facts, state), marks)
        is_new = state in _EACH_TIME or bool(marks - before.marks)
    return [Step(before, after, _EVENTS.get(state) if is_new else None)] if after != before else []


def _was_told(state: str, known: Mapping[str, OpenState]) -> bool:
    """Return whether a daily backup that started late was told already, while it had not started."""
    return state == ToldState.MISSED and bool(known.keys() & {ClusterState.OVERDUE, ClusterState.STUCK})


def _is_same(facts: ClusterFacts, state: str, known: Mapping[str, OpenState]) -> bool:
    """Return whether a state is told, and found by the same job or verification as before."""
    return state in known and known[state].seen_by == _witness(facts, state)


def _witness(facts: ClusterFacts, state: str) -> str:
    if state == ToldState.UNVERIFIED_BY_BUCKET:
        return str(facts.verification.failed_at)
    if state == ToldState.MISSED:
        return str(facts.runs and facts.runs.missed_at)
    return facts.ended.job_id if facts.ended and (state in _EACH_TIME or state in MARKED) else ""


def _marks_of(facts: ClusterFacts, state: str, marks: frozenset[str]) -> frozenset[str]:
    return frozenset({_witness(facts, state)}) if state == ToldState.MISSED else marks


def _end(facts: ClusterFacts, before: OpenState, wanted: set[str], now: int) -> list[Step]:
    """Return how a state ends that is not found."""
    if before.state not in OPENING or (before.state in _BACKUP and wanted & _BACKUP):
        return [Step(before, None)]  # it was not told, or goes over into another that is
    succeeded = facts.ended is not None and facts.ended.status is JobStatus.SUCCESS
    if before.state in _BACKUP and facts.opened and succeeded:
        return [Step(before, None, Event.BACKUP_RECOVERED)]
    if before.over_since is None:
        return [Step(before, replace(before, over_since=now))]
    return [Step(before, None, Event.RECOVERED)] if now - before.over_since >= LOOK_MS else []


def _since(facts: ClusterFacts, state: str, now: int) -> int:
    if facts.ended and (state == ClusterState.FAILED or state in _EACH_TIME or state in MARKED):
        return facts.ended.finished_at
    if state == ClusterState.STUCK and facts.running:
        return facts.running.started_at
    return now


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket as the clusters of one project use it with one agency."""

    project_id: str
    bucket: str
    agency: str  # '' for the credentials of the bucket


@dataclass(frozen=True, slots=True)
class OpenPlace:
    """A place that was told to be away; times are Unix ms."""

    since: int
    over_since: int | None = None


BUCKET_CODES = ("LK-STORE-UNREACHABLE", "LK-STORE-DENIED", "LK-STORE-FULL", "LK-STORE-MISSING")


def is_by_bucket(failure: str) -> bool:
    """Return whether a failure, as a record or a verification tells it, is one of the bucket and not of a node."""
    return failure.startswith(BUCKET_CODES)
