"""A search in steps, each bounded: for somebody who looks on, and may have seen enough."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from logkeep.domain.archive_search import ArchiveQuery, Hit, Position, SearchDamage, SearchEnd, SearchProgress
from logkeep.domain.cluster import Cluster
from logkeep.domain.histogram import Bucket, Interval
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Moment, Span
from logkeep.service.archive_search import search_archive
from logkeep.service.histogram import count_over_time
from logkeep.service.runtime import Runtime

COUNT_GIVEN_UP_SECONDS, NEWER_GIVEN_UP_SECONDS = 10.0, 5.0
GIVEN_UP_SECONDS = 20.0  # for a step that finds no place to end at: lines without times, or much that is not kept
_NOTHING = SearchProgress(0, 0, 0, 0, 0, 0, 0)


@dataclass(slots=True)
class SearchStep:
    """What one step found."""

    hits: list[Hit] = field(default_factory=list[Hit])
    buckets: list[Bucket] = field(default_factory=list[Bucket])
    damage: list[SearchDamage] = field(default_factory=list[SearchDamage])
    progress: SearchProgress = _NOTHING
    after: Position | None = None  # where the next step goes on; None where there is none
    given_up: bool = False  # it found no place to end at in time, so that the next would not either
    completed: bool = False  # whether all that was asked for was looked at
    not_indexed: int = 0  # frames of which no index tells, though one could have


def take_step(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> SearchStep:
    """Search until the limit or the time of the query is reached; raises as `search_archive`."""
    return _gather(query, search_archive(runtime, cluster, query), GIVEN_UP_SECONDS)


def plan_search(runtime: Runtime, cluster: Cluster, query: ArchiveQuery) -> SearchStep:
    """Tell how much of what is kept a search would read; nodes are not asked."""
    return take_step(runtime, cluster, replace(query, dry_run=True, live=False))


def count_in_time(runtime: Runtime, cluster: Cluster, query: ArchiveQuery, interval: Interval) -> SearchStep:
    """Count over time as far as the time of the query reaches, the newest first; raises as `count_over_time`."""
    return _gather(
        query, count_over_time(runtime, cluster, replace(query, count=True), interval), COUNT_GIVEN_UP_SECONDS
    )


def count_newer(runtime: Runtime, cluster: Cluster, query: ArchiveQuery, than: Position | None) -> SearchStep:
    """Find what comes before a place in the order of the newest first: what was written since it was shown."""
    if than is None:
        return _gather(query, search_archive(runtime, cluster, query), NEWER_GIVEN_UP_SECONDS)
    since = replace(query, wanted=_from(query.wanted, -than.time))
    step = _gather(since, search_archive(runtime, cluster, since), NEWER_GIVEN_UP_SECONDS)
    step.hits = [hit for hit in step.hits if _is_newer(place_of(hit, query), than)]
    return step


def place_of(hit: Hit, query: ArchiveQuery) -> Position:
    """Return the place of a line in the order of a search."""
    return Position(query.order(hit.time), hit.node, hit.generation, hit.start)


def _is_newer(place: Position, than: Position) -> bool:
    if place.time != than.time:
        return place.time < than.time
    return (place.node, place.generation) == (than.node, than.generation) and place.start > than.start


def _from(wanted: RecordFilter, seconds: float) -> RecordFilter:
    since = datetime.fromtimestamp(seconds, UTC)
    written = since.strftime("%Y-%m-%dT%H:%M:%S,") + f"{since.microsecond // 1000:03}"
    return replace(wanted, span=Span(Moment(written, since), wanted.span.until))


def _passed_on(events: Iterator[object]) -> Generator[object]:
    """Yield events, and let go of the search with them."""
    yield from events


def _gather(query: ArchiveQuery, events: Iterator[object], most_seconds: float) -> SearchStep:
    step, begun = SearchStep(), time.monotonic()
    with closing(_passed_on(events)) as told:
        for event in told:
            if isinstance(event, Hit):
                step.hits.append(event)
            elif isinstance(event, Bucket):
                step.buckets.append(event)
            elif isinstance(event, SearchDamage):
                step.damage.append(event)
            elif isinstance(event, SearchProgress):
                step.progress = event
                if time.monotonic() - begun > most_seconds:
                    step.given_up = True
                    step.after = place_of(step.hits[-1], query) if step.hits else None
                    return step
            elif isinstance(event, SearchEnd):
                step.progress, step.after, step.completed = event.total, event.after, event.completed
                step.not_indexed = event.not_indexed
    return step
