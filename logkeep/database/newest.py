"""The newest records of many streams, each of which has an index by time, while no index has all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table, and_, select


@dataclass(frozen=True, slots=True)
class Streams:
    """Records by stream: of one cluster, or of one cluster and status."""

    heads: Table  # with a row for each stream
    all_heads: FromClause  # the same, with what `mine` is about
    mine: ColumnElement[bool]  # the streams that are asked for
    own: ColumnElement[bool]  # the records of a stream, by their index
    at: ColumnElement[int]  # when a record was made
    order: tuple[ColumnElement[Any], ...]  # newest first, as that index has it

    def since(self, oldest: int) -> ColumnElement[bool]:
        """Return the condition for the records of one stream from a moment on."""
        return and_(self.own, self.at >= oldest)


def oldest_needed(connection: Connection, streams: Streams, wanted: int, since: int = 0) -> int:
    """Return a moment (Unix ms) from which on there are at least `wanted` records, and not many times as many.

    It is `since` where there are fewer. If `ceil(wanted / n)` streams have `n` records each since a moment, there are
    enough. The latest of these moments is taken, for n = 1, 4, 16, …; then the streams with over `n` records since are
    few, and so are the records.
    """
    oldest, each = since, 1
    while each < 4 * wanted:
        enough = -(-wanted // each)
        newest = _nth_newest(streams, each, oldest)
        moments = select(newest.c.moment).where(newest.c.moment.is_not(None)).order_by(newest.c.moment.desc())
        oldest = connection.execute(moments.limit(1).offset(enough - 1)).scalar() or oldest
        each *= 4
    return oldest


def _nth_newest(streams: Streams, number: int, oldest: int) -> Any:
    """Select when the nth newest record of each stream was made; NULL where that is before `oldest`."""
    nth: Select[*tuple[Any, ...]] = select(streams.at).where(streams.since(oldest))
    nth = nth.order_by(*streams.order).limit(1).offset(number - 1)
    moment = nth.correlate(streams.heads).scalar_subquery().label("moment")
    return select(moment).select_from(streams.all_heads).where(streams.mine).subquery()
