"""One measured figure."""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_HOLDS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Result:
    name: str
    value: float | None  # None where nothing was measured; `against` says why
    unit: str
    against: str  # what it is compared with, and that one's value
    ratio: float | None
    goal: str
    met: bool | None  # None where there is no goal, or nothing was measured

    def as_row(self) -> dict[str, object]:
        return dict(self.__dict__)


def judge(
    name: str, value: float, unit: str, goal: str = "", *, against: str = "", ratio: float | None = None
) -> Result:
    """A goal with a unit, "<= 150 MiB", is one for the value; a bare number, ">= 0.8", is one for the ratio."""
    met = None
    if goal:
        holds, limit, *of_value = goal.split()
        judged = value if of_value else ratio
        met = judged is not None and bool(_HOLDS[holds](judged, float(limit)))
    return Result(name, value, unit, against, ratio, goal, met)


def not_measured(name: str, why: str, goal: str = "") -> Result:
    return Result(name, None, "", why, None, goal, None)


def seconds(action: Callable[[], object], rounds: int = 3) -> float:
    """The least time of some rounds: what disturbs a measurement only ever makes it longer."""
    return min(_once(action) for _ in range(rounds))


def _once(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def middle(values: Iterable[float]) -> float:
    return statistics.median(values)
