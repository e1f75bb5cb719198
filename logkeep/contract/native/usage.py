"""Requests and answers of `/api/v1` on what the archive takes."""

from __future__ import annotations

import re

import msgspec

from logkeep.contract import fields
from logkeep.contract.parameters import PAGE, Choice, Page, Text, names_of, read_page
from logkeep.domain.usage import (
    FORECAST_DAYS,
    Growth,
    IndexSize,
    RequestKind,
    Sums,
    Usage,
    UsageBy,
    UsageRow,
    forecast,
)
from logkeep.errors import InvalidField

_HEX = "[0-9A-Fa-f]"
_ID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_MOST_CLUSTERS = 100
_IDS = f"{_ID}(,{_ID}){{0,{_MOST_CLUSTERS - 1}}}"

_OF_ALL = "What a row is; months are the newest first, all else the largest first."
CLUSTERS = Text("cluster", f"Ids of clusters, at most {_MOST_CLUSTERS}, between commas; empty for all.", f"^({_IDS})?$")
BY = Choice("by", UsageBy.CLUSTER, _OF_ALL, tuple(UsageBy))
BY_OF_ONE = Choice("by", UsageBy.LOG, _OF_ALL, tuple(UsageBy))
QUERY = (CLUSTERS, BY, *PAGE)
QUERY_OF_ONE = (BY_OF_ONE, *PAGE)


class RequestsView(msgspec.Struct):
    """Requests to object stores, by kind."""

    put: int
    get: int
    list: int
    delete: int
    head: int


class UsageRowView(msgspec.Struct, rename="camel", kw_only=True):
    """What one cluster, node, log or month takes; null where the rows do not tell, or it is not known."""

    cluster_id: str | None
    cluster_name: str | None
    node: str | None
    log: str | None
    month: str | None  # 2026-11, in UTC; what there was at its end, of this one what there is now
    raw: int  # plain bytes
    stored: int  # bytes in the bucket
    objects: int
    index_bytes: int | None
    index_objects: int | None
    requests: RequestsView | None  # of the month; of this one where the rows are clusters
    growth_per_day: int | None  # stored bytes, the mean of `growthDays`
    growth_days: int | None
    added: int | None  # stored bytes more than at the end of the month before


class ForecastView(msgspec.Struct):
    """What will be stored, if it grows as it did."""

    days: int  # from now on
    stored: int  # bytes


class UsageList(msgspec.Struct, rename="camel"):
    by: UsageBy
    rows: list[UsageRowView]
    total: UsageRowView  # of all rows, also those of other pages; of months what there is now
    forecast: list[ForecastView]  # empty where the growth is not known
    total_size: int  # rows of all pages
    at: int  # Unix ms


def read_usage_query(raw: bytes) -> tuple[UsageBy, list[str], Page]:
    """Read what rows are wanted, of which clusters (none for all), and the page. Raises `InvalidField`."""
    query = fields.read_query(raw, names_of(QUERY))
    ids = CLUSTERS.read(query).lower()
    if ids and not re.fullmatch(_IDS, ids):
        raise InvalidField(
            CLUSTERS.name,
            f"{fields.shown(ids)} came; at most {_MOST_CLUSTERS} ids of clusters between commas are allowed",
        )
    return UsageBy(BY.read(query)), ids.split(",") if ids else [], read_page(query)


def read_cluster_usage_query(raw: bytes) -> tuple[UsageBy, Page]:
    query = fields.read_query(raw, names_of(QUERY_OF_ONE))
    return UsageBy(BY_OF_ONE.read(query)), read_page(query)


def render_usage(usage: Usage, by: UsageBy) -> bytes:
    sums, growth = usage.total.sums, usage.total.growth
    return msgspec.json.encode(
        UsageList(
            by=by,
            rows=[_view(row) for row in usage.rows],
            total=_view(usage.total),
            forecast=[ForecastView(days, forecast(sums.stored, growth, days)) for days in FORECAST_DAYS if growth],
            total_size=usage.rows_total,
            at=usage.at,
        )
    )


def _view(row: UsageRow) -> UsageRowView:
    return UsageRowView(
        cluster_id=row.cluster_id or None,
        cluster_name=row.cluster or None,
        node=row.node or None,
        log=row.log or None,
        month=row.month or None,
        raw=row.sums.raw,
        stored=row.sums.stored,
        objects=row.sums.objects,
        index_bytes=row.index and row.index.stored,
        index_objects=row.index and row.index.objects,
        requests=None if row.requests is None else _requests_view(row),
        growth_per_day=row.growth and round(row.growth.per_day),
        growth_days=row.growth and row.growth.days,
        added=row.added,
    )


def _requests_view(row: UsageRow) -> RequestsView:
    return RequestsView(**{kind.value: (row.requests or {}).get(kind, 0) for kind in RequestKind})


def read_row(view: UsageRowView) -> UsageRow:
    """Return what a client was answered as a value."""
    requests = view.requests and {kind: int(getattr(view.requests, kind)) for kind in RequestKind}
    growth = None if view.growth_per_day is None else Growth(view.growth_per_day, view.growth_days or 0)
    index = None if view.index_bytes is None else IndexSize(view.index_bytes, view.index_objects or 0)
    return UsageRow(
        cluster_id=view.cluster_id or "",
        cluster=view.cluster_name or "",
        node=view.node or "",
        log=view.log or "",
        month=view.month or "",
        sums=Sums(view.raw, view.stored, view.objects),
        index=index,
        requests=requests,
        growth=growth,
        added=view.added,
    )
