"""The strip of the last days of each cluster: on which it was kept, failed or missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from logkeep.database import day_strips
from logkeep.database.connection import reading
from logkeep.domain.day_strip import MOST_CLUSTERS, MOST_DAYS, Day, DaySpan, make_strip, span_of
from logkeep.domain.policy import LATE_MS, next_start
from logkeep.errors import InvalidField
from logkeep.service.runtime import Runtime

_FARTHEST_MINUTES = 14 * 60  # of a zone from UTC


def list_days(
    runtime: Runtime, cluster_ids: Sequence[str], *, days: int = 30, offset_minutes: int = 0
) -> dict[str, list[Day]]:
    """Return the last days of each of these clusters, oldest first, today last.

    A day is one of the zone that is so many minutes ahead of UTC. Raises `InvalidField`.
    """
    if not 1 <= days <= MOST_DAYS:
        raise InvalidField("days", f"{days} came; 1 to {MOST_DAYS} are allowed")
    if abs(offset_minutes) > _FARTHEST_MINUTES:
        raise InvalidField("offset_minutes", f"{offset_minutes} came; at most {_FARTHEST_MINUTES} are allowed")
    now = runtime.clock.now_ms()
    span = span_of(now, days, offset_minutes)
    found: dict[str, list[Day]] = {}
    for start in range(0, len(cluster_ids), MOST_CLUSTERS):
        some = cluster_ids[start : start + MOST_CLUSTERS]
        with reading(runtime.database) as connection:
            ends = day_strips.fetch_day_ends(connection, some, span)
            running = day_strips.fetch_running_since(connection, some)
            daily = day_strips.fetch_daily(connection, some)
        missed = _missed_days(runtime, daily, span, now)
        found |= {one: make_strip(span, ends.get(one, {}), running.get(one), missed.get(one, range(0))) for one in some}
    return found


def _missed_days(runtime: Runtime, daily: Mapping[str, tuple[str, int]], span: DaySpan, now: int) -> dict[str, range]:
    """Return the days, by number, on which a daily run of each cluster was due and is late, if nothing ran."""
    last = span.day_of(now - LATE_MS)  # a run may be late, and this day may not be over for it
    missed: dict[str, range] = {}
    for cluster_id, (period, since) in daily.items():
        # Neither the day on which the period was set, nor one before its first start, which the spread may delay.
        first = span.day_of(next_start(period, cluster_id, since, runtime.policy.spread_ms))
        missed[cluster_id] = range(max(span.first, first, span.day_of(since - 1) + 1), last)
    return missed
