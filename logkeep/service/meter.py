"""What is counted in this process for who watches it; `api.metrics` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from logkeep.domain.backup_job import BackupJob


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that this process ended, and what came of it."""

    job: BackupJob
    raw: int  # plain bytes stored
    stored: int
    lost: Sequence[int]  # bytes of each gap, at least
    codes: Sequence[str]  # `LK-…` of each failure
    warnings: Sequence[str]  # and of each warning


class Meter(Protocol):
    def count_request(self, operation: str, status: int, seconds: float) -> None:
        """A request was answered; without an operation nothing answers to its path."""
        ...

    def count_job(self, ended: EndedJob) -> None: ...


class NoMeter:
    """Where nobody watches."""

    def count_request(self, operation: str, status: int, seconds: float) -> None:
        pass

    def count_job(self, ended: EndedJob) -> None:
        pass
