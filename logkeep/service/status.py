"""One view over all clusters of a project: how each stands, and what needs a hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from logkeep.database import cluster_facts
from logkeep.database.connection import reading
from logkeep.domain.cluster_status import (
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


def list_status(runtime: Runtime, project_id: str, *, offset: int = 0, limit: int = 100) -> StatusPage:
    """Judge all clusters of a project, and return a page of them, worst first and by name; `offset` counts from 0.

    They are judged as they are read, and those beyond the page forgotten: objects of thousands of clusters would make
    the interpreter's collection of garbage stop every thread for a tenth of a second.
    """
    now, in_need = runtime.clock.now_ms(), Counter[bool]()
    with reading(runtime.database) as connection:
        judged = _judge(runtime, cluster_facts.fetch_facts(connection, project_id, now), now, in_need)
        page = nsmallest(offset + limit, judged, key=lambda each: each[0].rank)[offset:]
        details = cluster_facts.fetch_details(connection, [one for _, _, one in page])
    shown = [
        ClusterStatus(
            facts=one,
            state=state,
            gaps=details[one.id].gaps,
            troubles=[Trouble(each, tell(each, one, details[one.id], now)) for each in wrong],
        )
        for state, wrong, one in page
    ]
    return StatusPage(shown, in_need[True], in_need.total(), now)


def _judge(
    runtime: Runtime, found: Iterable[ClusterFacts], now: int, in_need: Counter[bool]
) -> Iterator[tuple[ClusterState, list[ClusterState], ClusterFacts]]:
    """Yield the state of each cluster and what needs a hand; `in_need` counts those that do, and those that do not."""
    for one in found:
        wrong = find_troubles(one, now, runtime.policy, runtime.verify_every_ms)
        in_need[bool(wrong)] += 1
        yield wrong[0] if wrong else quiet_state(one, now, runtime.policy), wrong, one
