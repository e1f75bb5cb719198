"""Retention of a cluster: its rules, what they would remove, and removing it in two phases."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import structlog

from logkeep.database import clusters, retention
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import (
    LONGEST_WHO,
    JudgedObject,
    Preview,
    Removal,
    RetentionProgress,
    RetentionRule,
    RetentionState,
    RuleState,
    check_rules,
    replace_rules,
)
from logkeep.errors import Overloaded, RuleUnconfirmed
from logkeep.service.retention_judgement import as_confirmed, judge_objects, make_judgement
from logkeep.service.retention_run import RetentionRun, claim
from logkeep.service.runtime import Runtime

_log = structlog.get_logger("logkeep.retention")


def list_rules(runtime: Runtime, cluster: Cluster) -> list[RuleState]:
    """Return the rules of a cluster, its own first, then those of its logs by name."""
    with reading(runtime.database) as connection:
        return retention.fetch_rules(connection, cluster.id)


def set_rules(runtime: Runtime, cluster: Cluster, rules: Sequence[RetentionRule], who: str) -> list[RuleState]:
    """Replace the rules of a cluster; those that stay the same stay confirmed. Raises `InvalidField`."""
    check_rules(rules)
    with writing(runtime.database) as connection:
        retention.lock_retention(connection, cluster.id)
        before = retention.fetch_rules(connection, cluster.id)
        states = replace_rules(before, rules, runtime.clock.now_ms(), who[:LONGEST_WHO])
        retention.save_rules(connection, cluster.id, states)
    return sorted(states, key=lambda one: one.rule.log)


def judge(runtime: Runtime, cluster: Cluster, rules: Sequence[RetentionRule] | None = None) -> Iterator[JudgedObject]:
    """Yield what a run would do now with each object, by node, generation and place.

    With `rules` as if they were the saved ones; in any case as if they were confirmed. Raises `InvalidField`.
    """
    if rules is None:
        rules = [one.rule for one in list_rules(runtime, cluster)]
    check_rules(rules)
    return judge_objects(runtime, cluster, make_judgement(runtime, cluster, as_confirmed(rules)))


def preview(runtime: Runtime, cluster: Cluster, rules: Sequence[RetentionRule] | None = None) -> Preview:
    """Return the sums of what `judge` yields."""
    found = Preview()
    for judged in judge(runtime, cluster, rules):
        found.add(judged)
    return found


def run(
    runtime: Runtime, cluster: Cluster, *, confirm: bool, who: str, rules: Sequence[RetentionRule] | None = None
) -> Generator[RetentionProgress]:
    """Remove what the rules let go: plan, entries in the bucket, then the objects.

    With `confirm` the clock carries the rules out from now on as well; `rules` are those that were previewed. Raises
    `RuleUnconfirmed` at once where a rule is not confirmed, or others than the previewed ones are saved, and
    `Overloaded` where the rules are being carried out already.
    """
    with writing(runtime.database) as connection:
        retention.lock_retention(connection, cluster.id)
        saved = retention.fetch_rules(connection, cluster.id)
        if rules is not None and {one.rule for one in saved} != set(rules):
            raise RuleUnconfirmed("The rules were changed since; look at what they would remove now, and confirm it.")
        if confirm:
            retention.confirm_rules(connection, cluster.id, runtime.clock.now_ms())
        elif any(one.confirmed_at is None for one in saved):
            raise RuleUnconfirmed()
    claimed = claim(runtime, cluster)
    if claimed is None:
        raise Overloaded("The rules of this cluster are being carried out just now; see later what is left.")
    _log.info("retention runs", cluster_id=cluster.id, who=who)
    return RetentionRun(runtime, cluster, claimed).run(plans=True)


def get_state(runtime: Runtime, cluster: Cluster) -> RetentionState:
    """Return the rules of a cluster, what its runs came to, and what waits."""
    with reading(runtime.database) as connection:
        ran_at, problem = retention.fetch_run(connection, cluster.id)
        objects, stored, raw = retention.sum_removed(connection, cluster.id)
        return RetentionState(
            rules=tuple(retention.fetch_rules(connection, cluster.id)),
            ran_at=ran_at,
            problem=problem,
            entries_planned=retention.count_planned(connection, cluster.id),
            waiting=retention.fetch_waiting(connection, cluster.id),
            removed_objects=objects,
            removed_stored=stored,
            removed_raw=raw,
        )


def list_removals(
    runtime: Runtime, cluster: Cluster, node: str = "", log: str = "", limit: int = 1000
) -> list[Removal]:
    """Return what was removed, newest first."""
    with reading(runtime.database) as connection:
        return retention.fetch_removals(connection, cluster.id, node, log, limit)


def retain_most_due(runtime: Runtime, every_ms: int) -> tuple[Cluster, Generator[RetentionProgress]] | None:
    """Claim a cluster whose rules are due, or of which something is left over, and return the work; None if none is.

    Rules are due `every_ms` after they were carried out, and with 0 never. Only those that are confirmed are.
    """
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        due = retention.fetch_due_cluster(connection, now, now - every_ms if every_ms else None)
        cluster = clusters.fetch_cluster(connection, due[0]) if due else None
    if due is None or cluster is None:
        return None
    claimed = claim(runtime, cluster)
    if claimed is None:
        return None
    return cluster, RetentionRun(runtime, cluster, claimed).run(plans=due[1])
