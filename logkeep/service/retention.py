"""Retention of a cluster: its rules, what they would remove, and removing it in two phases."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import (
    JudgedObject,
    Preview,
    Removal,
    RetentionProgress,
    RetentionRule,
    RetentionState,
    RuleState,
)
from logkeep.service.runtime import Runtime


def list_rules(runtime: Runtime, cluster: Cluster) -> list[RuleState]:
    """Return the rules of a cluster, its own first, then those of its logs by name."""
    raise NotImplementedError


def set_rules(runtime: Runtime, cluster: Cluster, rules: Sequence[RetentionRule], who: str) -> list[RuleState]:
    """Replace the rules of a cluster; those that stay the same stay confirmed. Raises `InvalidField`."""
    raise NotImplementedError


def judge(runtime: Runtime, cluster: Cluster, rules: Sequence[RetentionRule] | None = None) -> Iterator[JudgedObject]:
    """Yield what a run would do now with each object, by node, generation and place.

    With `rules` as if they were saved and confirmed; else the saved ones, as if they were confirmed.
    """
    raise NotImplementedError


def preview(runtime: Runtime, cluster: Cluster, rules: Sequence[RetentionRule] | None = None) -> Preview:
    """Return the sums of what `judge` yields."""
    raise NotImplementedError


def run(
    runtime: Runtime, cluster: Cluster, *, confirm: bool, who: str, rules: Sequence[RetentionRule] | None = None
) -> Generator[RetentionProgress]:
    """Remove what the rules let go: plan, entries in the bucket, then the objects.

    With `confirm` the clock carries the rules out from now on as well; `rules` are those that were previewed. Raises
    `RuleUnconfirmed` at once where a rule is not confirmed, or others than the previewed ones are saved.
    """
    raise NotImplementedError


def get_state(runtime: Runtime, cluster: Cluster) -> RetentionState:
    """Return the rules of a cluster, what its runs came to, and what waits."""
    raise NotImplementedError


def list_removals(
    runtime: Runtime, cluster: Cluster, node: str = "", log: str = "", limit: int = 1000
) -> list[Removal]:
    """Return what was removed, newest first."""
    raise NotImplementedError


def retain_most_due(runtime: Runtime, every_ms: int) -> tuple[Cluster, Generator[RetentionProgress]] | None:
    """Claim a cluster whose rules are due, or of which something is left over, and return the work; None if none is."""
    raise NotImplementedError
