"""One view over all clusters of a project: how each stands, and what needs a hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from heapq import nsmallest

from logkeep.database import cluster_facts
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.cluster_status import (
    ClusterDetails,
    ClusterFacts,
    ClusterState,
    ClusterStatus,
    Trouble,
    find_troubles,
    quiet_state,
    tell,
)
from logkeep.service.runtime import Runtime


@dataclass(frozen=True, slots=True)
class StatusPage:
    """One page of the clusters of a project, worst first."""

    clusters: list[ClusterStatus]
    need_hand: int  # of all
    total: int
    at: int  # when they were judged, Unix ms
    without_daily: int = 0  # of all: clusters that no daily backup is planned for
    found: int = 0  # of all that are asked for


class StatusChoice(StrEnum):
    """Which clusters of a project are listed."""

    ALL = ""
    NEED_HAND = "need_hand"
    WITHOUT_DAILY = "without_daily"


def list_status(
    runtime: Runtime,
    project_id: str,
    *,
    offset: int = 0,
    limit: int = 100,
    choice: StatusChoice = StatusChoice.ALL,
    name: str = "",
) -> StatusPage:
    """Judge all clusters of a project, and return a page of them, worst first and by name; `offset` counts from 0.

    Only those are listed that are of the choice and whose names contain `name`, ASCII case ignored.

    They are judged as they are read, and those beyond the page forgotten: objects of thousands of clusters would make
    the interpreter's collection of garbage stop every thread for a tenth of a second.
    """
    now, in_need, chosen = runtime.clock.now_ms(), Counter[str](), _Chosen(choice, name.lower())
    with reading(runtime.database) as connection:
        judged = _judge(runtime, cluster_facts.fetch_facts(connection, project_id, now), now, in_need)
        page = nsmallest(offset + limit, filter(chosen.takes, judged), key=lambda each: each[0].rank)[offset:]
        details = cluster_facts.fetch_details(connection, [one for _, _, one in page])
    shown = [_status(one, state, wrong, details[one.id], now) for state, wrong, one in page]
    return StatusPage(shown, in_need["hand"], in_need["all"], now, in_need["without daily"], chosen.found)


def get_status(runtime: Runtime, cluster: Cluster) -> ClusterStatus:
    """Judge one cluster."""
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        facts = cluster_facts.fetch_facts_of(connection, cluster, now)
        details = cluster_facts.fetch_details(connection, [facts])[cluster.id]
    (state, wrong, _), *_ = _judge(runtime, [facts], now, Counter())
    return _status(facts, state, wrong, details, now)


def _status(
    facts: ClusterFacts, state: ClusterState, wrong: list[ClusterState], details: ClusterDetails, now: int
) -> ClusterStatus:
    troubles = [Trouble(each, tell(each, facts, details, now)) for each in wrong]
    return ClusterStatus(facts=facts, state=state, gaps=details.gaps, troubles=troubles)


class _Chosen:
    """Takes the clusters that are asked for, and counts them."""

    def __init__(self, choice: StatusChoice, name: str) -> None:
        self._choice = choice
        self._name = name
        self.found = 0

    def takes(self, judged: tuple[ClusterState, list[ClusterState], ClusterFacts]) -> bool:
        _, wrong, facts = judged
        taken = self._name in facts.name.lower() and (
            self._choice is StatusChoice.ALL
            or (self._choice is StatusChoice.NEED_HAND and bool(wrong))
            or (self._choice is StatusChoice.WITHOUT_DAILY and facts.runs is None)
        )
        self.found += taken
        return taken


def _judge(
    runtime: Runtime, found: Iterable[ClusterFacts], now: int, in_need: Counter[str]
) -> Iterator[tuple[ClusterState, list[ClusterState], ClusterFacts]]:
    """Yield the state of each cluster and what needs a hand; `in_need` counts all, and those that need one."""
    for one in found:
        wrong = find_troubles(one, now, runtime.policy, runtime.verify_every_ms)
        in_need["all"] += 1
        in_need["hand"] += bool(wrong)
        in_need["without daily"] += one.runs is None
        yield wrong[0] if wrong else quiet_state(one, now, runtime.policy), wrong, one
