"""One record of a log, and what a search asks for (docs/contract.md, "ShowLogBackup")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LogKind(StrEnum):
    """The logs that a live search reads."""

    INSTANCE = "instance"
    DEPRECATION = "deprecation"
    INDEXING_SLOW = "indexingSlow"
    SEARCH_SLOW = "searchSlow"


@dataclass(frozen=True, slots=True)
class LogLine:
    content: str  # with the lines that belong to it, as stack traces do
    date: str  # yyyy-MM-ddTHH:mm:ss,SSS
    level: str  # '' where it shows none


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which records of one log are asked for, newest first."""

    kind: LogKind
    levels: frozenset[str] = frozenset()  # empty: all
    limit: int = 100
    before: str = ""  # only records of an earlier time than this; empty: all
    keyword: str = ""  # what the record must hold, capitals being distinct

    def matches(self, line: LogLine) -> bool:
        if self.levels and line.level not in self.levels:
            return False
        return (not self.before or line.date < self.before) and self.keyword in line.content
