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
    now, counts = runtime.clock.now_ms(), Counter[str]()
    with reading(runtime.database) as connection:
        judged = _judge(runtime, cluster_facts.fetch_facts(connection, project_id, now), now)
        wanted = _choose(judged, choice, name.lower(), counts)
        page = nsmallest(offset + limit, wanted, key=lambda each: each[0].rank)[offset:]
        details = cluster_facts.fetch_details(connection, [one for _, _, one in page])
    shown = [_status(one, state, wrong, details[one.id], now) for state, wrong, one in page]
    return StatusPage(
        shown, counts["hand"], counts["all"], now, without_daily=counts["without daily"], found=counts["found"]
    )


def get_status(runtime: Runtime, cluster: Cluster) -> ClusterStatus:
    """Judge one cluster."""
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        facts = cluster_facts.fetch_facts_of(connection, cluster, now)
        details = cluster_facts.fetch_details(connection, [facts])[cluster.id]
    ((state, wrong, _),) = _judge(runtime, [facts], now)
    return _status(facts, state, wrong, details, now)


def _status(
    facts: ClusterFacts, state: ClusterState, wrong: list[ClusterState], details: ClusterDetails, now: int
) -> ClusterStatus:
    troubles = [Trouble(each, str(tell(each, facts, details, now))) for each in wrong]
    return ClusterStatus(facts=facts, state=state, gaps=details.gaps, troubles=troubles)


_Judged = tuple[ClusterState, list[ClusterState], ClusterFacts]


def _judge(runtime: Runtime, found: Iterable[ClusterFacts], now: int) -> Iterator[_Judged]:
    """Yield the state of each cluster, and what needs a hand."""
    for one in found:
        wrong = find_troubles(one, now, runtime.policy, runtime.verify_every_ms)
        yield wrong[0] if wrong else quiet_state(one, now, runtime.policy), wrong, one


def _choose(judged: Iterable[_Judged], choice: StatusChoice, name: str, counts: Counter[str]) -> Iterator[_Judged]:
    """Yield the clusters that are asked for, by what needs a hand and a part of the name; count these, and all."""
    for each in judged:
        _, wrong, facts = each
        hand, without_daily = bool(wrong), facts.runs is None
        counts["all"] += 1
        counts["hand"] += hand
        counts["without daily"] += without_daily
        is_of_choice = {StatusChoice.NEED_HAND: hand, StatusChoice.WITHOUT_DAILY: without_daily}.get(choice, True)
        if is_of_choice and name in facts.name.lower():
            counts["found"] += 1
            yield each
