"""When the daily backup of each cluster starts, and how well a policy is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from logkeep.domain.log_setting import parse_period

_HOUR_MS = 60 * 60 * 1000
_DAY_MS = 24 * _HOUR_MS
# A run that starts later than this after its moment counts as missed. A restart of the service and the starts of
# 10,000 clusters at one moment take less.
LATE_MS = 15 * 60 * 1000
# A clock set back by less meets moments again that were served. By more, it was wrong before, and they count anew.
_SMALL_STEP_MS = 2 * _HOUR_MS


class PolicyState(StrEnum):
    """How well the policy of a cluster is kept, the worst that is true."""

    OFF = "off"  # there is no daily backup
    OK = "ok"
    NEVER_RAN = "never_ran"  # there is no record yet
    MISSED = "missed"  # the last run started late, or has not started though its moment has passed
    STALE = "stale"  # the last success is too old


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """What an installation says about all policies."""

    spread_ms: int = 0  # each cluster starts at a moment of its own within so much of its period
    stale_ms: int = 26 * _HOUR_MS  # a success that is older is too old

    @property
    def farthest_ms(self) -> int:
        """A start farther ahead than this was planned while the clock was wrong."""
        return _DAY_MS + self.spread_ms + _SMALL_STEP_MS


@dataclass(frozen=True, slots=True)
class PolicyRuns:
    """What is known of the runs of one policy; times are Unix ms."""

    since: int  # when its period was set
    due_at: int  # when the next run starts, or should have
    missed_at: int | None  # when the last run should have started, if it came late
    ran: bool  # whether the cluster has a record
    last_success: int | None  # end of the newest


def next_start(period: str, cluster_id: str, after: int, spread_ms: int) -> int:
    """When the run of the first daily moment after `after` starts: never before that moment."""
    return parse_period(period).next_due(after) + spread(cluster_id, spread_ms)


def spread(cluster_id: str, window_ms: int) -> int:
    """The same part of the window for the same cluster at all times, and evenly spread over many."""
    digest = hashlib.sha256(cluster_id.encode()).digest()
    return int.from_bytes(digest[:8]) % window_ms if window_ms else 0


def missed_moment(due_at: int, now: int) -> int | None:
    """The moment of a run, where it is later than it should be."""
    return due_at if now - due_at > LATE_MS else None


def judge_policy(runs: PolicyRuns | None, now: int, stale_ms: int) -> PolicyState:
    """None for a cluster without a policy. One that was just set has as long for its first success as for any."""
    if runs is None:
        return PolicyState.OFF
    if now - max(runs.since, runs.last_success or 0) > stale_ms:
        return PolicyState.STALE
    if runs.missed_at is not None or missed_moment(runs.due_at, now) is not None:
        return PolicyState.MISSED
    return PolicyState.OK if runs.ran else PolicyState.NEVER_RAN
