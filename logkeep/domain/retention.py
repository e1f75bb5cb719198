"""Rules of retention: which objects of an archive may be removed, and why each of the others is kept. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import msgspec

from logkeep.domain.span import Place, Span, read_moment
from logkeep.errors import InvalidField

DAY_MS = 24 * 60 * 60 * 1000
MOST_DAYS, MOST_BYTES, MOST_JOBS = 36_500, 2**62, 1_000_000
MOST_RULES = 1000  # of a cluster
MOST_PROTECTIONS = 1000  # of a cluster
LONGEST_LOG = 4096  # characters
LONGEST_WHY = 1000  # characters
LONGEST_WHO = 128  # characters of who changed something
LONGEST_REASON = 500  # characters of why something was not removed


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """What is kept of a cluster or of one log: what any of its limits keeps. 0 for a limit that is not set."""

    log: str = ""  # its family; '' for all logs of the cluster that have no rule of their own
    keep_days: int = 0
    keep_bytes: int = 0  # stored
    keep_jobs: int = 0  # those that ended SUCCESS

    @property
    def is_limited(self) -> bool:
        """Return whether it lets anything go; without a limit all is kept for ever."""
        return bool(self.keep_days or self.keep_bytes or self.keep_jobs)

    @property
    def text(self) -> str:
        """Return it as removal entries name it: `keep_days=90, keep_jobs=3 of gc.log`."""
        limits = {"keep_days": self.keep_days, "keep_bytes": self.keep_bytes, "keep_jobs": self.keep_jobs}
        told = ", ".join(f"{name}={limit}" for name, limit in limits.items() if limit) or "for ever"
        return f"{told} of {self.log}" if self.log else told


@dataclass(frozen=True, slots=True)
class RuleState:
    """A rule as it is saved. The clock carries it out once it is confirmed."""

    rule: RetentionRule
    changed_at: int  # Unix ms
    changed_by: str
    confirmed_at: int | None = None  # Unix ms; None where nobody has confirmed it since it was changed


@dataclass(frozen=True, slots=True)
class Protection:
    """What no rule removes: what a job stored, or a span of time of some logs."""

    id: str
    cluster_id: str
    job_id: str  # '' for a span
    span_from: str  # as written; '' for no bound
    span_until: str
    node: str  # '' for all
    log: str  # '' for all
    who: str
    why: str
    created_at: int  # Unix ms
    expires_at: int | None = None  # Unix ms; None for never

    def is_expired(self, now: int) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    @property
    def span(self) -> Span:
        since, until = (read_moment(text) if text else None for text in (self.span_from, self.span_until))
        return Span(since, until)


class Reason(StrEnum):
    """Why an object goes or is kept."""

    OUT = "out"  # out of every limit of its rule: it goes
    NO_RULE = "no_rule"  # or one that keeps all
    UNCONFIRMED = "unconfirmed"  # its rule is new or was changed, and nobody has confirmed it
    UNKNOWN_AGE = "unknown_age"
    WITHIN_DAYS = "within_days"
    WITHIN_BYTES = "within_bytes"
    WITHIN_JOBS = "within_jobs"
    NOT_IN_CHAIN = "not_in_chain"  # no proven manifest names it
    REPAIR = "repair"  # the next backup is to keep it again
    PROTECTED = "protected"
    ON_NODE = "on_node"  # the node still has the file, and a backup would keep it again
    NEWEST = "newest"  # of its log
    EARLIER_KEPT = "earlier_kept"  # bytes of the same file that come before it are kept


class ObjectOrder(NamedTuple):
    """Place of an object in the order of age, oldest first."""

    created_at: int  # Unix ms
    generation: int  # of any node
    start: int


class KeptObject(msgspec.Struct, frozen=True, gc=False):  # made a million at a time
    """What is known of an object that is kept."""

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
    created_at: int | None  # Unix ms, of the job that stored it; None if unknown
    first_time: str  # of its lines, as written in the log; '' where that of any line is unknown
    last_time: str
    proven: bool  # a proven manifest names it
    asked: bool  # the next backup is to keep it again
    on_node: bool  # its node still has the file, and a backup would keep it again
    newest: bool  # it is the last one of its log
    begins: bool  # nothing is kept of the generation before it

    @property
    def raw(self) -> int:
        """Return its plain bytes."""
        return self.end - self.start


class JudgedObject(msgspec.Struct, frozen=True, gc=False):
    """An object, and whether it goes."""

    kept: KeptObject
    reason: Reason
    rule: RetentionRule | None = None  # that governs its log
    protection: Protection | None = None  # where it is protected

    @property
    def goes(self) -> bool:
        return self.reason is Reason.OUT


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a rule at one moment. A limit that is not set keeps nothing."""

    rule: RetentionRule
    confirmed: bool = True
    after: int | None = None  # Unix ms; what was stored later is within its days
    jobs_from: int | None = None  # Unix ms; what was stored then or later is within its jobs
    bytes_from: ObjectOrder | None = None  # this one and what is younger is within its bytes

    def find_reason(self, one: KeptObject) -> Reason:
        """Return why the rule keeps an object, `OUT` where it does not."""
        if not self.rule.is_limited:
            return Reason.NO_RULE
        if not self.confirmed:
            return Reason.UNCONFIRMED
        return self._find_limit(one)

    def _find_limit(self, one: KeptObject) -> Reason:
        if one.created_at is None:
            return Reason.UNKNOWN_AGE
        if self.after is not None and one.created_at > self.after:
            return Reason.WITHIN_DAYS
        if self.jobs_from is not None and one.created_at >= self.jobs_from:
            return Reason.WITHIN_JOBS
        if self.bytes_from is not None and (one.created_at, one.generation, one.start) >= self.bytes_from:
            return Reason.WITHIN_BYTES
        return Reason.OUT


