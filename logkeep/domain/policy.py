"""Start times of daily backups, and the state of a policy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from logkeep.domain.log_setting import parse_period

_HOUR_MS = 60 * 60 * 1000
_DAY_MS = 24 * _HOUR_MS
# A run that starts later than this after its moment counts as missed. A restart of the service, and starting
# 10,000 clusters at one moment, take less.
LATE_MS = 15 * 60 * 1000
_MOST_MISSED = 366  # moments that are made up for after the service was away
# A clock set back by less than this does not repeat a start. Set back by more, it was wrong before: starts planned
# by it are planned again.
_SMALL_STEP_MS = 2 * _HOUR_MS
FORESEEN = 5  # runs that are told ahead


class PolicyState(StrEnum):
    """State of a cluster's policy; the worst that applies."""

    # docs/glossary.md, "Policy states"
    OFF = "off"  # there is no daily backup
    OK = "ok"
    NEVER_RAN = "never_ran"  # there is no record yet
    MISSED = "missed"  # the last run started late, or has not started though its moment has passed
    STALE = "stale"  # the last success is too old


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """Settings of an installation for all policies."""

    spread_ms: int = 0  # window after the period in which clusters start, each at a moment of its own
    stale_ms: int = 26 * _HOUR_MS  # age of the last success from which the policy is stale

    @property
    def farthest_ms(self) -> int:
        """Return how far ahead a start can be planned; one farther ahead was planned while the clock was wrong."""
        return _DAY_MS + self.spread_ms + _SMALL_STEP_MS


@dataclass(frozen=True, slots=True)
class PolicyHistory:
    """Runs of one policy so far; times are Unix ms."""

    since: int  # when the period was set
    due_at: int  # when the next run starts, or should have started
    missed_at: int | None  # when the last run should have started, if it started late
    ran: bool  # the cluster has a record
    last_success: int | None  # end of the newest successful job


@dataclass(frozen=True, slots=True)
class Policy:
    """Policy of a cluster: when backups start without being asked for."""

    period: str | None  # of the daily backup
    adaptive: bool  # extra runs start before a node deletes lines that are not backed up
    next_run: int | None  # Unix ms; None if none is planned
    state: PolicyState
    runs: PolicyHistory | None  # of the daily backup; None if there is none
    next_runs: tuple[int, ...] = ()  # the first few, Unix ms, as far as they are foreseen


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """Policy state and last success of a cluster, as shown in the list of clusters."""

    policy_state: PolicyState
    last_success: int | None  # Unix ms, end of the newest backup that ended SUCCESS


def next_start(period: str, cluster_id: str, after: int, spread_ms: int) -> int:
    """Return when the next run starts (Unix ms): the first daily moment after `after`, plus the cluster's spread."""
    return parse_period(period).next_due(after) + spread(cluster_id, spread_ms)


def next_starts(period: str, cluster_id: str, after: int, spread_ms: int, number: int) -> list[int]:
    """Return when the next `number` runs start (Unix ms), the first as `next_start` says; zones have fixed offsets."""
    first = next_start(period, cluster_id, after, spread_ms)
    return [first + index * _DAY_MS for index in range(number)]


def foresee_runs(
    period: str | None, cluster_id: str, due: int | None, extra: int | None, now: int, spread_ms: int
) -> tuple[int, ...]:
    """Return the next runs (Unix ms): the daily one that is planned, those that follow it, and the extra one.

    What is planned and has passed already starts now.
    """
    starts = [moment for moment in (due, extra) if moment is not None]
    if period is not None and due is not None:
        starts += next_starts(period, cluster_id, max(due, now), spread_ms, FORESEEN - 1)
    return tuple(sorted({max(now, moment) for moment in starts})[:FORESEEN])


def spread(cluster_id: str, window_ms: int) -> int:
    """Return the delay (ms) of a cluster within the window: stable for one cluster, evenly distributed over many."""
    digest = hashlib.sha256(cluster_id.encode()).digest()
    return int.from_bytes(digest[:8]) % window_ms if window_ms else 0


def next_run_of(planned: Sequence[int], now: int) -> int | None:
    """Return the earliest planned start; now, if that has passed already."""
    return max(now, min(planned)) if planned else None


def missed_moment(due_at: int, now: int) -> int | None:
    """Return `due_at` if a run that has not started by `now` counts as missed, else None."""
    return due_at if now - due_at > LATE_MS else None


def missed_moments(due_at: int, now: int) -> range:
    """Return the daily moments (Unix ms) from `due_at` on that count as missed by `now`, oldest first.

    Of more than a year only the newest are told.
    """
    days = (now - LATE_MS - 1 - due_at) // _DAY_MS + 1
    return range(due_at + max(0, days - _MOST_MISSED) * _DAY_MS, due_at + days * _DAY_MS, _DAY_MS)


def known_age(moment: int | None, now: int) -> int | None:
    """Return how long ago (ms) that was; None if it never was, or lies in the future.

    The clock was ahead then, and when that was is not known: to wait for its time would hide that backups fail.
    """
    return None if moment is None or moment - now > _SMALL_STEP_MS else max(0, now - moment)


def judge_policy(runs: PolicyHistory | None, now: int, stale_ms: int) -> PolicyState:
    """Return the state of a policy. `runs` is None for a cluster without one.

    The age of the last success counts from the moment the period was set, if that is later.
    """
    if runs is None:
        return PolicyState.OFF
    ages = [age for moment in (runs.since, runs.last_success) if (age := known_age(moment, now)) is not None]
    if min(ages, default=inf) > stale_ms:
        return PolicyState.STALE
    if runs.missed_at is not None or missed_moment(runs.due_at, now) is not None:
        return PolicyState.MISSED
    return PolicyState.OK if runs.ran else PolicyState.NEVER_RAN
