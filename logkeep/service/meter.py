"""Interface for counting requests and jobs of this process; `api.metrics` exports the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from logkeep.domain.backup_job import BackupJob
from logkeep.domain.notice import Event


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job ended by this process, and its results."""

    job: BackupJob
    raw: int  # plain bytes stored
    stored: int
    lost: Sequence[int]  # minimum bytes of each gap
    codes: Sequence[str]  # `LK-…` of each failure
    warnings: Sequence[str]  # `LK-…` of each warning


class Metrics(Protocol):
    def count_request(self, operation: str, status: int, seconds: float) -> None:
        """Count an answered request; `operation` is '' if no operation has its path."""
        ...

    def count_job(self, ended: EndedJob) -> None: ...

    def count_notice(self, event: Event) -> None: ...

    def count_delivery(self, outcome: str) -> None:
        """Count an attempt to send a message: delivered, failed, given_up."""
        ...


class NullMetrics:
    """Metrics that count nothing."""

    def count_request(self, operation: str, status: int, seconds: float) -> None:
        pass

    def count_job(self, ended: EndedJob) -> None:
        pass

    def count_notice(self, event: Event) -> None:
        pass

    def count_delivery(self, outcome: str) -> None:
        pass