def find_days_limit(rule: RetentionRule, now: int) -> int | None:
    """Return `Limits.after`, at a moment in Unix ms."""
    return now - rule.keep_days * DAY_MS if rule.keep_days else None


class Judge:
    """Judges the objects of a cluster, which come by node, generation and start.

    What goes of a generation is always its beginning.
    """

    def __init__(self, now: int, limits: Mapping[str, Limits], protections: Iterable[Protection]) -> None:
        """`limits` are by log, '' for all others."""
        self._limits = limits
        protections = [one for one in protections if not one.is_expired(now)]
        self._jobs = {one.job_id: one for one in protections if one.job_id}
        self._spans = [(one, one.span) for one in protections if not one.job_id]
        self._generation = ("", 0)
        self._keeps_rest = False  # something of the generation is kept

    def judge(self, one: KeptObject) -> JudgedObject:
        if self._generation != (one.node, one.generation):
            self._generation, self._keeps_rest = (one.node, one.generation), not one.begins
        limits = self._limits.get(one.log) or self._limits.get("")
        reason = self._find_reason(one, limits) if limits else Reason.NO_RULE
        protection = self._find_protection(one) if reason is Reason.OUT else None
        if protection:
            reason = Reason.PROTECTED
        elif reason is Reason.OUT and self._keeps_rest:
            reason = Reason.EARLIER_KEPT
        self._keeps_rest = self._keeps_rest or reason is not Reason.OUT
        return JudgedObject(one, reason, limits.rule if limits else None, protection)

    def _find_reason(self, one: KeptObject, limits: Limits) -> Reason:
        reason = limits.find_reason(one)
        if reason is not Reason.OUT:
            return reason
        if not one.proven:
            return Reason.NOT_IN_CHAIN
        if one.asked:
            return Reason.REPAIR
        if one.on_node:
            return Reason.ON_NODE
        return Reason.NEWEST if one.newest else Reason.OUT

    def _find_protection(self, one: KeptObject) -> Protection | None:
        if found := self._jobs.get(one.job_id):
            return found
        for protection, span in self._spans:
            of_it = protection.node in {"", one.node} and protection.log in {"", one.log}
            if of_it and span.place(one.first_time, one.last_time) is not Place.OUTSIDE:
                return protection
        return None


@dataclass(slots=True)
class Amount:
    """A number of objects and their bytes."""

    objects: int = 0
    stored: int = 0
    raw: int = 0
    oldest: int | None = None  # Unix ms, when the job began that stored the oldest one; None if unknown

    def add(self, one: KeptObject) -> None:
        self.objects += 1
        self.stored += one.stored
        self.raw += one.end - one.start
        created_at = one.created_at
        if created_at is not None and (self.oldest is None or created_at < self.oldest):
            self.oldest = created_at


def sum_amounts(amounts: Iterable[Amount]) -> Amount:
    """Return all of them together."""
    found = list(amounts)
    return Amount(
        sum(one.objects for one in found),
        sum(one.stored for one in found),
        sum(one.raw for one in found),
        min((one.oldest for one in found if one.oldest is not None), default=None),
    )


