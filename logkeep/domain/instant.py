"""Comparison of times as logs write them. Zones may differ within one log, so they are compared as instants."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4096)
def instant(time: str) -> float:
    """Return a time of a log as Unix seconds; a time without a zone is read as UTC."""
    moment = datetime.fromisoformat(time)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def earliest(times: Iterable[str]) -> str:
    """Return the earliest time, as written; '' if none is known."""
    return min((time for time in times if time), key=_order, default="")


def latest(times: Iterable[str]) -> str:
    """Return the latest time, as written; '' if none is known."""
    return max((time for time in times if time), key=_order, default="")


def _order(time: str) -> tuple[float, str]:
    return instant(time), time
