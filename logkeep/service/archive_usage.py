"""What the archive takes: raw and stored bytes, indexes, objects and requests, and how they grow."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from itertools import pairwise

from sqlalchemy import Connection

from logkeep.database import store_requests, usage
from logkeep.database.connection import reading, writing
from logkeep.database.usage import Scope
from logkeep.domain.usage import (
    EVERY_DAY,
    DayUsage,
    IndexSize,
    RequestKind,
    Sums,
    Usage,
    UsageBy,
    UsageRow,
    add_index,
    add_requests,
    day_of,
    ends_of_days,
    ends_of_months,
    growth_begin,
    growth_of,
    measure_growth,
    month_at,
    month_ends,
    month_of,
)
from logkeep.errors import ClusterNotFound
from logkeep.service.request_counts import Counted
from logkeep.service.runtime import Runtime

_AT_ONCE = 100  # clusters whose days are recorded in one transaction
_BATCHES = 100  # of one call


def get_usage(
    runtime: Runtime, project_id: str, by: UsageBy, *, cluster_ids: Sequence[str] = (), offset: int = 0, limit: int
) -> Usage:
    """Return what the clusters of a project take, or some of them; `offset` counts from 0.

    Raises `ClusterNotFound` if the project has not all of them.
    """
    now = runtime.clock.now_ms()
    scope = Scope(project_id, tuple(set(cluster_ids)))
    with reading(runtime.database) as connection:
        if usage.count_clusters(connection, scope) < len(scope.cluster_ids):
            raise ClusterNotFound()
        counted = _Counted(usage.fetch_rows(connection, scope, UsageBy.CLUSTER if by is UsageBy.MONTH else by))
        page = nsmallest(offset + limit, counted, key=_rank)[offset:]
        days = [*usage.fetch_days(connection, scope), DayUsage(day_of(now), counted.sums)]
        index = usage.fetch_index_sizes(connection, scope)
        requests = store_requests.fetch_requests(connection, scope, month_at(now))
        if by is UsageBy.MONTH:
            months = _months(days, store_requests.fetch_months(connection, scope))
            page, rows = months[offset : offset + limit], len(months)
        else:
            rows = counted.rows
        if by is UsageBy.CLUSTER:
            page = _with_facts(connection, scope, page, index, requests, day_of(now))
    total = UsageRow(
        sums=counted.sums,
        index=add_index(index.values()),
        requests=add_requests(requests.values()),
        growth=growth_of(days, day_of(now)),
    )
    return Usage(page, total, rows, now, days)


@dataclass(slots=True)
class _Counted:
    """Rows that are counted and added up as they are read: objects of all would make the collector of garbage stop."""

    found: Iterator[UsageRow]
    rows: int = 0
    sums: Sums = field(default_factory=Sums)

    def __iter__(self) -> Iterator[UsageRow]:
        for row in self.found:
            self.rows += 1
            self.sums += row.sums
            yield row


def _rank(row: UsageRow) -> tuple[int, str, str, str]:
    """Return the sort key: the largest first."""
    return -row.sums.stored, row.cluster, row.node, row.log


def _with_facts(
    connection: Connection,
    scope: Scope,
    page: Sequence[UsageRow],
    index: Mapping[str, IndexSize],
    requests: Mapping[str, Mapping[RequestKind, int]],
    today: int,
) -> list[UsageRow]:
    """Return the clusters of a page with their indexes, their requests of this month, and their growth."""
    shown = scope._replace(cluster_ids=[row.cluster_id for row in page])
    spans = usage.fetch_growth_days(connection, shown, growth_begin(today), today) if page else {}
    return [
        replace(
            row,
            index=index.get(row.cluster_id),
            requests=requests.get(row.cluster_id, {}),
            growth=measure_growth(*spans.get(row.cluster_id, (None, None))),
        )
        for row in page
    ]


def _months(days: Sequence[DayUsage], requests: Mapping[str, Mapping[RequestKind, int]]) -> list[UsageRow]:
    """Return a row for each month, the newest first: what there was at its end, and what was asked in it."""
    ends = ends_of_months(days)
    before = {later.day: later.sums.stored - earlier.sums.stored for earlier, later in pairwise(ends)}
    return [
        UsageRow(
            month=month_of(end.day),
            sums=end.sums,
            requests=requests.get(month_of(end.day), {}),
            added=before.get(end.day),
        )
        for end in reversed(ends)
    ]


def record_days(runtime: Runtime, keep_days: int) -> None:
    """Record what each cluster had at the end of each day that is over, and forget days of too long ago.

    A day that was missed, or is of before this was recorded, is worked out from what jobs stored since.
    """
    today = day_of(runtime.clock.now_ms())
    for _ in range(_BATCHES):
        with reading(runtime.database) as connection:
            due = usage.fetch_unrecorded(connection, today - 1, _AT_ONCE)
        if not due:
            break
        _record(runtime, due, today, keep_days)
    oldest = today - keep_days
    usage.delete_days(runtime.database, oldest, today - EVERY_DAY, month_ends(oldest, today))
    store_requests.delete_months(runtime.database, month_of(oldest))


def _record(runtime: Runtime, due: Sequence[str], today: int, keep_days: int) -> None:
    with reading(runtime.database) as connection:
        last = usage.fetch_last_days(connection, due)
        since = min((last.get(one, today - keep_days) for one in due), default=today)
        now, added = usage.fetch_now_and_added(connection, due, since)
    found = {one: list(ends_of_days(now[one], added.get(one, {}), last.get(one), today, keep_days)) for one in due}
    with writing(runtime.database) as connection:
        there = usage.fetch_existing(connection, due)
        usage.insert_days(connection, {one: days for one, days in found.items() if one in there})


def save_requests(runtime: Runtime) -> None:
    """Add what this process has counted since the last call to the numbers of the month. Raises `CatalogueError`."""
    taken = runtime.requests.take()
    if not taken:
        return
    saved = False
    try:
        with writing(runtime.database) as connection:
            store_requests.add_requests(connection, month_at(runtime.clock.now_ms()), _by_cluster(connection, taken))
        saved = True
    finally:
        if not saved:
            runtime.requests.put_back(taken)


def _by_cluster(connection: Connection, taken: Mapping[Counted, int]) -> dict[store_requests.Key, int]:
    """Return the numbers by the clusters to which the folders, or those above them, belong."""
    folders: dict[str, set[str]] = defaultdict(set)
    for key in taken:
        folders[key.bucket].update(_at_and_above(key.folder))
    owners = {
        bucket: store_requests.fetch_owners(connection, bucket, sorted(names)) for bucket, names in folders.items()
    }
    found = Counter[store_requests.Key]()
    for key, number in taken.items():
        owner = next((owners[key.bucket][one] for one in _at_and_above(key.folder) if one in owners[key.bucket]), "")
        found[owner, key.bucket, key.kind] += number
    return dict(found)


def _at_and_above(folder: str) -> Iterable[str]:
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class NamedUsage:
    """What one cluster takes, or all of them, whose names are ''."""

    project: str
    cluster: str
    sums: Sums
    index: IndexSize


def list_named(runtime: Runtime, most_named: int) -> list[NamedUsage]:
    """Return what each cluster of every project takes; all together where they are more than `most_named`."""
    with reading(runtime.database) as connection:
        each = [NamedUsage(*row) for row in usage.fetch_named_sums(connection)]
    if len(each) <= most_named:
        return each
    sums = sum((one.sums for one in each), Sums())
    return [NamedUsage("", "", sums, sum((one.index for one in each), IndexSize()))]
