"""How long rows are kept that come by themselves and are of no use for ever."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeepTimes:
    """Each is counted from when such a row was of use last."""

    audit_days: int
    missed_days: int  # daily runs that were missed
    usage_days: int  # of what the archive took
    forecast_days: int  # of jobs that have ended
    session_minutes: float  # of the console
