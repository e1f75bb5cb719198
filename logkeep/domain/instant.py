"""Times as logs write them, held against each other as the instants that they are: zones differ within one log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4096)
def instant(time: str) -> float:
    """Seconds since 1970 of a time as a log writes it; one without a zone is taken for UTC."""
    moment = datetime.fromisoformat(time)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def earliest(times: Iterable[str]) -> str:
    """As written; '' where none is known."""
    return min((time for time in times if time), key=_order, default="")


def latest(times: Iterable[str]) -> str:
    """As written; '' where none is known."""
    return max((time for time in times if time), key=_order, default="")


def _order(time: str) -> tuple[float, str]:
    return instant(time), time
