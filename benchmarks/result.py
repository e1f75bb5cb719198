"""One measured figure."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    name: str
    value: float
    unit: str
    against: str  # what it is compared with, and that one's value
    ratio: float | None
    goal: str
    met: bool

    def as_row(self) -> dict[str, object]:
        return dict(self.__dict__)


def seconds(action: Callable[[], object], rounds: int = 3) -> float:
    """The least time of some rounds: what disturbs a measurement only ever makes it longer."""
    return min(_once(action) for _ in range(rounds))


def _once(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def middle(values: list[float]) -> float:
    return statistics.median(values)