@dataclass(slots=True)
class LogPreview:
    """What would go of one log, over all nodes, and what would be left."""

    log: str
    rule: RetentionRule | None
    reasons: dict[Reason, Amount] = field(default_factory=dict[Reason, Amount])  # of all its objects

    @property
    def goes(self) -> Amount:
        return self.reasons.get(Reason.OUT, Amount())

    @property
    def left(self) -> Amount:
        return sum_amounts(amount for reason, amount in self.reasons.items() if reason is not Reason.OUT)

    @property
    def oldest_left(self) -> int | None:
        return self.left.oldest


@dataclass(slots=True)
class Preview:
    """What a run would do now."""

    by_log: dict[str, LogPreview] = field(default_factory=dict[str, LogPreview])

    @property
    def goes(self) -> Amount:
        return sum_amounts(log.goes for log in self.by_log.values())

    @property
    def left(self) -> Amount:
        return sum_amounts(log.left for log in self.by_log.values())

    @property
    def oldest_left(self) -> int | None:
        return self.left.oldest

    def add(self, judged: JudgedObject) -> None:
        log = self.by_log.get(judged.kept.log)
        if log is None:
            log = self.by_log[judged.kept.log] = LogPreview(judged.kept.log, judged.rule)
        amount = log.reasons.get(judged.reason)
        if amount is None:
            amount = log.reasons[judged.reason] = Amount()
        amount.add(judged.kept)


@dataclass(frozen=True, slots=True)
class Removal:
    """What one entry says was removed of one log of a node by one rule."""

    number: int  # of the entry
    node: str
    log: str
    rule: str  # its text
    removed_at: int  # Unix ms
    first_time: str  # of the lines, as written in the log; '' if unknown
    last_time: str
    objects: int
    raw: int  # plain bytes
    stored: int  # bytes
    lines: int
    sha256: str  # of the entry


@dataclass(frozen=True, slots=True)
class Waiting:
    """Objects that were removed from the catalogue and lie in the bucket yet."""

    objects: int = 0
    stored: int = 0  # bytes
    next_try: int | None = None  # Unix ms, the first of them; None where nothing waits
    reason: str = ""  # why the bucket kept the one that was tried last; '' where none was tried


@dataclass(frozen=True, slots=True)
class RetentionState:
    """The retention of a cluster."""

    rules: tuple[RuleState, ...] = ()
    ran_at: int | None = None  # Unix ms, when a run last ended
    problem: str = ""  # why the last one broke off; '' where it did not
    entries_planned: int = 0  # that the bucket has not confirmed yet
    waiting: Waiting = Waiting()
    removed_objects: int = 0  # in all
    removed_stored: int = 0  # bytes
    removed_raw: int = 0  # plain bytes


@dataclass(frozen=True, slots=True)
class RetentionProgress:
    """How far a run is."""

    entries: int = 0  # that were planned by it
    planned: int = 0  # objects that they name
    objects: int = 0  # that the bucket has removed
    stored: int = 0  # bytes of them
    waiting: int = 0  # objects that the bucket kept for now
    done: bool = False


def replace_rules(before: Sequence[RuleState], rules: Sequence[RetentionRule], now: int, who: str) -> list[RuleState]:
    """Return the states of the rules that take the place of those before.

    A rule that stays the same stays confirmed. Where a log loses its own rule, that of the cluster now governs it as
    well, and nobody has seen what that lets go.
    """
    known = {one.rule: one for one in before}
    widened = {one.rule.log for one in before} - {rule.log for rule in rules}
    fresh = [RuleState(rule, now, who) for rule in rules]
    return [one if not one.rule.log and widened else known.get(one.rule, one) for one in fresh]


def check_rules(rules: Sequence[RetentionRule]) -> None:
    """Raise `InvalidField` for the first value that no rule may have."""
    if len(rules) > MOST_RULES:
        raise InvalidField("rules", f"at most {MOST_RULES} are allowed")
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.log in seen:
            which = f"the log {rule.log}" if rule.log else "the cluster"
            raise InvalidField("rules.log", f"{which} has two rules; give all limits in one", index)
        seen.add(rule.log)
        if len(rule.log) > LONGEST_LOG or (rule.log and not rule.log.isprintable()):
            raise InvalidField("rules.log", f"is the name of a log, of at most {LONGEST_LOG} characters", index)
        for name, most in (("keep_days", MOST_DAYS), ("keep_bytes", MOST_BYTES), ("keep_jobs", MOST_JOBS)):
            if not 0 <= getattr(rule, name) <= most:
                raise InvalidField(f"rules.{name}", f"from 0 to {most} is allowed; 0 is no limit", index)
        if not rule.log and not rule.is_limited:
            raise InvalidField(
                "rules", "a rule of the cluster has at least one limit; without a rule all is kept", index
            )
