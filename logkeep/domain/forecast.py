"""Until when a node holds what is not kept yet, and when a run is needed before that."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_PAUSE_MS = 5 * 60 * 1000  # between a job and an extra run
# Without a daily backup somebody else starts the next one, so what is farther off is not worth a warning.
HORIZON_MS = 7 * 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Forecast:
    """From a moment on a node may delete lines that the last backup could not know of."""

    node: str
    family: str
    safe_until: int  # Unix ms
    next_run: int | None = None  # Unix ms, of the next automatic backup as of the job; None where there is none


def plan_extra_run(now: int, safe_until: int) -> int:
    """When to start: half of the time that is left, as the pace may double, and not at once after another job."""
    return now + max(LEAST_PAUSE_MS, (safe_until - now) // 2)
