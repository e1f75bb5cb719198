"""What rules of retention removed of a log, as its readers are told."""

from __future__ import annotations

from dataclasses import dataclass

from logkeep.domain.span import Place, Span


@dataclass(frozen=True, slots=True)
class RemovedSpan:
    """What one rule removed of one log of a node, over all of its runs."""

    node: str
    family: str
    rule: str  # as `keep_days=90 of gc.log`
    removed_at: int  # Unix ms, the last time
    first_time: str  # oldest and newest known time of its lines, as written in the log; '' if none is known
    last_time: str
    timed: bool  # the times of all its lines are known
    objects: int
    raw: int  # plain bytes
    lines: int

    def may_hold(self, span: Span) -> bool:
        """Return whether lines of a span may be among what was removed."""
        return not self.timed or span.place(self.first_time, self.last_time) is not Place.OUTSIDE
