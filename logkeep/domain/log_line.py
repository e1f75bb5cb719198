"""One record of a log, and the query of a live search (docs/contract.md, "ShowLogBackup")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LogKind(StrEnum):
    """Kinds of log that a live search can read."""

    INSTANCE = "instance"
    DEPRECATION = "deprecation"
    INDEXING_SLOW = "indexingSlow"
    SEARCH_SLOW = "searchSlow"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record of a log."""

    content: str  # with its continuation lines, such as stack traces
    date: str  # yyyy-MM-ddTHH:mm:ss,SSS
    level: str  # '' if the line shows none


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Query for records of one log, newest first."""

    kind: LogKind
    levels: frozenset[str] = frozenset()  # empty: all
    limit: int = 100
    before: str = ""  # only records earlier than this time, compared as text; empty: all
    keyword: str = ""  # text that the record must contain, case-sensitive

    def matches(self, line: LogLine) -> bool:
        """Return whether a record passes every filter; `limit` is the caller's matter."""
        if self.levels and line.level not in self.levels:
            return False
        return (not self.before or line.date < self.before) and self.keyword in line.content
