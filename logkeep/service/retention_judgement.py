"""What the rules of a cluster say of each of its objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from logkeep.database import kept_objects, retention
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import Judge, JudgedObject, Limits, RetentionRule, RuleState, find_days_limit
from logkeep.service.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Judgement:
    """Rules and their limits at one moment. What is stored later is younger, so that they stay good."""

    now: int  # Unix ms
    rules: tuple[RuleState, ...]
    limits: dict[str, Limits]  # by log

    def judge_again(
        self, connection: Connection, cluster_id: str, candidates: Sequence[JudgedObject]
    ) -> Iterator[tuple[JudgedObject, bytes]]:
        """Yield what is to be said of some objects now, with the bodies of their rows, which are locked.

        Nothing goes if the rules were changed meanwhile.
        """
        if tuple(retention.fetch_rules(connection, cluster_id)) != self.rules:
            return
        around = kept_objects.fetch_surroundings(connection, cluster_id)
        judge = Judge(self.now, self.limits, retention.fetch_protections(connection, cluster_id))
        keys = [(one.kept.node, one.kept.generation, one.kept.start) for one in candidates]
        for kept, body in kept_objects.lock_objects(connection, cluster_id, keys, around):
            yield judge.judge(kept), body


def make_judgement(runtime: Runtime, cluster: Cluster, rules: Sequence[RuleState]) -> Judgement:
    """Look up what the limits of the rules come to now. Rules that are not confirmed keep all."""
    now = runtime.clock.now_ms()
    own = [one.rule.log for one in rules if one.rule.log]
    with reading(runtime.database) as connection:
        limits = {one.rule.log: _find_limits(connection, cluster.id, one, own, now) for one in rules}
    return Judgement(now, tuple(rules), limits)


def _find_limits(connection: Connection, cluster_id: str, one: RuleState, own: Sequence[str], now: int) -> Limits:
    rule, confirmed = one.rule, one.confirmed_at is not None
    if not confirmed:
        return Limits(rule, confirmed=False)
    return Limits(
        rule,
        after=find_days_limit(rule, now),
        jobs_from=kept_objects.fetch_jobs_limit(connection, cluster_id, rule.keep_jobs) if rule.keep_jobs else None,
        bytes_from=kept_objects.fetch_bytes_limit(connection, cluster_id, rule.keep_bytes, rule.log, own)
        if rule.keep_bytes
        else None,
    )


def judge_objects(runtime: Runtime, cluster: Cluster, judgement: Judgement) -> Iterator[JudgedObject]:
    """Yield what is to be said of each object, by node, generation and place."""
    with reading(runtime.database) as connection:
        around = kept_objects.fetch_surroundings(connection, cluster.id)
        protections = retention.fetch_protections(connection, cluster.id)
    judge = Judge(judgement.now, judgement.limits, protections)
    return map(judge.judge, kept_objects.fetch_objects(runtime.database, cluster.id, around))


def as_confirmed(rules: Sequence[RetentionRule]) -> list[RuleState]:
    """Return rules as if they were saved and confirmed."""
    return [RuleState(rule, 0, "", 0) for rule in rules]
