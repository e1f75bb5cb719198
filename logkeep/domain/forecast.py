"""Forecast of when a node deletes lines that are not backed up, and the extra run that is needed before."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_PAUSE_MS = 5 * 60 * 1000  # between the end of a job and an extra run
# Without a daily backup the next start is unknown; a loss farther ahead than this is not worth a warning.
HORIZON_MS = 7 * 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Forecast:
    """Moment from which a node may delete lines that are not backed up."""

    node: str
    family: str
    safe_until: int  # Unix ms
    next_run: int | None = None  # Unix ms: next automatic backup, as planned at the end of the job; None if none is


def plan_extra_run(now: int, safe_until: int) -> int:
    """Return when to start an extra run, Unix ms: after half of the time left, as logs may grow twice as fast.

    It starts at least `LEAST_PAUSE_MS` after `now`, the end of a job.
    """
    return now + max(LEAST_PAUSE_MS, (safe_until - now) // 2)
