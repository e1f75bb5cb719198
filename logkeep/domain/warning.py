"""Warnings of a job that did not fail for them: something was left out, cut, new or gone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WarningCode(StrEnum):
    """Stable codes, each explained in docs/errors.md; codes of failures are in `errors`."""

    CATALOGUE_BEHIND = "LK-CATALOGUE-BEHIND"
    CLUSTER_UNASKED = "LK-CLUSTER-UNASKED"
    LOG_CHANGED = "LK-LOG-CHANGED"
    LOG_CUT = "LK-LOG-CUT"
    LOG_DAMAGED = "LK-LOG-DAMAGED"
    LOG_DEEP = "LK-LOG-DEEP"
    LOG_GARBAGE = "LK-LOG-GARBAGE"
    LOG_LARGE = "LK-LOG-LARGE"
    LOG_REFUSED = "LK-LOG-REFUSED"
    LOG_WAITING = "LK-LOG-WAITING"
    MANIFESTS_UNREAD = "LK-MANIFESTS-UNREAD"
    MORE = "LK-MORE-WARNINGS"
    NODE_EMPTY = "LK-NODE-EMPTY"
    NODE_GONE = "LK-NODE-GONE"
    NODE_NEW = "LK-NODE-NEW"
    NODE_REFUSED = "LK-NODE-REFUSED"
    NODE_SHARED = "LK-NODE-SHARED"
    ORDER_UNPROVEN = "LK-ORDER-UNPROVEN"
    SEGMENT_LOST = "LK-SEGMENT-LOST"
    SEGMENT_REPAIRED = "LK-SEGMENT-REPAIRED"


# What needs a hand. The others tell of something that was kept all the same, or is at the next backup.
NODES_LEFT_OUT = frozenset({WarningCode.CLUSTER_UNASKED, WarningCode.NODE_EMPTY, WarningCode.NODE_REFUSED})
LOGS_LEFT_OUT = frozenset(
    {
        WarningCode.LOG_CUT,
        WarningCode.LOG_DAMAGED,
        WarningCode.LOG_DEEP,
        WarningCode.LOG_LARGE,
        WarningCode.LOG_REFUSED,
        WarningCode.MANIFESTS_UNREAD,
        WarningCode.MORE,
        WarningCode.NODE_SHARED,
        WarningCode.SEGMENT_LOST,
    }
)


@dataclass(frozen=True, slots=True)
class JobWarning:
    """One warning of a job; a job has at most one with the same code, node, log and file."""

    node: str  # '' if it concerns the whole cluster
    family: str  # log under which `coverage` shows it; '' for none
    file: str  # name of the file, '' for none
    code: str  # a `WarningCode`; in a manifest perhaps one of a later version
    message: str  # sentence that names the file and the remedy, but neither node nor code

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what identifies a warning within a job, whatever its message."""
        return self.node, self.family, self.file, self.code
