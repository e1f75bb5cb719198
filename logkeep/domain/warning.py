"""What a job says although it did not fail: something was left out, cut, new or gone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WarningCode(StrEnum):
    """Stable, each in a row of docs/errors.md; what a failure is called is in `errors`."""

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
    MORE = "LK-MORE-WARNINGS"
    NODE_EMPTY = "LK-NODE-EMPTY"
    NODE_GONE = "LK-NODE-GONE"
    NODE_NEW = "LK-NODE-NEW"
    NODE_REFUSED = "LK-NODE-REFUSED"
    NODE_SHARED = "LK-NODE-SHARED"
    ORDER_UNPROVEN = "LK-ORDER-UNPROVEN"


@dataclass(frozen=True, slots=True)
class JobWarning:
    """One thing that a job says; a job has at most one of the same code, node, log and file."""

    node: str  # '' where it is of the whole cluster
    family: str  # the log that it concerns, by which `coverage` shows it; '' for none
    file: str  # name of the file, '' for none
    code: str  # a `WarningCode`; in a manifest one of a later version, too
    message: str  # a sentence that names the file and tells what to do, but neither node nor code

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same one, whatever its words are."""
        return self.node, self.family, self.file, self.code
