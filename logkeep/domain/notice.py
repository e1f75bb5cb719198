"""Notices: what people are told of when the state of a cluster changes (docs/decisions/0028-notices.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from textwrap import wrap

from logkeep.domain.cluster_status import ClusterState

_WIDTH = 80
NAMED = 10  # clusters that a notice on many of them names


class Event(StrEnum):
    """What a notice tells; the names are public."""

    BACKUP_FAILED = "backup_failed"
    BACKUP_STALE = "backup_stale"  # the last success is too old
    BACKUP_MISSED = "backup_missed"  # the daily backup has not started, or started late
    BACKUP_RECOVERED = "backup_recovered"  # the first success after a failure, or after a last one that was too old
    BACKUP_UNPLANNED = "backup_unplanned"  # there is no daily backup, and no success that is young enough
    BACKUP_UNOPENED = "backup_unopened"  # log backup was never opened
    JOB_STUCK = "job_stuck"  # a backup waits for a worker, or runs too long
    LINES_LOST = "lines_lost"  # a backup met gaps
    NODE_LEFT_OUT = "node_left_out"
    NODE_NEW = "node_new"
    LOGS_LEFT_OUT = "logs_left_out"
    ARCHIVE_DAMAGED = "archive_damaged"
    ARCHIVE_UNVERIFIED = "archive_unverified"
    RECOVERED = "recovered"  # any other state is over; `Notice.state` names it
    BUCKET_AWAY = "bucket_away"
    BUCKET_BACK = "bucket_back"
    DATABASE_AWAY = "database_away"
    DATABASE_BACK = "database_back"
    DELIVERY_FAILED = "delivery_failed"  # notices cannot be delivered to a target
    RETENTION_REFUSED = "retention_refused"
    TEST = "test"  # sent by hand


# What opens with a state; the others of `ClusterState` need no hand.
OPENING = {
    ClusterState.STALE: Event.BACKUP_STALE,
    ClusterState.UNOPENED: Event.BACKUP_UNOPENED,
    ClusterState.UNPLANNED: Event.BACKUP_UNPLANNED,
    ClusterState.FAILED: Event.BACKUP_FAILED,
    ClusterState.STUCK: Event.JOB_STUCK,
    ClusterState.OVERDUE: Event.BACKUP_MISSED,
    ClusterState.DAMAGED: Event.ARCHIVE_DAMAGED,
    ClusterState.GAPS: Event.LINES_LOST,
    ClusterState.NODES: Event.NODE_LEFT_OUT,
    ClusterState.UNVERIFIED: Event.ARCHIVE_UNVERIFIED,
    ClusterState.LOGS: Event.LOGS_LEFT_OUT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event, told once; times are Unix ms."""

    id: str  # 32 hex digits
    event: Event
    at: int
    since: int  # when the state began that it tells of, or that it ends
    project_id: str = ""  # '' where it concerns the whole installation
    project: str = ""  # its name
    cluster_id: str = ""
    cluster: str = ""  # its name; '' where it concerns none alone
    state: str = ""  # the state that opened or closed, as `status` names it
    code: str = ""  # LK-…, where there is one
    cause: str  # what happened
    remedy: str = ""  # what to do, with commands that can be pasted
    url: str = ""  # page of the console; '' where its address is not known
    clusters: tuple[str, ...] = ()  # of one on many clusters: the first names
    number: int = 1  # of clusters
    may_repeat: bool = False  # told by each process by itself, as the database could not be asked

    @property
    def title(self) -> str:
        """Return it in one short line."""
        about = f"{self.number:,} clusters" if self.number > 1 else self.cluster or self.project
        return f"Logkeep: {about + ': ' if about else ''}{self.event.replace('_', ' ')}"

    @property
    def text(self) -> str:
        """Return all of it as lines of at most 80 columns, but for commands and links, which are never folded."""
        sentences = [self.cause, self.remedy]
        folded = [line for sentence in sentences if sentence for line in fold(_sentence(sentence))]
        if self.code and self.code not in self.cause:
            folded.append(f"Code: {self.code}")
        return "\n".join([*folded, *([self.url] if self.url else ())])


def fold(text: str) -> list[str]:
    """Return a sentence as lines of at most 80 columns; what stands between backquotes is one word."""
    whole = [part.replace(" ", "\0") if at % 2 else part for at, part in enumerate(text.split("`"))]
    lines = wrap("`".join(whole), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def name_some(names: Sequence[str], number: int) -> str:
    """Return the first names of so many, as `a, b and 7 more`."""
    shown = ", ".join(names[:NAMED])
    more = number - min(len(names), NAMED)
    return f"{shown} and {more:,} more" if more else shown


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}" + ("" if text.endswith(("`", ".", "…")) else ".")


class DeliveryState(StrEnum):
    """State of a notice on its way to one target."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notice on its way to one target; times are Unix ms."""

    target: str  # its name
    state: DeliveryState
    attempts: int = 0
    next_try: int | None = None  # None unless it waits
    delivered_at: int | None = None
    error: str = ""  # of the last attempt
    message_id: str = ""  # of the message that carries it, alone or with others; '' before the first attempt
